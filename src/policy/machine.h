/* SPDX-License-Identifier: MIT */
/* The supervisor's whole policy: events in, actions out. Flat, no pointers, no allocation, no
 * clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

#ifndef HF_MACHINE_SLOTS /* the explorer has fewer of both */
#define HF_MACHINE_SLOTS    8
#define HF_MACHINE_REQUESTS 32 /* callers waiting at the same time */
#endif
#define HF_MACHINE_DRAINING_MAX                                                                    \
    (HF_MACHINE_SLOTS - 3)                      /* leaves room for active, starting and a crash */
#define HF_MACHINE_SIDES       HF_MACHINE_SLOTS /* so that one is free for a new generation */
#define HF_MACHINE_ACTIONS_MAX 128              /* of one step */
#define HF_MACHINE_EXTENSIONS                                                                      \
    16 /* for a generation's start, and again for its drain; each at most as long as the timeout   \
        */

/* The stages of a generation's life; once it has been asked to leave it can only be pressed harder.
 */
typedef enum HfStage {
    HF_STAGE_EMPTY,
    HF_STAGE_STARTING,
    HF_STAGE_TRIAL,  /* ready, and tried on the standby side before any client reaches it */
    HF_STAGE_ACTIVE, /* serves; without its main process the remaining workers do, until the next
                        switch */
    HF_STAGE_PARKED, /* its successor serves; it lives on, on its side, and may serve again */
    HF_STAGE_SETTLE, /* finishes what is left on its side or (gentle) serves beside its successor,
                        which warms up */
    HF_STAGE_RETIRE, /* gentle: its main process is stopped (SIGSTOP), its workers are asked to
                        leave one by one */
    HF_STAGE_STOP,   /* got the service's own stop signal, or leaves by itself */
    HF_STAGE_TERM,
    HF_STAGE_KILL,
    HF_STAGE_MAX_,
} HfStage;
HF_STRTAB_DECLARE(
    hf_stage,
    HfStage); /* empty, starting, trial, active, parked, settle, retire, stop, term, kill */

/* Has it been asked to leave, or does it leave by itself? */
static inline bool hf_stage_leaves(HfStage stage)
{
    return stage >= HF_STAGE_SETTLE;
}

/* What the replacement is waiting for; there is at most one, from PREPARING to TRYING. */
typedef enum HfPhase {
    HF_PHASE_NEW,       /* nothing has happened yet */
    HF_PHASE_IDLE,      /* a generation is active, nothing is being replaced */
    HF_PHASE_PREPARING, /* for PREPARED or PREPARE_FAILED */
    HF_PHASE_WAITING,   /* for a slot */
    HF_PHASE_CLEARING,  /* stop-first: until every generation is gone */
    HF_PHASE_STARTING,  /* for READY of the starting generation */
    HF_PHASE_TRYING,    /* for TRIED of the one on trial */
    HF_PHASE_BACKOFF,   /* for the respawn timer */
    HF_PHASE_STOPPING,  /* until every generation is gone */
    HF_PHASE_ENDING,    /* for ENDED: until nothing remains of the service */
    HF_PHASE_ENDED,
    HF_PHASE_MAX_,
} HfPhase;
HF_STRTAB_DECLARE(hf_phase, HfPhase);

/* What can happen to a replacement. */
typedef enum HfMove {
    HF_MOVE_BEGIN,     /* START */
    HF_MOVE_PREPARED,  /* there is a prepared plan */
    HF_MOVE_UNBLOCKED, /* another attempt to prepare may succeed */
    HF_MOVE_REFUSED,   /* no plan could be prepared */
    HF_MOVE_READY,     /* of the starting generation */
    HF_MOVE_PASSED,    /* its trial */
    HF_MOVE_FAILED,    /* the generation that was starting or on trial failed */
    HF_MOVE_LOST,  /* the active generation, or just its main process; no earlier one serves instead
                    */
    HF_MOVE_FREED, /* a slot is free, or a generation no longer settles */
    HF_MOVE_DUE,   /* it is time for the next start after failures */
    HF_MOVE_WISHED,   /* a reload or a restart is wanted */
    HF_MOVE_ILL,      /* the active generation has been unhealthy for long enough */
    HF_MOVE_AGED,     /* the active generation is old, or large */
    HF_MOVE_ROLLBACK, /* to the parked generation */
    HF_MOVE_STOP,
    HF_MOVE_OVER, /* ENDED */
    HF_MOVE_MAX_,
} HfMove;
HF_STRTAB_DECLARE(hf_move, HfMove);

/* The decision to take; 0: none, the phase stays. */
typedef unsigned HfDecision;
/* The table in machine_replacement.c. */
HfDecision hf_machine_decision(HfMove move, HfPhase phase);
const char *hf_decision_name(HfDecision decision); /* "." for 0 */

/* Why everything stops. */
typedef enum HfStopReason {
    HF_REASON_NONE,
    HF_REASON_SIGNAL,
    HF_REASON_REQUEST,
    HF_REASON_SERVICE,  /* it ended by itself, with --exit-with-service */
    HF_REASON_TAKEOVER, /* the take-over's successor did not come up: the old server goes on */
    HF_REASON_SETTINGS, /* the settings of the first start are wrong */
    HF_REASON_MAX_,
} HfStopReason;
HF_STRTAB_DECLARE(hf_stop_reason, HfStopReason);

/* What a requested stop waits for while a generation is active. */
typedef enum HfStopWait {
    HF_WAIT_NONE,
    HF_WAIT_DELAY, /* --stop-delay */
    HF_WAIT_QUEUE, /* until the clients in the queue have been served */
    HF_WAIT_MAX_,
} HfStopWait;

/* Why a generation is started. */
typedef enum HfCause {
    HF_CAUSE_START,
    HF_CAUSE_CRASH,
    HF_CAUSE_RELOAD,
    HF_CAUSE_RESTART,
    HF_CAUSE_HEALTH,  /* the active generation no longer answers */
    HF_CAUSE_RECYCLE, /* it is old, or large */
    HF_CAUSE_MAX_,
} HfCause;
HF_STRTAB_DECLARE(hf_cause, HfCause); /* start, crash, reload, restart, health, recycle */

typedef enum HfRequestKind {
    HF_REQUEST_NONE,
    HF_REQUEST_RELOAD,
    HF_REQUEST_RESTART, /* takes precedence over a reload that waits as well */
    HF_REQUEST_STOP,
    HF_REQUEST_UPGRADE,  /* of holdfast's own program; waits while anything is being replaced */
    HF_REQUEST_ROLLBACK, /* to the parked generation; answered at once */
    HF_REQUEST_MAX_,
} HfRequestKind;
HF_STRTAB_DECLARE(hf_request_kind, HfRequestKind); /* none, reload, restart, stop, upgrade,
                                                     rollback */

typedef enum HfOutcome {
    HF_OUTCOME_DONE,
    HF_OUTCOME_FAILED,     /* the next generation failed; the active one is unchanged */
    HF_OUTCOME_STOPPING,   /* refused or overtaken by a stop */
    HF_OUTCOME_BUSY,       /* too many callers are waiting already */
    HF_OUTCOME_NOT_PARKED, /* there is no parked generation to roll back to */
    HF_OUTCOME_MAX_,
} HfOutcome;
HF_STRTAB_DECLARE(hf_outcome, HfOutcome); /* done, failed, stopping, busy, not-parked */

typedef enum HfTimer {
    HF_TIMER_DEADLINE, /* one per generation: the limit of its stage */
    HF_TIMER_RESPAWN,
    HF_TIMER_STABLE,  /* has been active for long enough to forget earlier failures */
    HF_TIMER_BUSY,    /* no generation has been ready for that long: an outage */
    HF_TIMER_PROBE,   /* time to probe the active generation */
    HF_TIMER_RECYCLE, /* time to replace it because of its age */
    HF_TIMER_STOP,    /* the requested stop has waited long enough */
    HF_TIMER_MAX_,
} HfTimer;
HF_STRTAB_DECLARE(hf_timer,
                  HfTimer); /* deadline, respawn, stable, busy, probe, recycle, stop-wait */

/* What a probe of the active generation found. */
typedef enum HfVerdict {
    HF_VERDICT_HEALTHY,
    HF_VERDICT_SATURATED, /* every worker is busy, which is not a failure */
    HF_VERDICT_HUNG,      /* busy, and no request has finished since the last probe */
    HF_VERDICT_FAILED,    /* no answer, or a wrong one */
    HF_VERDICT_MAX_,
} HfVerdict;
HF_STRTAB_DECLARE(hf_verdict, HfVerdict); /* healthy, saturated, hung, failed */

typedef enum HfEventType {
    HF_EVENT_START,          /* once, before any other */
    HF_EVENT_PREPARED,       /* PREPARE succeeded: there is a next plan; takeover, switches */
    HF_EVENT_PREPARE_FAILED, /* there is none */
    HF_EVENT_UNBLOCKED,      /* whatever blocked PREPARE has left: it is repeated */
    HF_EVENT_TIMER,          /* timer; for DEADLINE an event of a generation, see below */
    HF_EVENT_REQUEST,        /* request kind, id; id 0: nobody waits for the answer */
    HF_EVENT_STOP_SIGNAL,    /* the first stops, the second hurries, the third kills */
    HF_EVENT_QUEUE_SERVED,   /* WATCH_QUEUE found the queues empty */
    HF_EVENT_ENDED,          /* END is over: nothing remains */
    HF_EVENT_REOPEN,         /* every live generation is to reopen its logs */
    HF_EVENT_FALLBACK_GONE,  /* the fallback answerer ended by itself */
    HF_EVENT_UPGRADE_TESTED, /* TEST_UPGRADE succeeded; posted again when UPGRADE has to wait */
    HF_EVENT_UPGRADE_FAILED, /* TEST_UPGRADE or UPGRADE failed, and nothing has changed */
    HF_EVENT_RESUME,         /* the first event in the program that UPGRADE has executed */
    HF_EVENT_ADOPT, /* the first event in a program that continues from a dead one's last snapshot
                     */

    /* From here on: of a generation, by its slot and number. If the slot now holds another number,
     * they change nothing. */
    HF_EVENT_SPAWN_FAILED, /* there is no process; status as a shell reports it */
    HF_EVENT_READY,
    HF_EVENT_MAIN_EXITED, /* its main process has been reaped; remain: workers go on serving; status
                             as a shell reports it */
    HF_EVENT_GONE,        /* no process remains */
    HF_EVENT_RETIRED,     /* SIGNAL retire has reached every worker */
    HF_EVENT_EXTEND,      /* usec: asks for more time (EXTEND_TIMEOUT_USEC) */
    HF_EVENT_PROBED,      /* verdict: the result of PROBE */
    HF_EVENT_TRIED,       /* passed: the result of TRIAL; in place of READY: it is ready, but its
                             side cannot be switched to */
    HF_EVENT_SIDE_EMPTY,  /* WATCH_SIDE found neither waiting clients nor unfinished handshakes on
                             its side */
    HF_EVENT_OVERSIZE,    /* uses more memory than it may */
    HF_EVENT_LEAVING,     /* announces that it leaves by itself (STOPPING=1) */
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
    bool takeover; /* the prepared plan takes over from a server that still serves */
    bool switches; /* all listeners of the plan have two sides and may use them */
    bool remain;
    bool passed;
} HfEvent;

/* The step contract. A step's actions are performed in order, each completely, before the next
 * event is taken; their results, immediate or later, are posted as events. First comes what
 * happened and what it means, in the order of cause and effect:
 *
 *     REPORT, SIGNAL (CONTINUE follows the signal that it lets work), PREPARE or ABORT_PREPARE,
 *     DISCARD or COMMIT, SWITCH, SAVE, REPORT of which generation serves now and which leaves for
 *     it, SIGNAL, REOPEN, PROBE, ANSWER, TEST_UPGRADE, UPGRADE, HURRY
 *
 * then what follows from the state that this led to, each only where it has changed:
 *
 *     TRIAL and WATCH_SIDE that end, FORGET; FALLBACK and WATCH_QUEUE that end, BACKLOG, DISARM;
 *     SPAWN; ARM; FALLBACK, WATCH_QUEUE, TRIAL and WATCH_SIDE that begin; END; EXIT
 *
 * So a plan is committed, its listeners are switched and that is saved before anybody hears of it
 * (READY, RESUMED, ROLLED_BACK, ANSWER) and before an old generation is asked to leave; a plan is
 * committed before it is spawned from, a slot is forgotten before it is used again, the fallback
 * ends before another plan is started, and nothing follows UPGRADE, END or EXIT. */
typedef enum HfActionType {
    HF_ACTION_PREPARE,       /* cause, reread: the settings; trial: try it first beside the active
                                generation; ends in PREPARED or PREPARE_FAILED */
    HF_ACTION_ABORT_PREPARE, /* PREPARED or PREPARE_FAILED will not come any more */
    HF_ACTION_COMMIT, /* cause; makes the prepared plan the current one, or, with a number, the plan
                         of the generation in slot */
    HF_ACTION_DISCARD, /* drops the prepared plan */
    HF_ACTION_SWITCH,  /* side: new connections to all listeners of the current plan go there */
    HF_ACTION_SAVE,    /* writes the snapshot that another program would continue from */
    HF_ACTION_SPAWN,   /* slot, number, cause, side, prepared: from the prepared plan, else the
                          current one */
    HF_ACTION_TRIAL,   /* slot; raised: try it, which ends in TRIED; not raised: stop that */
    HF_ACTION_SIGNAL, /* slot, stage: STOP and TERM to the main process, or to all if it has exited;
                         KILL to all */
    HF_ACTION_CONTINUE, /* slot: its main process was stopped (SIGSTOP); continue it (SIGCONT) */
    HF_ACTION_REOPEN,   /* slot */
    HF_ACTION_ARM,    /* timer, slot, usec; spread: at a random time in the last half; extend: never
                         earlier than armed before */
    HF_ACTION_DISARM, /* timer, slot */
    HF_ACTION_FORGET, /* slot: release everything that belonged to the generation */
    HF_ACTION_BACKLOG,      /* raised: to somaxconn; not raised: to the settings' value */
    HF_ACTION_FALLBACK,     /* raised: the fallback accepts connections; not raised: it ends */
    HF_ACTION_WATCH_QUEUE,  /* raised: watch the queues until they are empty, which ends in
                               QUEUE_SERVED; not raised: stop */
    HF_ACTION_WATCH_SIDE,   /* slot; raised: watch its side until nobody waits there, which ends in
                               SIDE_EMPTY; not raised: stop */
    HF_ACTION_PROBE,        /* slot; ends in PROBED unless the generation leaves first */
    HF_ACTION_ANSWER,       /* id, outcome */
    HF_ACTION_REPORT,       /* report, slot, number, cause, usec: for the log and all listeners */
    HF_ACTION_TEST_UPGRADE, /* ends in UPGRADE_TESTED or UPGRADE_FAILED */
    HF_ACTION_UPGRADE, /* the last action of a step; ends in RESUME, UPGRADE_FAILED or, if events
                          are waiting, in UPGRADE_TESTED */
    HF_ACTION_END,     /* ends what remains of the service, then closes its sockets; status; ends in
                          ENDED */
    HF_ACTION_ESCALATE, /* presses harder on what END is ending */
    HF_ACTION_EXIT,     /* status; the last action of all */
    HF_ACTION_MAX_,
} HfActionType;
HF_STRTAB_DECLARE(hf_action, HfActionType);

/* What happened, for people: notices, history and events have these names. */
typedef enum HfReport {
    HF_REPORT_READY,        /* slot is active now */
    HF_REPORT_CRASHED,      /* slot was active and left by itself */
    HF_REPORT_START_FAILED, /* slot left or was not ready in time (timed_out), or (number 0) nothing
                               could be prepared; no generation is active */
    HF_REPORT_RELOAD_FAILED, /* the same for any cause, while the old generation is still active */
    HF_REPORT_RETRY,         /* no generation has its main process; the next start is in usec */
    HF_REPORT_DRAINING,      /* slot was asked to leave */
    HF_REPORT_HURRIED,       /* slot did not leave in time: new stage */
    HF_REPORT_GONE,          /* slot */
    HF_REPORT_WAITING, /* the replacement waits for a draining generation to be gone, or to have
                          settled */
    HF_REPORT_STOPPING,
    HF_REPORT_OUTAGE,         /* no generation has been ready for usec */
    HF_REPORT_RECOVERED,      /* the outage is over: slot is active */
    HF_REPORT_HEALTHY,        /* slot passes its probe again */
    HF_REPORT_SATURATED,      /* slot: its probe found every worker busy */
    HF_REPORT_HUNG,           /* slot: busy for too long; status: how many probes in a row */
    HF_REPORT_UNHEALTHY,      /* slot failed a probe; status: how many in a row. Doubted: it is not
                                 replaced, as that did not help before and the probe may be wrong;
                                 status: how many in a row it now takes */
    HF_REPORT_PARKED,         /* slot lives on beside its successor, at most usec */
    HF_REPORT_ROLLED_BACK,    /* the parked slot is active again */
    HF_REPORT_LEAVING,        /* slot was active and leaves by itself */
    HF_REPORT_RESUMED,        /* slot is active again: its successor left while it was settling */
    HF_REPORT_UPGRADED,       /* this is the new program */
    HF_REPORT_UPGRADE_FAILED, /* the old one goes on */
    HF_REPORT_ADOPTED,        /* this program continues what a dead one left behind */
    HF_REPORT_DELAYED,        /* a stop is delayed by usec (--stop-delay) */
    HF_REPORT_SERVICE_ENDED,  /* slot: the service ended, so everything stops; status */
    HF_REPORT_TAKEOVER_FAILED,
    HF_REPORT_MAX_,
} HfReport;
HF_STRTAB_DECLARE(hf_report, HfReport); /* ready, crashed, start-failed, ... */

/* Did a start fail? */
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

#define HF_MACHINE_MOVES_MAX 4 /* per step */

typedef struct HfActions {
    size_t n;
    size_t n_moves; /* how often the table was looked up, for observers */
    struct {
        HfMove move;
        HfPhase phase; /* before the move */
        HfPhase after;
    } moves[HF_MACHINE_MOVES_MAX];
    HfAction list[HF_MACHINE_ACTIONS_MAX];
} HfActions;

/* All times in usec. */
typedef struct HfMachineLimits {
    uint64_t ready_timeout;
    uint64_t drain_timeout; /* from the stop signal to TERM */
    uint64_t term_timeout;  /* from TERM to KILL */
    uint64_t kill_interval; /* from one KILL to the next */
    uint64_t backoff_max;
    uint64_t stable_time; /* after which earlier failures no longer count */
    uint64_t stop_delay;  /* for which the service goes on when a stop is requested */
    bool exit_with_service;
    bool retires; /* its generations can settle and retire */
    bool gentle;  /* after a reload the old generation retires, if it can, before it is stopped */
    uint64_t settle_time;
    uint64_t retire_time;     /* at most, for all workers of a generation */
    uint64_t side_time;       /* at most, until nobody waits on the side that was left */
    bool tries;               /* a generation has something to pass before a switch */
    uint64_t trial_time;      /* at most */
    uint64_t park_time;       /* how long a replaced generation lives on; 0: it does not */
    uint64_t busy_after;      /* HF_USEC_INFINITY: never */
    uint64_t probe_every;     /* 0: never */
    unsigned probe_failures;  /* failed probes in a row before it is replaced; >= 1 */
    unsigned probe_hung;      /* the same for probes that find it hung; 0: never */
    unsigned probe_doublings; /* at most, of both; one after each replacement that did not help */
    uint64_t recycle_every;   /* 0: never; varied over the last half of it */
    unsigned max_draining; /* 1 to HF_MACHINE_DRAINING_MAX: a reload waits while there are more */
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
    bool given_up;       /* started by an earlier program that did not live to see it serve */
    bool reopen;         /* to be forwarded once it is ready */
    unsigned side;       /* on which it was started */
    unsigned extensions; /* of the limit that were granted, for the start or for the drain */
    uint64_t number;
} HfMachineGeneration;

typedef struct HfMachineRequest {
    uint64_t id; /* 0: free */
    HfRequestKind kind;
    bool next; /* waits for the replacement after the current one */
} HfMachineRequest;

typedef struct HfMachine {
    HfMachineLimits limits;
    HfMachineLimits next;   /* from the next COMMIT on; those of a generation started before it */
    HfMachineLimits before; /* until the last COMMIT: those of whoever is parked */
    HfPhase phase;
    unsigned side;         /* new connections go there */
    HfCause cause;         /* of the current replacement */
    HfRequestKind pending; /* the replacement to follow the current one */
    HfStage stop_stage;    /* of a stop: the stage that every generation has reached at least */
    HfUpgrade upgrade;
    HfStopReason stop;      /* NONE: not stopping */
    HfStopWait wait;        /* what that stop waits for */
    int status;             /* exit status; negative: the service's, once it is known */
    bool planned;           /* a plan was committed */
    bool switches;          /* generations of the plan may be started on the standby side */
    bool prepared;          /* there is a prepared plan */
    bool switches_next;     /* the prepared plan's value of switches */
    bool takeover;          /* the server to be taken over still serves */
    bool overdue;           /* BUSY has elapsed: callers get an answer */
    bool outage;            /* has been reported */
    bool probing;           /* waiting for PROBED */
    bool recycled;          /* RECYCLE has elapsed for the active generation */
    HfVerdict probed;       /* last result for the active generation, HEALTHY before the first */
    unsigned misses;        /* how many in a row had that result, if it can lead to a replacement */
    unsigned probe_backoff; /* how often the number of misses it takes has doubled */
    unsigned failures;      /* in a row */
    uint64_t last_number;
    HfMachineGeneration generations[HF_MACHINE_SLOTS];
    HfMachineRequest requests[HF_MACHINE_REQUESTS];
} HfMachine;

void hf_machine_init(HfMachine *machine, const HfMachineLimits *limits);

/* The limits of the plan being prepared; call between PREPARE and PREPARED. They apply from its
 * COMMIT on, and before that as the ready timeout of a generation made of it; armed timers keep
 * running. Without a call the limits stay as they are. */
void hf_machine_offer(HfMachine *machine, const HfMachineLimits *limits);

/* Takes one event and overwrites ret with the ordered actions. Events that do not fit the state (a
 * late timer, an empty slot) change nothing. */
void hf_machine_step(HfMachine *machine, const HfEvent *event, HfActions *ret);

/* Could hf_machine_step have led to this state? To be checked for a machine read from a snapshot.
 */
bool hf_machine_is_sound(const HfMachine *machine);

/* The first slot in a stage, or -1. */
int hf_machine_find(const HfMachine *machine, HfStage stage);
/* How many slots are in a stage. */
unsigned hf_machine_count(const HfMachine *machine, HfStage stage);
unsigned hf_machine_count_leaving(const HfMachine *machine);
/* Is there an active generation with its main process? */
bool hf_machine_is_whole(const HfMachine *machine);
/* Should a generation be serving, while none is? */
bool hf_machine_is_unserved(const HfMachine *machine);
/* Is nothing started any more? */
static inline bool hf_machine_stops(const HfMachine *machine)
{
    return machine->phase >= HF_PHASE_STOPPING;
}
