/* The processes that are left of a generation after its main one: found by scanning, held by pidfd,
 * waited for. */
#pragma once

#include "run/generation.h"

/* Calls generation->callbacks.gone from the loop once no member is left. Harmless when repeated. */
void hf_members_await(HfGeneration *generation);
/* To every living member. */
void hf_members_signal(HfGeneration *generation, int signal);
/* How many live, and bytes of memory in them all (hf_process_memory; NULL: is not looked at).
 * Returns 0 or negative errno. */
int hf_members_measure(const HfGeneration *generation, uint64_t *ret_processes,
                       uint64_t *ret_memory);
/* Opens pid, which must be one of its living processes of whatever program. Returns 1, 0 when it is
 * not, or negative errno. */
int hf_members_open(const HfGeneration *generation, pid_t pid, HfProcess *ret);
bool hf_members_has(const HfGeneration *generation, pid_t pid);
void hf_members_forget(HfGeneration *generation);

/* Its living processes as its kill mode counts them, the main one among them; see
 * hf_process_members. */
int hf_members_find(const HfGeneration *generation, HfProcess **ret, size_t *ret_n);

/* Those that run the service's program, whatever the kill mode. */
int hf_members_of_service(const HfGeneration *generation, HfProcess **ret, size_t *ret_n);

/* A signal to process failed with EPERM. Logged once; after KILL such a process counts no more. */
void hf_members_refused(HfGeneration *generation, const HfProcess *process, int signal);

/* "sleep (123), php (124) and 2 more". */
void hf_members_describe(const HfProcess *processes, size_t n, HfText *text);
