/* SPDX-License-Identifier: MIT */
#include "rules.h"

static const char *const texts[] = {
    [RULE_NONE] = "nothing is broken",
    [RULE_ONE_STARTING] = "1: at most one generation is starting or on trial",
    [RULE_ONE_ACTIVE] = "1: at most one generation is active",
    [RULE_WANTED] = "2: while the service is wanted, a generation is there or on its way",
    [RULE_OVERLAP] = "3: the active generation is not asked to leave before its successor is ready",
    [RULE_FAILED_SUCCESSOR] = "4: a failed successor leaves the active generation untouched",
    [RULE_DEADLINE] = "6: every starting or draining generation has an armed deadline",
    [RULE_ESCALATION] = "6: every deadline leads one stage on, to KILL",
    [RULE_REPEAT] = "6: nothing but KILL repeats, unless the main process has just left",
    [RULE_SLOT] = "7: no slot is reused before its generation is gone",
    [RULE_BOUNDED] = "7: actions per step are bounded",
    [RULE_STOP_ENDS] = "8: stop reaches the end with processes that obey KILL",
    [RULE_ONE_ANSWER] = "8: every request gets exactly one answer",
    [RULE_OUTCOME] = "8: the answer is the outcome of the replacement that was asked for",
    [RULE_SERVES] = "2, 8: fair processes lead to an active generation, idle, everybody answered",
    [RULE_EARLY_SIGNAL] =
        "a starting generation gets TERM and KILL only, unless all stops or its main process left",
    [RULE_LATE_SIGNAL] =
        "a generation that is gone is not signalled; one without a main process reopens no logs",
    [RULE_PLAN] = "one PREPARE at a time; a plan is committed or discarded once; none, no SPAWN",
    [RULE_TIMER] = "ARM and DISARM pair up, and nothing forgotten stays armed",
    [RULE_STABLE] = "STABLE is armed for an active generation only",
    [RULE_EXIT] = "EXIT is the last action, with every slot empty",
    [RULE_BACKLOG] =
        "the backlog is raised exactly while a wanted service has no active generation",
    [RULE_ROOM] = "beside an active generation draining ones are bounded and a slot stays free",
    [RULE_HURRY] = "a generation is hurried only by a deadline, a stop, or for lack of a slot",
    [RULE_PHASE] = "10: the machine's records and phase agree with the world",
    [RULE_NUMBER] = "generations are numbered in order, and actions name the right one",
    [RULE_STRAY] = "7: late and stray events, and those of another generation, change nothing",
    [RULE_GENTLE] = "3: a generation settles and retires only with a ready successor, healthy, and "
                    "without a stop",
    [RULE_STOPPED] =
        "6: a stopped main process retires, has a deadline, and is continued afterwards",
    [RULE_RETIRED] = "STOP follows when every worker has been asked, or the main process has left",
    [RULE_EXTEND] = "only starts and drains are extended, never shortened, by a bounded time and "
                    "number of times",
    [RULE_BUSY] = "BUSY is armed exactly in a gap that is not overdue yet",
    [RULE_OUTAGE] = "an outage is reported once, and its end once",
    [RULE_OVERDUE] = "a gap is overdue after BUSY, and again when a start in an outage fails",
    [RULE_FALLBACK] = "the fallback runs exactly in an overdue gap with a plan, not beside SPAWN",
    [RULE_PROBE] = "exactly one probe is armed or under way, of the active generation only",
    [RULE_VERDICT] =
        "probes are counted and reported, and doubted after a replacement that did not help",
    [RULE_REPLACE] =
        "an active generation is replaced only on request, or when it is gone, unhealthy or old",
    [RULE_LEAVING] =
        "a generation that leaves by itself is not asked to, has a deadline, and is replaced",
    [RULE_RESUMED] =
        "when a successor is lost, the youngest settling generation serves again, and no other",
    [RULE_RECYCLE] = "RECYCLE is armed while nothing is replaced, and never without an active one",
    [RULE_UPGRADE] = "a requested upgrade is tested, then done, while nothing is replaced",
    [RULE_ADOPT] = "another program keeps the active generation, and starts nothing unnecessary",
    [RULE_SOUND] = "every state is one that a snapshot may hold",
    [RULE_STOP] =
        "8: a stop begins when it was requested and its delay is over, or the service has ended",
    [RULE_STATUS] = "holdfast ends with the status that belongs to the reason",
    [RULE_ORDER] = "5: a plan is committed before a generation is asked to leave for it",
    [RULE_COMMITTED] =
        "9: when nothing serves, the committed plan is started, whatever the settings",
    [RULE_SAVED] =
        "5: no generation is asked to leave between a commit or a switch and the SAVE after it",
    [RULE_TOLD] = "5: the active generation is reported once it is saved where connections go",
    [RULE_SWITCH] =
        "3: connections go to the side of the active generation, which is ready and was tried",
    [RULE_SIDE] =
        "while a healthy generation serves and the plan has sides, a start gets a side of its own",
    [RULE_TRIAL] =
        "3: a generation that is ready on the standby side is tried once, if there is a trial",
    [RULE_SERVES_ON] = "workers left by a main process go on serving where there are two sides",
    [RULE_PARKED] =
        "the generation before a reload is parked, with a deadline, until the next start",
    [RULE_ROLLBACK] = "a rollback makes the parked generation active, with its plan, and no other",
};
_Static_assert(sizeof(texts) / sizeof(*texts) == RULE_MAX_, "a text for each rule");

const char *rule_text(Rule rule)
{
    return texts[rule];
}
