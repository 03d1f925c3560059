/* SPDX-License-Identifier: MIT */
/* One running incarnation of the service: its processes and files. */
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

/* What a generation tells; posted as machine events. */
typedef struct HfGenerationCallbacks {
    /* Its program could not be executed, and the process has ended: in place of the others. */
    void (*spawn_failed)(HfGeneration *generation, const char *why, void *userdata);
    void (*ready)(HfGeneration *generation, void *userdata);
    void (*main_exited)(HfGeneration *generation, void *userdata);
    void (*gone)(HfGeneration *generation, void *userdata);    /* once, after main_exited */
    void (*retired)(HfGeneration *generation, void *userdata); /* every worker was asked */
    /* Its main process has ended: what that has said before is to be heard now. May be NULL. */
    void (*last_words)(HfGeneration *generation, void *userdata);
    void *userdata;
} HfGenerationCallbacks;

/* What a canary has instead of what every other generation has. */
typedef struct HfStandIn {
    HfListener *const *listeners; /* one for each of the plan's; they outlive the generation */
    int output;                   /* its stdout and stderr; borrowed during the spawn */
} HfStandIn;

struct HfGeneration {
    uint64_t number;
    unsigned slot;
    unsigned side; /* of each listener that has two: where it is started */
    HfCause cause;
    HfPlan *plan;                 /* reference */
    HfListener *const *listeners; /* borrowed: the plan's, or a canary's own */
    sd_event *loop;
    HfReaper *reaper;
    HfGenerationCallbacks callbacks;
    HfProcess main;
    pid_t session;               /* of all its members: the pid of its first main process */
    sd_event_source *main_watch; /* on the pidfd of one that may be no child of ours */
    sd_event_source *executed;   /* on how its spawn ends; NULL once that is known */
    char *failure;               /* why it could not be executed; NULL: nothing failed */
    bool voice_refused;          /* that another said READY=1 for it was told */
    bool main_refused;           /* that MAINPID= named a stranger was told */
    char *status_text;           /* STATUS=, the last one; printable UTF-8, or NULL */
    HfProgram program;
    HfSubgroup subgroup;
    const HfCgroups *cgroups;
    HfOom oom;
    HfOomVerdict oom_verdict; /* of what happened while the main process ran */
    bool killed;              /* holdfast sent SIGKILL */
    int asked;                /* signal that its main process was sent to leave; 0: none */
    siginfo_t status;         /* of the main process, once it has exited; si_code 0: not known */
    bool main_exited;
    bool served;       /* it was ready once */
    bool removes_path; /* of a listener that is held, if it leaves by itself */
    bool late;         /* was not ready in time */
    int owed;          /* signal to the members once they can be found; 0: none */
    uint64_t spawned;  /* usec, CLOCK_MONOTONIC */
    uint64_t alive;    /* likewise: when it was ready, or said WATCHDOG=1 last */
    uint64_t started;  /* usec since boot, as hf_process_started says; 0: not known */
    HfFiles files;
    char *statuses; /* where its pools' private scoreboards are, NULL: it has none */
    sd_event_source *pid_file_watch;
    sd_event_source *alive_timer;
    void *relay;               /* between its output and ours, for readiness by log; NULL: none */
    const HfRelayKind *relays; /* what it is made by; NULL: there are none */
    HfMembers members;
    bool gone; /* was told */
};

#define HF_GENERATION_NONE                                                                         \
    ((HfGeneration){.main = HF_PROCESS_NONE, .files = HF_FILES_NONE, .subgroup = HF_SUBGROUP_NONE})

/* Readiness by a text in the log, as the part ready_log has it: what stands between the output of a
 * generation and ours, and calls hf_generation_ready. Each but begin takes NULL. */
struct HfRelayKind {
    /* Before the service is spawned. output: what everything is passed on to; -1: as it came, to
     * our stdout and stderr. ret_out, ret_err: borrowed, for the service. Returns 0 or negative
     * errno. */
    void *userdata;
    int (*begin)(void *userdata, HfGeneration *generation, int output, int *ret_out, int *ret_err,
                 void **ret);
    void (*spawned)(void *relay);
    void (*ignore)(void *relay); /* the text counts no more; the relay goes on */
    void (*forget)(void *relay); /* nobody listens to it any more, it ends by itself */
};

/* Spawns, without waiting until the program is executed. stand_in: NULL but for a canary, whose
 * number is 0. Returns 0, or negative errno with one line in error. */
int hf_generation_spawn(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime, HfPlan *plan,
                        unsigned slot, uint64_t number, unsigned side, HfCause cause,
                        const HfStandIn *stand_in, const HfGenerationCallbacks *callbacks,
                        HfGeneration **ret, HfText *error);
/* One that another holdfast has spawned, on the heap, in which all that a snapshot says of it is
 * set, the plan borrowed. starting: it is not ready yet, as far as is known. What is found out at
 * once is told at once. Returns 0 or negative errno; it lives after both. */
int hf_generation_restore(HfGeneration *generation, sd_event *loop, HfReaper *reaper,
                          const HfRuntime *runtime, bool starting,
                          const HfGenerationCallbacks *callbacks);
/* Its files are removed, its processes no longer watched. NULL is fine. Returns NULL. */
HfGeneration *hf_generation_free(HfGeneration *generation);

/* It serves, as far as can be seen. */
void hf_generation_ready(HfGeneration *generation);
/* READY=1 of its main process came. */
void hf_generation_notify_ready(HfGeneration *generation);

/* Takes process, another member, over as the main one: signals go to it, its exit is the one that
 * counts. Returns 0, or negative errno and nothing has changed. */
int hf_generation_set_main(HfGeneration *generation, HfProcess *process);
/* Its main process has ended. info: zeroed when it could not even be killed; of one whose status
 * nobody tells us, the pid. */
void hf_generation_main_exited(HfGeneration *generation, const siginfo_t *info);
/* Its main process has exited: do others of it go on serving, as workers whose master was killed
 * do? */
bool hf_generation_serves(const HfGeneration *generation);
/* What its main process runs now. */
void hf_generation_learn_program(HfGeneration *generation);
/* hf_members_measure of it, once that is known. */
int hf_generation_measure(HfGeneration *generation, uint64_t *ret_processes, uint64_t *ret_memory);
/* What will be left alone when it leaves, and what that holds, as the end of a sentence on it; ""
 * for nothing. */
void hf_generation_name_spared(const HfGeneration *generation, HfText *text);

/* STOP and TERM go to the main process, or to every member once that has exited; KILL goes to all.
 * RETIRE stops the main process (SIGSTOP) and sends the stop signal to its workers one by one,
 * within retire_time (usec); ends in a call of retired. */
void hf_generation_signal(HfGeneration *generation, HfStage stage, uint64_t retire_time);
/* SIGCONT to a main process that was stopped. */
void hf_generation_continue(HfGeneration *generation);
void hf_generation_reopen(HfGeneration *generation);

/* Of the main process that has exited, as a shell says it: 0 to 255, 128+N for signal N; 1 when it
 * is not known. */
int hf_generation_shell_status(const HfGeneration *generation);
/* "exited with status 3", "was killed by signal 9 (KILL), dumped core". */
void hf_generation_explain_status(const HfGeneration *generation, HfText *text);
