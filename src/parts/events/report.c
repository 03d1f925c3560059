#include "parts/events/report.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

typedef unsigned long long Number;

static void add_ready(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    const HfGeneration *generation = supervisor->generations[action->slot];
    size_t n = generation->plan->n_listeners;

    if (action->cause != HF_CAUSE_START && action->cause != HF_CAUSE_CRASH)
        hf_text_addf(text, "%s: generation %llu is active", hf_cause_name(action->cause),
                     (Number)action->number);
    else
        hf_text_addf(text, "generation %llu is ready", (Number)action->number);
    hf_text_addf(text, ": %s, pid %d, %zu listener%s", generation->plan->program,
                 (int)generation->main.pid, n, n == 1 ? "" : "s");
}

/* On a line of its own below a service's own words. */
static void add_what_goes_on(const HfSupervisor *supervisor, HfText *text)
{
    int active = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    if (hf_machine_stops(&supervisor->machine))
        return;
    hf_text_add(text, strchr(hf_text_peek(text), '\n') ? "\n" : "; ");
    hf_text_add(text, active >= 0 ? "the old generation goes on serving"
                                  : "connections wait in the queue");
}

/* After a loss; unless one settles and serves again, which is told next. */
static void add_next(const HfSupervisor *supervisor, HfText *text)
{
    if (hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE) < 0 &&
        !hf_machine_stops(&supervisor->machine))
        hf_text_add(text, "; the next one is started");
}

static void add_adopted(const HfSupervisor *supervisor, HfText *text)
{
    unsigned n = HF_MACHINE_SLOTS - hf_machine_count(&supervisor->machine, HF_STAGE_EMPTY);
    size_t listeners = supervisor->current ? supervisor->current->n_listeners : 0;

    hf_text_addf(text, "holdfast had died; this one goes on with %u generation%s, %zu listener%s",
                 n, n == 1 ? "" : "s", listeners, listeners == 1 ? "" : "s");
}

/* What each report is for those outside; PREPARE_FAILED and START_FAILED depend on what still
 * serves. */
static const struct {
    HfNoticeName name;
    int level;
} kinds[] = {
    [HF_REPORT_READY] = {HF_NOTICE_READY, LOG_INFO},
    [HF_REPORT_CRASHED] = {HF_NOTICE_CRASHED, LOG_ERR},
    [HF_REPORT_START_FAILED] = {HF_NOTICE_START_FAILED, LOG_ERR},
    [HF_REPORT_PREPARE_FAILED] = {HF_NOTICE_START_FAILED, LOG_ERR},
    [HF_REPORT_RETRY] = {HF_NOTICE_RETRY, LOG_WARNING},
    [HF_REPORT_DRAINING] = {HF_NOTICE_DRAINING, LOG_INFO},
    [HF_REPORT_HURRIED] = {HF_NOTICE_HURRIED, LOG_WARNING},
    [HF_REPORT_GONE] = {HF_NOTICE_GONE, LOG_INFO},
    [HF_REPORT_WAITING] = {HF_NOTICE_WAITING, LOG_WARNING},
    [HF_REPORT_STOPPING] = {HF_NOTICE_STOPPING, LOG_INFO},
    [HF_REPORT_OUTAGE] = {HF_NOTICE_OUTAGE, LOG_CRIT},
    [HF_REPORT_RECOVERED] = {HF_NOTICE_RECOVERED, LOG_NOTICE},
    [HF_REPORT_HEALTHY] = {HF_NOTICE_HEALTHY, LOG_NOTICE},
    [HF_REPORT_SATURATED] = {HF_NOTICE_SATURATED, LOG_WARNING},
    [HF_REPORT_HUNG] = {HF_NOTICE_HUNG, LOG_WARNING},
    [HF_REPORT_UNHEALTHY] = {HF_NOTICE_UNHEALTHY, LOG_WARNING},
    [HF_REPORT_DOUBTED] = {HF_NOTICE_UNHEALTHY, LOG_WARNING},
    [HF_REPORT_LEAVING] = {HF_NOTICE_LEAVING, LOG_WARNING},
    [HF_REPORT_RESUMED] = {HF_NOTICE_RESUMED, LOG_WARNING},
    [HF_REPORT_UPGRADED] = {HF_NOTICE_UPGRADED, LOG_NOTICE},
    [HF_REPORT_UPGRADE_FAILED] = {HF_NOTICE_UPGRADE_FAILED, LOG_ERR},
    [HF_REPORT_ADOPTED] = {HF_NOTICE_ADOPTED, LOG_WARNING},
    /* for the log alone */
    [HF_REPORT_DELAYED] = {HF_NOTICE_STOPPING, LOG_NOTICE},
    [HF_REPORT_SERVICE_ENDED] = {HF_NOTICE_STOPPING, LOG_NOTICE},
    [HF_REPORT_TAKEOVER_FAILED] = {HF_NOTICE_START_FAILED, LOG_ERR},
};
_Static_assert(sizeof(kinds) / sizeof(*kinds) == HF_REPORT_MAX_, "a notice a report");

static HfNoticeName name_of(const HfSupervisor *supervisor, HfReport report)
{
    HfNoticeName name = kinds[report].name;

    if (name == HF_NOTICE_START_FAILED &&
        hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE) >= 0)
        return HF_NOTICE_RELOAD_FAILED;
    return name;
}

/* Of the generation that it is about, or of the replacement that came to none. */
static const char *cause_of(const HfSupervisor *supervisor, const HfAction *action)
{
    const HfGeneration *generation = supervisor->generations[action->slot];

    if (action->report == HF_REPORT_START_FAILED || action->report == HF_REPORT_PREPARE_FAILED)
        return hf_cause_name(action->cause);
    return action->number > 0 && generation ? hf_cause_name(generation->cause) : "";
}

static void add_probed(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    const char *finding = supervisor->finding ? supervisor->finding : "";

    hf_text_addf(text, "generation %llu ", (Number)action->number);
    if (action->report == HF_REPORT_HEALTHY)
        hf_text_add(text, "answers its probe again");
    else if (action->report == HF_REPORT_SATURATED)
        hf_text_addf(text, "is saturated, which is no reason to replace it: %s", finding);
    else if (action->report == HF_REPORT_HUNG)
        hf_text_addf(text, "hangs, no request was finished since the last probe: %s", finding);
    else if (action->report == HF_REPORT_UNHEALTHY)
        hf_text_addf(text, "failed its probe (%d in a row): %s", action->status, finding);
    else
        hf_text_addf(
            text,
            "is not replaced yet: that did not help the last time, the probe itself may be "
            "wrong; it takes %d such probes in a row now",
            action->status);
}

static void add_service_ended(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    const HfGeneration *generation = supervisor->generations[action->slot];

    hf_text_add(text, "the service has ended by itself: it ");
    if (!generation || generation->late || generation->failure)
        hf_text_add(text, "did not start");
    else
        hf_generation_explain_status(generation, text);
    hf_text_addf(text, "; holdfast ends with status %d (--exit-with-service)", action->status);
}

static void add_words(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    const HfGeneration *generation = supervisor->generations[action->slot];
    Number number = (Number)action->number;

    switch (action->report) {
    case HF_REPORT_READY:
        add_ready(supervisor, action, text);
        break;
    case HF_REPORT_CRASHED:
        hf_text_addf(text, "generation %llu crashed: %s ", number, generation->plan->program);
        hf_generation_explain_status(generation, text);
        add_next(supervisor, text);
        break;
    case HF_REPORT_START_FAILED:
        hf_text_add(text, supervisor->failure ? supervisor->failure : "out of memory");
        add_what_goes_on(supervisor, text);
        break;
    case HF_REPORT_PREPARE_FAILED:
        if (supervisor->current)
            hf_text_addf(text, "%s failed: ", hf_cause_name(action->cause));
        hf_text_add(text, supervisor->failure ? supervisor->failure : "out of memory");
        if (supervisor->machine.phase == HF_PHASE_STARTING)
            hf_text_addf(text, "%sthe service is started with the settings in force",
                         strchr(hf_text_peek(text), '\n') ? "\n" : "; ");
        else if (supervisor->current)
            add_what_goes_on(supervisor, text);
        break;
    case HF_REPORT_RETRY:
        hf_text_add(text, "no generation serves; the next start is tried within ");
        hf_text_add_time(text, action->usec);
        break;
    case HF_REPORT_DRAINING:
        hf_text_addf(text, "generation %llu is draining", number);
        break;
    case HF_REPORT_HURRIED:
        hf_text_addf(text, "generation %llu is still there, it is sent %s", number,
                     action->stage == HF_STAGE_KILL ? "SIGKILL" : "SIGTERM");
        break;
    case HF_REPORT_GONE:
        hf_text_addf(text, "generation %llu is gone", number);
        break;
    case HF_REPORT_WAITING:
        hf_text_addf(text, "the replacement waits: too many generations are draining still");
        break;
    case HF_REPORT_STOPPING:
        hf_text_add(text, "stopping: every generation finishes what it has");
        break;
    case HF_REPORT_OUTAGE:
        hf_text_add(text, "outage: no generation has been ready for ");
        hf_text_add_time(text, action->usec);
        hf_text_add(text, "; callers are answered that the service is unavailable");
        break;
    case HF_REPORT_RECOVERED:
        hf_text_addf(text, "recovered: generation %llu serves", number);
        break;
    case HF_REPORT_LEAVING:
        hf_text_addf(text, "generation %llu leaves by itself (STOPPING=1)", number);
        add_next(supervisor, text);
        break;
    case HF_REPORT_RESUMED:
        hf_text_addf(text, "generation %llu serves again: its successor was lost", number);
        break;
    case HF_REPORT_HEALTHY:
    case HF_REPORT_SATURATED:
    case HF_REPORT_HUNG:
    case HF_REPORT_UNHEALTHY:
    case HF_REPORT_DOUBTED:
        add_probed(supervisor, action, text);
        break;
    case HF_REPORT_UPGRADED:
        hf_text_add(text,
                    "upgrade: this is holdfast " HF_VERSION ", with every socket and generation");
        break;
    case HF_REPORT_UPGRADE_FAILED:
        hf_text_addf(text, "upgrade failed: %s; holdfast " HF_VERSION " goes on",
                     supervisor->failure ? supervisor->failure : "out of memory");
        break;
    case HF_REPORT_ADOPTED:
        add_adopted(supervisor, text);
        break;
    case HF_REPORT_DELAYED:
        hf_text_add(text, "asked to stop: the service goes on for ");
        hf_text_add_time(text, action->usec);
        hf_text_add(text, " (--stop-delay), unless asked again");
        break;
    case HF_REPORT_SERVICE_ENDED:
        add_service_ended(supervisor, action, text);
        break;
    case HF_REPORT_TAKEOVER_FAILED: /* said by who knows the other server */
    case HF_REPORT_MAX_:
        break;
    }
}

void hf_report(const HfSupervisor *supervisor, HfNotices *notices, const HfAction *action)
{
    HF_CLEANUP_TEXT HfText text = {0};

    add_words(supervisor, action, &text);
    if (action->report >= HF_REPORT_DELAYED) {
        if (text.length > 0)
            hf_log(kinds[action->report].level, NULL, "%s", hf_text_peek(&text));
        return;
    }
    hf_notices_publish(notices, name_of(supervisor, action->report), kinds[action->report].level,
                       action->number, cause_of(supervisor, action), hf_text_peek(&text));
}
