#include "parts/events/events.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "parts/events/record.h"
#include "parts/events/report.h"
#include "parts/events/sd_notify.h"

HfEvents *hf_events_of(const HfSupervisor *supervisor)
{
    return hf_supervisor_state(supervisor, &hf_part_events);
}

static void events_free(void *state)
{
    HfEvents *events = state;

    hf_hooks_free(events->hooks);
    free(events->told);
    hf_history_clear(&events->history);
    hf_notices_clear(&events->notices);
    free(events);
}

static int events_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfEvents *events = calloc(1, sizeof(*events));

    (void)error;
    if (!events)
        return -ENOMEM;
    events->supervisor = supervisor;
    *ret = events;
    int r = hf_hooks_new(supervisor, &events->notices, &events->hooks);
    return r < 0 ? r : hf_sd_notify_watchdog(supervisor);
}

static int events_claimed(void *state, HfText *error)
{
    HfEvents *events = state;
    const HfSupervisor *supervisor = events->supervisor;

    (void)error;
    /* what systemd was told by one that died it has forgotten */
    events->announced =
        supervisor->first == HF_EVENT_RESUME && hf_notes_text(&supervisor->notes, "announced");
    return 0;
}

static void events_performed(void *state, const HfAction *action)
{
    HfEvents *events = state;

    hf_record(events, action);
    if (action->type == HF_ACTION_REPORT)
        hf_report(events, action);
}

static void events_stepped(void *state)
{
    hf_sd_notify_state(state);
}

static int events_captured(void *state, HfNotes *notes)
{
    const HfEvents *events = state;

    return events->announced ? hf_notes_add(notes, "announced", "yes", -1) : 0;
}

static void events_replacing(void *state, bool going)
{
    if (going)
        hf_sd_notify_reloading(state);
    else
        hf_sd_notify_again(state);
}

/* The user's command for an event. */
static bool events_owns(void *state, pid_t pid)
{
    const HfEvents *events = state;
    pid_t session = hf_hooks_session(events->hooks);

    return session > 0 && getsid(pid) == session;
}

static void on_hooks_finished(void *userdata)
{
    hf_supervisor_ended(userdata);
}

static bool events_end(void *state)
{
    HfEvents *events = state;
    int level = events->supervisor->status == 0 ? LOG_INFO : LOG_DEBUG; /* it has had its line */

    hf_notices_publish(&events->notices, HF_NOTICE_STOPPED, level, 0, "", "stopped");
    return hf_hooks_finish(events->hooks, on_hooks_finished, events->supervisor) >= 0;
}

const HfPart hf_part_events = {
    .name = "events",
    .begin = events_begin,
    .claimed = events_claimed,
    .performed = events_performed,
    .stepped = events_stepped,
    .captured = events_captured,
    .replacing = events_replacing,
    .owns = events_owns,
    .end = events_end,
    .free = events_free,
};
