/* SPDX-License-Identifier: MIT */
/* If a start was the verdict on a plan, and failed, asks the service for its complaint before the
 * callers are answered. */
#pragma once

#include "run/supervisor.h"

typedef struct HfComplaint HfComplaint;

int hf_complaint_new(HfSupervisor *supervisor, HfComplaint **ret);
/* Accepts and returns NULL. */
HfComplaint *hf_complaint_free(HfComplaint *complaint);

/* See HfPart.holds and HfPart.performed. */
bool hf_complaint_holds(HfComplaint *complaint, const HfAction *answer);
void hf_complaint_performed(HfComplaint *complaint, const HfAction *action);
