/* SPDX-License-Identifier: MIT */
/* A running incarnation of the service: its processes and files. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "kernel/process.h"
#include "loop/cgroups.h"
#include "loop/reaper.h"
#include "policy/machine.h"
#include "run/generation_files.h"
#include "run/members.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfGeneration HfGeneration;

typedef struct HfGenerationCallbacks {
    /* event: SPAWN_FAILED in place of the others: its program could not be executed (failure says
     * why), and the process has ended; READY; MAIN_EXITED, and once after that GONE; RETIRED. */
    void (*happened)(HfGeneration *generation, HfEventType event, void *userdata);
    /* Its main process has ended: handle the messages it has sent before. May be NULL. */
    void (*last_words)(HfGeneration *generation, void *userdata);
    void *userdata;
} HfGenerationCallbacks;

/* Replacements for a canary. */
typedef struct HfStandIn {
    HfListener *const *listeners; /* one for each of the plan's; must outlive the generation */
    int output;                   /* for its stdout and stderr; borrowed during the spawn */
} HfStandIn;

struct HfGeneration {
    uint64_t number;
    unsigned slot;
    unsigned side; /* on which it was started, for listeners that have several */
    HfCause cause;
    HfPlan *plan;                 /* a reference */
    HfListener *const *listeners; /* borrowed: the plan's, or a canary's own */
    sd_event *loop;
    HfReaper *reaper;
    HfGenerationCallbacks callbacks;
    HfProcess main;
    pid_t session;               /* of all members: the pid of its first main process */
    sd_event_source *main_watch; /* on the pidfd of one that may not be our child */
    sd_event_source *executed;   /* on the result of its spawn; NULL once that is known */
    char *failure;               /* why it could not be executed; NULL: no failure */
    bool voice_refused;          /* logged that another process said READY=1 for it */
    bool main_refused;           /* logged that MAINPID= named a stranger */
    char *status_text;           /* the last STATUS=; printable UTF-8, or NULL */
    HfProgram program;
    HfSubgroup subgroup;
    const HfCgroups *cgroups;
    HfOom oom;
    HfOomVerdict oom_verdict; /* as of the main process's exit */
    bool killed;              /* holdfast sent SIGKILL */
    int asked;                /* the signal that asked its main process to leave; 0: none */
    siginfo_t status;         /* of the main process, once it has exited; si_code 0: unknown */
    bool main_exited;
    bool served;       /* it has been ready */
    bool removes_path; /* unlinks a held listener's path if it leaves by itself */
    bool late;         /* was not ready in time */
    int owed;          /* a signal for the members once they can be found; 0: none */
    uint64_t spawned;  /* usec, CLOCK_MONOTONIC */
    uint64_t alive;    /* likewise: when it became ready, or last said WATCHDOG=1 */
    uint64_t started;  /* usec since boot, see hf_process_started; 0: unknown */
    HfFiles files;
    char *statuses; /* path of its pools' private status sockets, NULL: none */
    sd_event_source *pid_file_watch;
    sd_event_source *alive_timer;
    void *relay;               /* between its output and ours, for readiness by log; NULL: none */
    const HfRelayKind *relays; /* what relay is made with; NULL: none */
    HfMembers members;
    bool gone; /* has been reported */
};

#define HF_GENERATION_NONE                                                                         \
    ((HfGeneration){.main = HF_PROCESS_NONE, .files = HF_FILES_NONE, .subgroup = HF_SUBGROUP_NONE})

/* Readiness by a line of the log, provided by the part ready_log: a relay between a generation's
 * output and ours, which calls hf_generation_ready. All but begin accept NULL. */
struct HfRelayKind {
    /* Called before the service is spawned. output: where to forward everything; -1: to our stdout
     * and stderr. ret_out, ret_err: borrowed, for the service. Returns 0 or negative errno. */
    void *userdata;
    int (*begin)(void *userdata, HfGeneration *generation, int output, int *ret_out, int *ret_err,
                 void **ret);
    void (*spawned)(void *relay);
    void (*ignore)(void *relay); /* ignores the text from now on, and still relays */
    void (*forget)(void *relay); /* the relay is on its own now, and ends by itself */
};

/* Spawns without waiting for the program to be executed. stand_in: NULL except for a canary, whose
 * number is 0. Returns 0, or negative errno with one line in error. */
int hf_generation_spawn(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime, HfPlan *plan,
                        unsigned slot, uint64_t number, unsigned side, HfCause cause,
                        const HfStandIn *stand_in, const HfGenerationCallbacks *callbacks,
                        HfGeneration **ret, HfText *error);
/* Continues a generation that another holdfast spawned: on the heap, with all that a snapshot says
 * about it, and its plan borrowed. starting: it is not known to be ready yet. Events that are
 * discovered at once are reported at once. Returns 0 or negative errno; the generation stays
 * allocated either way. */
int hf_generation_restore(HfGeneration *generation, sd_event *loop, HfReaper *reaper,
                          const HfRuntime *runtime, bool starting,
                          const HfGenerationCallbacks *callbacks);
/* Removes its files and stops watching its processes. Accepts and returns NULL. */
HfGeneration *hf_generation_free(HfGeneration *generation);

/* Reports it ready. */
void hf_generation_ready(HfGeneration *generation);
/* Its main process said READY=1. */
void hf_generation_notify_ready(HfGeneration *generation);

/* Makes process, another member, its main one, which gets the signals and whose exit counts. Takes
 * ownership of it. Returns 0, or negative errno with nothing changed. */
int hf_generation_set_main(HfGeneration *generation, HfProcess *process);
/* Its main process has ended. info: zeroed when it could not even be killed; only the pid when its
 * status is unknown. */
void hf_generation_main_exited(HfGeneration *generation, const siginfo_t *info);
/* Now that its main process has exited, do others go on serving, as the workers of a killed master
 * do? */
bool hf_generation_serves(const HfGeneration *generation);
/* Records which program its main process runs now. */
void hf_generation_learn_program(HfGeneration *generation);
/* The sockets on which it was started, one for each of the plan's listeners. Owned; NULL without
 * memory. */
int *hf_generation_sockets(const HfGeneration *generation);

/* Sends STOP and TERM to the main process, or to all members if it has exited; KILL to all. RETIRE
 * stops the main process (SIGSTOP) and sends the stop signal to its workers one by one, within
 * retire_time (usec), then calls retired. */
void hf_generation_signal(HfGeneration *generation, HfStage stage, uint64_t retire_time);
/* Continues (SIGCONT) a main process that was stopped. */
void hf_generation_continue(HfGeneration *generation);
void hf_generation_reopen(HfGeneration *generation);

/* The main process's exit status as a shell reports it: 0 to 255, 128+N for signal N; 1 when
 * unknown. */
int hf_generation_shell_status(const HfGeneration *generation);
/* Appends "exited with status 3" or "was killed by signal 9 (KILL), dumped core". */
void hf_generation_explain_status(const HfGeneration *generation, HfText *text);
