/* SPDX-License-Identifier: MIT */
/* The supervisor's whole policy: events in, actions out. Flat, no pointers, no allocation, no
 * clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

#ifndef HF_MACHINE_SLOTS /* the explorer has less of both */
#define HF_MACHINE_SLOTS    8
#define HF_MACHINE_REQUESTS 32 /* callers that wait at the same time */
#endif
#define HF_MACHINE_DRAINING_MAX                                                                    \
    (HF_MACHINE_SLOTS - 3)                      /* leaves room for active, starting and a crash */
#define HF_MACHINE_SIDES       HF_MACHINE_SLOTS /* so one is free for whoever is started */
#define HF_MACHINE_ACTIONS_MAX 128              /* of one step */
#define HF_MACHINE_EXTENSIONS                                                                      \
    16 /* of a generation's start, and again of its drain; each at most as long as the timeout */

/* The stages of a generation's life; one that is asked to leave is only ever asked harder. */
typedef enum HfStage {
    HF_STAGE_EMPTY,
    HF_STAGE_STARTING,
    HF_STAGE_TRIAL,  /* ready, on the standby side: is tried before anybody meets it */
    HF_STAGE_ACTIVE, /* serves; with its main process gone what that left behind does, until the
                        next one has been switched to */
    HF_STAGE_PARKED, /* its successor serves; it lives on, on its side, and may serve again */
    HF_STAGE_SETTLE, /* goes on serving what is left at its side, or, gentle, beside its successor,
                        which warms up */
    HF_STAGE_RETIRE, /* gentle: the main process is stopped (SIGSTOP), its workers are asked one by
                        one */
    HF_STAGE_STOP,   /* has had the service's own stop signal, or leaves by itself */
    HF_STAGE_TERM,
    HF_STAGE_KILL,
    HF_STAGE_MAX_,
} HfStage;
HF_STRTAB_DECLARE(
    hf_stage,
    HfStage); /* empty, starting, trial, active, parked, settle, retire, stop, term, kill */

/* It is to go, or goes by itself. */
static inline bool hf_stage_leaves(HfStage stage)
{
    return stage >= HF_STAGE_SETTLE;
}

/* What the one replacement that may run is waiting for, from PREPARING to TRYING. */
typedef enum HfPhase {
    HF_PHASE_NEW,       /* nothing happened yet */
    HF_PHASE_IDLE,      /* a generation is active, nothing is being replaced */
    HF_PHASE_PREPARING, /* for PREPARED or PREPARE_FAILED */
    HF_PHASE_WAITING,   /* for a slot */
    HF_PHASE_CLEARING,  /* stop-first: until every generation is gone */
    HF_PHASE_STARTING,  /* for READY of the starting generation */
    HF_PHASE_TRYING,    /* for TRIED of the one on trial */
    HF_PHASE_BACKOFF,   /* for the respawn timer */
    HF_PHASE_STOPPING,  /* until every generation is gone */
    HF_PHASE_ENDING,    /* for ENDED: until nothing of the service is left */
    HF_PHASE_ENDED,
    HF_PHASE_MAX_,
} HfPhase;
HF_STRTAB_DECLARE(hf_phase, HfPhase);

/* What can happen to a replacement. */
typedef enum HfMove {
    HF_MOVE_BEGIN,     /* START */
    HF_MOVE_PREPARED,  /* a plan is held */
    HF_MOVE_UNBLOCKED, /* another try to make one may do better */
    HF_MOVE_REFUSED,   /* none could be made */
    HF_MOVE_READY,     /* of the starting generation */
    HF_MOVE_PASSED,    /* its trial */
    HF_MOVE_FAILED,    /* the generation that was starting or on trial came to nothing */
    HF_MOVE_LOST,      /* the active generation, or only its main process, and none before it serves
                          again */
    HF_MOVE_FREED,     /* a slot, or who settled does not any more */
    HF_MOVE_DUE,       /* the next start after failures */
    HF_MOVE_WISHED,    /* a reload or a restart */
    HF_MOVE_ILL,       /* the active generation, for long enough */
    HF_MOVE_AGED,      /* the active generation is old, or large */
    HF_MOVE_ROLLBACK,  /* to the one that is parked */
    HF_MOVE_STOP,
    HF_MOVE_OVER, /* ENDED */
    HF_MOVE_MAX_,
} HfMove;
HF_STRTAB_DECLARE(hf_move, HfMove);

/* What is done then; 0: nothing, the phase stays. */
typedef unsigned HfDecision;
/* The table of machine.c. */
HfDecision hf_machine_decision(HfMove move, HfPhase phase);
const char *hf_decision_name(HfDecision decision); /* "." for 0 */

/* Why everything stops. */
typedef enum HfStopReason {
    HF_REASON_NONE,
    HF_REASON_SIGNAL,
    HF_REASON_REQUEST,
    HF_REASON_SERVICE,  /* it has ended by itself, with --exit-with-service */
    HF_REASON_TAKEOVER, /* whose successor did not come up: the old server goes on */
    HF_REASON_SETTINGS, /* of the first start are wrong */
    HF_REASON_MAX_,
} HfStopReason;
HF_STRTAB_DECLARE(hf_stop_reason, HfStopReason);

/* What a stop that was asked for waits for, with an active generation. */
typedef enum HfStopWait {
    HF_WAIT_NONE,
    HF_WAIT_DELAY, /* --stop-delay */
    HF_WAIT_QUEUE, /* until who waits in a queue has been taken */
    HF_WAIT_MAX_,
} HfStopWait;

/* Why a generation is started. */
typedef enum HfCause {
    HF_CAUSE_START,
    HF_CAUSE_CRASH,
    HF_CAUSE_RELOAD,
    HF_CAUSE_RESTART,
    HF_CAUSE_HEALTH,  /* the active generation answers nothing any more */
    HF_CAUSE_RECYCLE, /* it is old, or large */
    HF_CAUSE_MAX_,
} HfCause;
HF_STRTAB_DECLARE(hf_cause, HfCause); /* start, crash, reload, restart, health, recycle */

typedef enum HfRequestKind {
    HF_REQUEST_NONE,
    HF_REQUEST_RELOAD,
    HF_REQUEST_RESTART, /* beats a reload that waits as well */
    HF_REQUEST_STOP,
    HF_REQUEST_UPGRADE,  /* of holdfast's own program; waits while anything is being replaced */
    HF_REQUEST_ROLLBACK, /* to the generation that is parked; answered at once */
    HF_REQUEST_MAX_,
} HfRequestKind;
HF_STRTAB_DECLARE(hf_request_kind, HfRequestKind); /* none, reload, restart, stop, upgrade,
                                                     rollback */

typedef enum HfOutcome {
    HF_OUTCOME_DONE,
    HF_OUTCOME_FAILED,     /* the next generation did not become ready; what was active still is */
    HF_OUTCOME_STOPPING,   /* refused or overtaken by a stop */
    HF_OUTCOME_BUSY,       /* too many callers wait already */
    HF_OUTCOME_NOT_PARKED, /* no generation is, to roll back to */
    HF_OUTCOME_MAX_,
} HfOutcome;
HF_STRTAB_DECLARE(hf_outcome, HfOutcome); /* done, failed, stopping, busy, not-parked */

typedef enum HfTimer {
    HF_TIMER_DEADLINE, /* one a generation: the limit of its stage */
    HF_TIMER_RESPAWN,
    HF_TIMER_STABLE,  /* the active generation has lived long enough to forget earlier failures */
    HF_TIMER_BUSY,    /* no generation has been ready for so long: an outage */
    HF_TIMER_PROBE,   /* the active generation is to be probed */
    HF_TIMER_RECYCLE, /* it is to be replaced because of its age */
    HF_TIMER_STOP,    /* the stop that was asked for has waited long enough */
    HF_TIMER_MAX_,
} HfTimer;
HF_STRTAB_DECLARE(hf_timer,
                  HfTimer); /* deadline, respawn, stable, busy, probe, recycle, stop-wait */

/* What a probe of the active generation found. */
typedef enum HfVerdict {
    HF_VERDICT_HEALTHY,
    HF_VERDICT_SATURATED, /* every worker is busy: that is no death */
    HF_VERDICT_HUNG,      /* busy, and no request was finished since the last probe */
    HF_VERDICT_FAILED,    /* no answer, or a wrong one */
    HF_VERDICT_MAX_,
} HfVerdict;
HF_STRTAB_DECLARE(hf_verdict, HfVerdict); /* healthy, saturated, hung, failed */

/* Events of a generation name its slot and its number; of any other number than the one in the slot
 * they change nothing. */
typedef enum HfEventType {
    HF_EVENT_START,          /* once, before any other */
    HF_EVENT_PREPARED,       /* PREPARE ended well: a next plan is held; takeover, switches */
    HF_EVENT_PREPARE_FAILED, /* nothing is held */
    HF_EVENT_UNBLOCKED,      /* PREPARE waited for somebody who has left: it is done once more */
    HF_EVENT_SPAWN_FAILED,   /* generation: there is no process; status as a shell has it */
    HF_EVENT_READY,          /* generation */
    HF_EVENT_MAIN_EXITED,    /* generation: its main process has been reaped; remain: others that
                                serve on are left; status as a shell has it */
    HF_EVENT_GONE,           /* generation: nothing remains */
    HF_EVENT_TIMER,          /* timer, and generation for DEADLINE */
    HF_EVENT_REQUEST,        /* request kind, id; id 0: nobody waits for the answer */
    HF_EVENT_STOP_SIGNAL,    /* the first stops, the second hurries, the third kills */
    HF_EVENT_QUEUE_SERVED,   /* WATCH_QUEUE found nobody who waits any more */
    HF_EVENT_ENDED,          /* END is over: nothing is left */
    HF_EVENT_REOPEN,         /* every live generation is to reopen its logs */
    HF_EVENT_RETIRED,        /* generation: SIGNAL retire has reached every worker */
    HF_EVENT_EXTEND,         /* generation, usec: asks for more time (EXTEND_TIMEOUT_USEC) */
    HF_EVENT_FALLBACK_GONE,  /* the fallback answerer has ended unasked */
    HF_EVENT_PROBED,         /* generation, verdict: what PROBE found */
    HF_EVENT_TRIED,      /* generation, passed: what TRIAL has found; in place of READY: it is, and
                            its side cannot be switched to */
    HF_EVENT_SIDE_EMPTY, /* generation: WATCH_SIDE found nobody who waits at its side, and no
                            handshake that is unfinished */
    HF_EVENT_OVERSIZE,   /* generation: uses more memory than it may */
    HF_EVENT_LEAVING,    /* generation: says that it leaves, unasked (STOPPING=1) */
    HF_EVENT_UPGRADE_TESTED, /* TEST_UPGRADE ended well; posted again when UPGRADE has to wait */
    HF_EVENT_UPGRADE_FAILED, /* TEST_UPGRADE or UPGRADE ended, and nothing has changed */
    HF_EVENT_RESUME,         /* first in the program that UPGRADE has executed */
    HF_EVENT_ADOPT, /* first in a program that goes on after one that died, from its last snapshot
                     */
    HF_EVENT_MAX_,
} HfEventType;
HF_STRTAB_DECLARE(hf_event, HfEventType);

typedef struct HfEvent {
    HfEventType type;
    unsigned slot;
    uint64_t number; /* of the generation in slot */
    HfTimer timer;
    HfRequestKind request;
    HfVerdict verdict;
    uint64_t id;
    uint64_t usec;
    int status;
    bool takeover; /* what was prepared is to take over from a server that serves, untouched */
    bool switches; /* each of its listeners has two sides, and it may use them */
    bool remain;
    bool passed;
} HfEvent;

/* The step contract. A step's actions are done in their order, each to its end, before the next
 * event is taken; what one of them leads to, at once or later, is posted as an event. First comes
 * what happened and what it means, in the order of cause and effect:
 *
 *     REPORT, SIGNAL (CONTINUE follows the signal that it lets work), PREPARE or ABORT_PREPARE,
 *     DISCARD or COMMIT, SWITCH, SAVE, REPORT of who serves now and of who leaves for it, SIGNAL,
 *     REOPEN, PROBE, ANSWER, TEST_UPGRADE, UPGRADE, HURRY
 *
 * then what follows from the state that this led to, each only where it has changed:
 *
 *     TRIAL and WATCH_SIDE that end, FORGET; FALLBACK and WATCH_QUEUE that end, BACKLOG, DISARM;
 *     SPAWN; ARM; FALLBACK, WATCH_QUEUE, TRIAL and WATCH_SIDE that begin; END; EXIT
 *
 * So a plan is committed, its listeners are switched and that is written down before anybody is
 * told of it (READY, RESUMED, ROLLED_BACK, ANSWER) or asked to leave for it, a plan is committed
 * before it is spawned from, a slot is forgotten before it is used again, the fallback is out of
 * the way of the start of another plan, and nothing follows UPGRADE, END or EXIT. */
typedef enum HfActionType {
    HF_ACTION_PREPARE,       /* cause, reread: the settings; trial: it has to live once beside the
                                active generation; ends in PREPARED or PREPARE_FAILED */
    HF_ACTION_ABORT_PREPARE, /* neither of the two comes any more */
    HF_ACTION_COMMIT,        /* cause; the prepared plan becomes the current one, or, with a number,
                                that of the generation in slot */
    HF_ACTION_DISCARD,       /* the prepared plan is dropped */
    HF_ACTION_SWITCH, /* side: new connections to each listener of the current plan go to it */
    HF_ACTION_SAVE,   /* what another program would go on with is written now */
    HF_ACTION_SPAWN,  /* slot, number, cause, side, prepared: from the prepared plan, else the
                         current one */
    HF_ACTION_TRIAL,  /* slot; raised: is tried, which ends in TRIED; or no longer */
    HF_ACTION_SIGNAL, /* slot, stage: STOP and TERM to the main process, or to all when it has left;
                         KILL to all */
    HF_ACTION_CONTINUE, /* slot: its main process was stopped (SIGSTOP); continue it (SIGCONT) */
    HF_ACTION_REOPEN,   /* slot */
    HF_ACTION_ARM,      /* timer, slot, usec; spread: anywhere in the last half of it; extend: never
                           earlier than it would have elapsed */
    HF_ACTION_DISARM,   /* timer, slot */
    HF_ACTION_FORGET,   /* slot: what belonged to the generation is let go */
    HF_ACTION_BACKLOG,  /* raised: to somaxconn, or back to what the settings say */
    HF_ACTION_FALLBACK, /* raised: the fallback takes the listeners' connections, or ends */
    HF_ACTION_WATCH_QUEUE,  /* raised: look who waits until nobody does, which ends in QUEUE_SERVED;
                               or no longer */
    HF_ACTION_WATCH_SIDE,   /* slot; raised: look whether anybody waits at its side, which ends in
                               SIDE_EMPTY when nobody does; or no longer */
    HF_ACTION_PROBE,        /* slot; ends in PROBED unless the generation leaves before */
    HF_ACTION_ANSWER,       /* id, outcome */
    HF_ACTION_REPORT,       /* report, slot, number, cause, usec: for the log and whoever listens */
    HF_ACTION_TEST_UPGRADE, /* ends in UPGRADE_TESTED or UPGRADE_FAILED */
    HF_ACTION_UPGRADE, /* the last action of a step; ends in RESUME, UPGRADE_FAILED or, when events
                          wait, in UPGRADE_TESTED */
    HF_ACTION_END, /* what is left of the service is ended, and its sockets are let go; status; ends
                      in ENDED */
    HF_ACTION_HURRY, /* what END ends is asked harder */
    HF_ACTION_EXIT,  /* status; the last action ever */
    HF_ACTION_MAX_,
} HfActionType;
HF_STRTAB_DECLARE(hf_action, HfActionType);

/* What happened, for people: their names are those of the notices, the history and the events. */
typedef enum HfReport {
    HF_REPORT_READY,         /* slot is active now */
    HF_REPORT_CRASHED,       /* slot was active and left unasked */
    HF_REPORT_START_FAILED,  /* slot left or was not ready in time (timed_out), or, of number 0,
                                nothing could be prepared; and no generation is active */
    HF_REPORT_RELOAD_FAILED, /* the same, whatever the cause, and the old one is active still */
    HF_REPORT_RETRY,         /* no generation is whole; the next start is in usec */
    HF_REPORT_DRAINING,      /* slot was asked to leave */
    HF_REPORT_HURRIED,       /* slot did not leave in time: stage */
    HF_REPORT_GONE,          /* slot */
    HF_REPORT_WAITING,       /* the replacement waits until a draining generation is gone, or does
                                not settle any more */
    HF_REPORT_STOPPING,
    HF_REPORT_OUTAGE,      /* no generation has been ready for usec */
    HF_REPORT_RECOVERED,   /* the outage is over: slot is active */
    HF_REPORT_HEALTHY,     /* slot answers its probe again */
    HF_REPORT_SATURATED,   /* slot: probed, every worker is busy */
    HF_REPORT_HUNG,        /* slot: busy without an end; status: how many probes in a row */
    HF_REPORT_UNHEALTHY,   /* slot failed a probe; status: how many in a row. Doubted: it would be
                              replaced, but that did not help before, the probe may be wrong; status:
                              how many in a row it now takes */
    HF_REPORT_PARKED,      /* slot lives on beside its successor, for usec at most */
    HF_REPORT_ROLLED_BACK, /* slot, which was parked, is active again */
    HF_REPORT_LEAVING,     /* slot was active and leaves unasked */
    HF_REPORT_RESUMED,     /* slot is active again: its successor left while it settled */
    HF_REPORT_UPGRADED,    /* this is the new program */
    HF_REPORT_UPGRADE_FAILED, /* the old one goes on */
    HF_REPORT_ADOPTED,        /* what a program that died left behind */
    HF_REPORT_DELAYED,        /* a stop waits for usec (--stop-delay) */
    HF_REPORT_SERVICE_ENDED,  /* slot: the service did, and all stops; status */
    HF_REPORT_TAKEOVER_FAILED,
    HF_REPORT_MAX_,
} HfReport;
HF_STRTAB_DECLARE(hf_report, HfReport); /* ready, crashed, start-failed, ... */

/* A start came to nothing. */
static inline bool hf_report_is_failure(HfReport report)
{
    return report == HF_REPORT_START_FAILED || report == HF_REPORT_RELOAD_FAILED;
}

typedef struct HfAction {
    HfActionType type;
    unsigned slot;
    uint64_t number; /* of the generation in slot */
    HfCause cause;
    HfStage stage;
    HfTimer timer;
    HfReport report;
    HfOutcome outcome;
    uint64_t id;
    uint64_t usec;
    int status;
    unsigned side;
    bool spread;
    bool extend;
    bool prepared;
    bool raised;
    bool timed_out;
    bool doubted;
    bool reread;
    bool trial;
} HfAction;

#define HF_MACHINE_MOVES_MAX 4 /* of one step */

typedef struct HfActions {
    size_t n;
    size_t n_moves; /* for those who watch: where the table was looked at */
    struct {
        HfMove move;
        HfPhase phase; /* in which it came */
        HfPhase after;
    } moves[HF_MACHINE_MOVES_MAX];
    HfAction list[HF_MACHINE_ACTIONS_MAX];
} HfActions;

/* usec. */
typedef struct HfMachineLimits {
    uint64_t ready_timeout;
    uint64_t drain_timeout; /* from the stop signal to TERM */
    uint64_t term_timeout;  /* from TERM to KILL */
    uint64_t kill_interval; /* from one KILL to the next */
    uint64_t backoff_max;
    uint64_t stable_time; /* failures before it count */
    uint64_t stop_delay;  /* the service goes on for so long when a stop was asked for */
    bool exit_with_service;
    bool retires; /* its generations can settle and retire */
    bool gentle;  /* a reload's old generation does, if it can, before it is stopped */
    uint64_t settle_time;
    uint64_t retire_time;    /* at most, for all workers of a generation */
    uint64_t side_time;      /* at most, until nobody waits at a side that was left */
    bool tries;              /* there is something that a generation has to pass before a switch */
    uint64_t trial_time;     /* at most */
    uint64_t park_time;      /* a generation that was switched from lives on for so long; 0: none */
    uint64_t busy_after;     /* HF_USEC_INFINITY: never */
    uint64_t probe_every;    /* 0: never */
    unsigned probe_failures; /* failed ones in a row, until it is replaced; >= 1 */
    unsigned probe_hung;     /* the same of those that find it hung; 0: never */
    unsigned probe_doublings; /* of both at most, one for each replacement that did not help */
    uint64_t recycle_every;   /* 0: never; anywhere in the last half of it */
    unsigned max_draining;    /* 1 to HF_MACHINE_DRAINING_MAX: a reload waits above it */
} HfMachineLimits;

typedef enum HfUpgrade {
    HF_UPGRADE_NONE,
    HF_UPGRADE_WANTED,  /* waits until nothing is being replaced */
    HF_UPGRADE_TESTING, /* from TEST_UPGRADE to the end of UPGRADE */
    HF_UPGRADE_MAX_,
} HfUpgrade;
HF_STRTAB_DECLARE(hf_upgrade, HfUpgrade); /* none, wanted, testing */

typedef struct HfMachineGeneration {
    HfStage stage;
    bool main_exited;
    bool given_up;       /* by another program, before it was known to serve */
    bool reopen;         /* to be passed on once it is ready */
    unsigned side;       /* that it was started on */
    unsigned extensions; /* of the limit that were granted, of the start or of the drain */
    uint64_t number;
} HfMachineGeneration;

typedef struct HfMachineRequest {
    uint64_t id; /* 0: free */
    HfRequestKind kind;
    bool next; /* waits for the replacement after the one that runs */
} HfMachineRequest;

typedef struct HfMachine {
    HfMachineLimits limits;
    HfMachineLimits next; /* from the next COMMIT on; those of a generation started before it */
    HfPhase phase;
    unsigned side;         /* to which new connections go */
    HfCause cause;         /* of the replacement that runs */
    HfRequestKind pending; /* the replacement that follows it */
    HfStage hurry;         /* of a stop: everybody is at least there */
    HfUpgrade upgrade;
    HfStopReason stop;  /* NONE: none was asked for */
    HfStopWait wait;    /* of that stop */
    int status;         /* of the end; negative: that of the service, once it is known */
    bool planned;       /* a plan was committed */
    bool switches;      /* what is started of it may be started on the standby side */
    bool prepared;      /* a prepared plan is held */
    bool switches_next; /* the same of that */
    bool takeover;      /* the server that is taken over from serves, untouched */
    bool overdue;       /* BUSY has elapsed: callers are to be answered */
    bool outage;        /* was reported */
    bool probing;       /* PROBE was done, PROBED is awaited */
    bool recycled;      /* RECYCLE has elapsed for what is active */
    HfVerdict probed;   /* the active generation's last one, HEALTHY before the first */
    unsigned misses;    /* how many in a row were that, if it may lead to a replacement */
    unsigned doubts;    /* how often the misses that it takes have doubled */
    unsigned failures;  /* in a row */
    uint64_t last_number;
    HfMachineGeneration generations[HF_MACHINE_SLOTS];
    HfMachineRequest requests[HF_MACHINE_REQUESTS];
} HfMachine;

void hf_machine_init(HfMachine *machine, const HfMachineLimits *limits);

/* The limits that belong to what is being prepared; between PREPARE and PREPARED. They count from
 * its COMMIT on, and as the ready timeout of a generation that is started before; timers that are
 * armed already keep running. Without a call nothing changes. */
void hf_machine_offer(HfMachine *machine, const HfMachineLimits *limits);

/* Takes one event. ret is overwritten with the ordered actions. Events that do not fit the state (a
 * late timer, a slot that is empty) change nothing. */
void hf_machine_step(HfMachine *machine, const HfEvent *event, HfActions *ret);

/* Could hf_machine_step have led here? A machine that was read from a snapshot may only be used
 * when it is so. */
bool hf_machine_is_sound(const HfMachine *machine);

/* The slot in a stage, or -1. With several the first. */
int hf_machine_find(const HfMachine *machine, HfStage stage);
/* How many slots are in a stage. */
unsigned hf_machine_count(const HfMachine *machine, HfStage stage);
unsigned hf_machine_count_leaving(const HfMachine *machine);
/* The active generation has its main process. */
bool hf_machine_is_whole(const HfMachine *machine);
/* It is wanted that a generation serves, and none does. */
bool hf_machine_in_gap(const HfMachine *machine);
/* Nothing is started any more. */
static inline bool hf_machine_stops(const HfMachine *machine)
{
    return machine->phase >= HF_PHASE_STOPPING;
}
