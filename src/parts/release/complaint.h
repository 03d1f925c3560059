/* SPDX-License-Identifier: MIT */
/* Where a start was the verdict on a plan, and failed: the service's own words, which are asked for
 * then, for those who wait for an answer. */
#pragma once

#include "run/supervisor.h"

typedef struct HfComplaint HfComplaint;

int hf_complaint_new(HfSupervisor *supervisor, HfComplaint **ret);
/* NULL is fine. Returns NULL. */
HfComplaint *hf_complaint_free(HfComplaint *complaint);

/* See HfPart.holds and HfPart.performed. */
bool hf_complaint_holds(HfComplaint *complaint, const HfAction *answer);
void hf_complaint_performed(HfComplaint *complaint, const HfAction *action);
