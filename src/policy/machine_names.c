#include "policy/machine.h"

static const char *const generation_states[] = {"empty", "starting", "active", "draining"};
HF_STRTAB_DEFINE(hf_generation_state, HfGenerationState, generation_states,
                 HF_GENERATION_STATE_MAX_)

static const char *const rungs[] = {"none", "settle", "retire", "stop", "term", "kill"};
HF_STRTAB_DEFINE(hf_rung, HfRung, rungs, HF_RUNG_MAX_)

static const char *const phases[] = {"new",      "idle",    "preparing", "waiting", "clearing",
                                     "starting", "backoff", "stopping",  "ended"};
HF_STRTAB_DEFINE(hf_phase, HfPhase, phases, HF_PHASE_MAX_)

static const char *const causes[] = {"start", "crash", "reload", "restart", "health", "recycle"};
HF_STRTAB_DEFINE(hf_cause, HfCause, causes, HF_CAUSE_MAX_)

static const char *const request_kinds[] = {"none", "reload", "restart", "stop", "upgrade"};
HF_STRTAB_DEFINE(hf_request_kind, HfRequestKind, request_kinds, HF_REQUEST_MAX_)

static const char *const outcomes[] = {"done", "failed", "stopping", "busy"};
HF_STRTAB_DEFINE(hf_outcome, HfOutcome, outcomes, HF_OUTCOME_MAX_)

static const char *const timers[] = {"deadline", "respawn", "stable", "busy", "probe", "recycle"};
HF_STRTAB_DEFINE(hf_timer, HfTimer, timers, HF_TIMER_MAX_)

static const char *const verdicts[] = {"healthy", "saturated", "hung", "failed"};
HF_STRTAB_DEFINE(hf_verdict, HfVerdict, verdicts, HF_VERDICT_MAX_)

static const char *const events[] = {
    "start",       "prepared", "prepare-failed", "spawn-failed",   "ready",
    "main-exited", "gone",     "timer",          "request",        "stop-signal",
    "reopen",      "retired",  "extend",         "answerer-gone",  "probed",
    "oversize",    "leaving",  "upgrade-tested", "upgrade-failed", "resume",
    "adopt",
};
HF_STRTAB_DEFINE(hf_event, HfEventType, events, HF_EVENT_MAX_)

static const char *const actions[] = {
    "prepare", "abort-prepare", "commit",       "discard", "spawn",   "signal",   "continue",
    "reopen",  "arm",           "disarm",       "forget",  "backlog", "answerer", "probe",
    "answer",  "report",        "test-upgrade", "upgrade", "exit",
};
HF_STRTAB_DEFINE(hf_action, HfActionType, actions, HF_ACTION_MAX_)

static const char *const upgrades[] = {"none", "wanted", "testing"};
HF_STRTAB_DEFINE(hf_upgrade, HfUpgrade, upgrades, HF_UPGRADE_MAX_)

static const char *const reports[] = {
    "ready",   "crashed",   "start-failed",   "prepare-failed", "retry",   "draining",
    "hurried", "gone",      "waiting",        "stopping",       "outage",  "recovered",
    "healthy", "saturated", "hung",           "unhealthy",      "doubted", "leaving",
    "resumed", "upgraded",  "upgrade-failed", "adopted",
};
HF_STRTAB_DEFINE(hf_report, HfReport, reports, HF_REPORT_MAX_)
