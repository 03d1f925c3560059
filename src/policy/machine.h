/* The supervisor's whole policy: events in, actions out. Flat, no pointers, no allocation, no
 * clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "base/strtab.h"

#define HF_MACHINE_SLOTS 8
#define HF_MACHINE_DRAINING_MAX                                                                    \
    (HF_MACHINE_SLOTS - 3)         /* leaves room for active, starting and a crash */
#define HF_MACHINE_REQUESTS    32  /* callers that wait at the same time */
#define HF_MACHINE_ACTIONS_MAX 128 /* of one step */
#define HF_MACHINE_EXTENSIONS                                                                      \
    16 /* of a generation's start, and again of its drain; each at most as long as the timeout */

typedef enum HfGenerationState {
    HF_GENERATION_EMPTY,
    HF_GENERATION_STARTING,
    HF_GENERATION_ACTIVE,
    HF_GENERATION_DRAINING,
    HF_GENERATION_STATE_MAX_,
} HfGenerationState;
HF_STRTAB_DECLARE(hf_generation_state, HfGenerationState); /* empty, starting, active, draining */

/* The drain ladder. A generation is only ever asked harder. */
typedef enum HfRung {
    HF_RUNG_NONE,
    HF_RUNG_SETTLE, /* gentle: goes on serving beside its successor, which warms up */
    HF_RUNG_RETIRE, /* gentle: the main process is stopped (SIGSTOP), its workers are asked one by
                       one */
    HF_RUNG_STOP,   /* the service's own stop signal */
    HF_RUNG_TERM,
    HF_RUNG_KILL,
    HF_RUNG_MAX_,
} HfRung;
HF_STRTAB_DECLARE(hf_rung, HfRung); /* none, settle, retire, stop, term, kill */

/* What the one replacement that may run is waiting for. */
typedef enum HfPhase {
    HF_PHASE_NEW,       /* nothing happened yet */
    HF_PHASE_IDLE,      /* a generation is active, nothing is being replaced */
    HF_PHASE_PREPARING, /* for PREPARED or PREPARE_FAILED */
    HF_PHASE_WAITING,   /* for a slot */
    HF_PHASE_CLEARING,  /* stop-first: until every generation is gone */
    HF_PHASE_STARTING,  /* for READY of the starting generation */
    HF_PHASE_BACKOFF,   /* for the respawn timer */
    HF_PHASE_STOPPING,  /* until every generation is gone, then the end */
    HF_PHASE_ENDED,
    HF_PHASE_MAX_,
} HfPhase;
HF_STRTAB_DECLARE(hf_phase, HfPhase);

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
    HF_REQUEST_UPGRADE, /* of holdfast's own program; waits while anything is being replaced */
    HF_REQUEST_MAX_,
} HfRequestKind;
HF_STRTAB_DECLARE(hf_request_kind, HfRequestKind); /* none, reload, restart, stop, upgrade */

typedef enum HfOutcome {
    HF_OUTCOME_DONE,
    HF_OUTCOME_FAILED,   /* the next generation did not become ready; what was active still is */
    HF_OUTCOME_STOPPING, /* refused or overtaken by a stop */
    HF_OUTCOME_BUSY,     /* too many callers wait already */
    HF_OUTCOME_MAX_,
} HfOutcome;
HF_STRTAB_DECLARE(hf_outcome, HfOutcome); /* done, failed, stopping, busy */

typedef enum HfTimer {
    HF_TIMER_DEADLINE, /* one a generation: ready timeout, then the rungs of the ladder */
    HF_TIMER_RESPAWN,
    HF_TIMER_STABLE,  /* the active generation has lived long enough to forget earlier failures */
    HF_TIMER_BUSY,    /* no generation has been ready for so long: an outage */
    HF_TIMER_PROBE,   /* the active generation is to be probed */
    HF_TIMER_RECYCLE, /* it is to be replaced because of its age */
    HF_TIMER_MAX_,
} HfTimer;
HF_STRTAB_DECLARE(hf_timer, HfTimer); /* deadline, respawn, stable, busy, probe, recycle */

/* What a probe of the active generation found. */
typedef enum HfVerdict {
    HF_VERDICT_HEALTHY,
    HF_VERDICT_SATURATED, /* every worker is busy: that is no death */
    HF_VERDICT_HUNG,      /* busy, and no request was finished since the last probe */
    HF_VERDICT_FAILED,    /* no answer, or a wrong one */
    HF_VERDICT_MAX_,
} HfVerdict;
HF_STRTAB_DECLARE(hf_verdict, HfVerdict); /* healthy, saturated, hung, failed */

typedef enum HfEventType {
    HF_EVENT_START,          /* once, before any other */
    HF_EVENT_PREPARED,       /* PREPARE ended well: a next plan is held */
    HF_EVENT_PREPARE_FAILED, /* nothing is held */
    HF_EVENT_SPAWN_FAILED,   /* slot: there is no process */
    HF_EVENT_READY,          /* slot */
    HF_EVENT_MAIN_EXITED,    /* slot: its main process has been reaped; others may remain */
    HF_EVENT_GONE,           /* slot: nothing remains */
    HF_EVENT_TIMER,          /* timer, and slot for DEADLINE */
    HF_EVENT_REQUEST,        /* request kind, id; id 0: nobody waits for the answer */
    HF_EVENT_STOP_SIGNAL,    /* the first stops, the second hurries, the third kills */
    HF_EVENT_REOPEN,         /* every live generation is to reopen its logs */
    HF_EVENT_RETIRED,        /* slot: SIGNAL retire has reached every worker */
    HF_EVENT_EXTEND,         /* slot, usec: it asks for more time (EXTEND_TIMEOUT_USEC) */
    HF_EVENT_ANSWERER_GONE,  /* the answerer has ended unasked */
    HF_EVENT_PROBED,         /* slot, verdict: what PROBE found */
    HF_EVENT_OVERSIZE,       /* slot: uses more memory than it may */
    HF_EVENT_LEAVING,        /* slot: says that it leaves, unasked (STOPPING=1) */
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
    HfTimer timer;
    HfRequestKind request;
    HfVerdict verdict;
    uint64_t id;
    uint64_t usec;
} HfEvent;

typedef enum HfActionType {
    HF_ACTION_PREPARE,       /* cause; read the settings again, check them; ends in PREPARED or
                                PREPARE_FAILED */
    HF_ACTION_ABORT_PREPARE, /* neither of the two comes any more */
    HF_ACTION_COMMIT,        /* cause; the prepared plan becomes the current one */
    HF_ACTION_DISCARD,       /* the prepared plan is dropped */
    HF_ACTION_SPAWN,  /* slot, number, cause, prepared: from the prepared plan, else the current one
                       */
    HF_ACTION_SIGNAL, /* slot, rung: STOP and TERM to the main process, or to all when it has left;
                         KILL to all */
    HF_ACTION_CONTINUE, /* slot: its main process was stopped (SIGSTOP); continue it (SIGCONT) */
    HF_ACTION_REOPEN,   /* slot */
    HF_ACTION_ARM,      /* timer, slot, usec; spread: anywhere in the last half of it; extend: never
                           earlier than it would have elapsed */
    HF_ACTION_DISARM,   /* timer, slot */
    HF_ACTION_FORGET,   /* slot: what belonged to the generation is let go */
    HF_ACTION_BACKLOG,  /* raised: to somaxconn, or back to what the settings say */
    HF_ACTION_ANSWERER, /* raised: the answerer takes the listeners' connections, or ends */
    HF_ACTION_PROBE,    /* slot; ends in PROBED unless the generation leaves before */
    HF_ACTION_ANSWER,   /* id, outcome */
    HF_ACTION_REPORT,   /* report, slot, number, cause, usec: for the log and whoever listens */
    HF_ACTION_TEST_UPGRADE, /* ends in UPGRADE_TESTED or UPGRADE_FAILED */
    HF_ACTION_UPGRADE, /* the last action of a step; ends in RESUME, UPGRADE_FAILED or, when events
                          wait, in UPGRADE_TESTED */
    HF_ACTION_EXIT,    /* status; the last action ever */
    HF_ACTION_MAX_,
} HfActionType;
HF_STRTAB_DECLARE(hf_action, HfActionType);

typedef enum HfReport {
    HF_REPORT_READY,        /* slot is active now */
    HF_REPORT_CRASHED,      /* slot was active and left unasked */
    HF_REPORT_START_FAILED, /* slot left or was not ready in time (timed_out) */
    HF_REPORT_PREPARE_FAILED,
    HF_REPORT_RETRY,    /* no generation serves; the next start is in usec */
    HF_REPORT_DRAINING, /* slot was asked to leave */
    HF_REPORT_HURRIED,  /* slot did not leave in time: rung */
    HF_REPORT_GONE,     /* slot */
    HF_REPORT_WAITING,  /* the replacement waits until a draining generation is gone */
    HF_REPORT_STOPPING,
    HF_REPORT_OUTAGE,    /* no generation has been ready for usec */
    HF_REPORT_RECOVERED, /* the outage is over: slot is active */
    HF_REPORT_HEALTHY,   /* slot answers its probe again */
    HF_REPORT_SATURATED, /* slot: probed, every worker is busy */
    HF_REPORT_HUNG,      /* slot: busy without an end; status: how many probes in a row */
    HF_REPORT_UNHEALTHY, /* slot failed a probe; status: how many in a row */
    HF_REPORT_DOUBTED,   /* slot would be replaced, but that did not help before, the probe may be
                            wrong; status: how many in a row it now takes */
    HF_REPORT_LEAVING,   /* slot was active and leaves unasked */
    HF_REPORT_RESUMED,   /* slot is active again: its successor left while it settled */
    HF_REPORT_UPGRADED,  /* this is the new program */
    HF_REPORT_UPGRADE_FAILED, /* the old one goes on */
    HF_REPORT_ADOPTED,        /* what a program that died left behind */
    HF_REPORT_MAX_,
} HfReport;
HF_STRTAB_DECLARE(hf_report, HfReport);

typedef struct HfAction {
    HfActionType type;
    unsigned slot;
    uint64_t number; /* of the generation in slot */
    HfCause cause;
    HfRung rung;
    HfTimer timer;
    HfReport report;
    HfOutcome outcome;
    uint64_t id;
    uint64_t usec;
    int status;
    bool spread;
    bool extend;
    bool prepared;
    bool raised;
    bool timed_out;
} HfAction;

typedef struct HfActions {
    size_t n;
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
    bool gentle;          /* a reload's old generation settles and retires before it is stopped */
    uint64_t settle_time;
    uint64_t retire_time;     /* at most, for all workers of a generation */
    uint64_t busy_after;      /* HF_USEC_INFINITY: never */
    uint64_t probe_every;     /* 0: never */
    unsigned probe_failures;  /* failed ones in a row, until it is replaced; >= 1 */
    unsigned probe_hung;      /* the same of those that find it hung; 0: never */
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
    HfGenerationState state;
    HfRung rung;
    bool main_exited;
    bool deadline;       /* DEADLINE is armed */
    bool reopen;         /* to be passed on once it is ready */
    bool stopped;        /* SIGSTOP was sent to its main process */
    unsigned extensions; /* of the deadline that were granted, in this state */
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
    HfCause cause;         /* of the replacement that runs */
    HfRequestKind pending; /* the replacement that follows it */
    HfRung hurry;          /* of a stop */
    HfUpgrade upgrade;
    bool planned;      /* a plan was committed */
    bool prepared;     /* a prepared plan is held */
    bool respawn;      /* RESPAWN is armed */
    bool stable;       /* STABLE is armed */
    bool raised;       /* the backlog is */
    bool busy;         /* BUSY is armed */
    bool overdue;      /* BUSY has elapsed: callers are to be answered */
    bool outage;       /* was reported */
    bool answering;    /* the answerer runs */
    bool probe;        /* PROBE is armed */
    bool recycle;      /* RECYCLE is armed */
    HfVerdict probed;  /* the active generation's last one, HEALTHY before the first */
    unsigned misses;   /* how many in a row were that, if it may lead to a replacement */
    unsigned doubts;   /* how often the misses that it takes have doubled */
    unsigned failures; /* in a row */
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

/* The slot in a state, or -1. With several the oldest. */
int hf_machine_find(const HfMachine *machine, HfGenerationState state);
/* How many slots are in a state. */
unsigned hf_machine_count(const HfMachine *machine, HfGenerationState state);
