/* The processes that are left of a generation after its main one: found by scanning, held by pidfd,
 * waited for. */
#pragma once

#include "daemon/generation.h"

/* Calls generation->callbacks.gone from the loop once no member is left. Harmless when repeated. */
void hf_members_await(HfGeneration *generation);
/* To every living member. */
void hf_members_signal(HfGeneration *generation, int signal);
void hf_members_forget(HfGeneration *generation);

/* At the very end: kills what still holds a listener of plan, made itself a daemon and so belongs
 * to no generation. The answerer ends by itself. */
void hf_members_end_escaped(const HfPlan *plan);
