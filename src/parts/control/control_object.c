/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "config/settings.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

typedef int (*AppendRows)(HfControl *control, sd_bus_message *reply);

static int reply_list(sd_bus_message *message, HfControl *control, const char *row,
                      AppendRows append)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;

    int r = sd_bus_message_new_method_return(message, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', row);
    if (r >= 0)
        r = append(control, reply);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

/* A method that answers with a list. */
#define LIST(name, row, append)                                                                    \
    static int method_##name(sd_bus_message *message, void *userdata, sd_bus_error *unused)        \
    {                                                                                              \
        (void)unused;                                                                              \
        return reply_list(message, userdata, row, append);                                         \
    }

/* ---- generations ---- */

static int append_generation(HfControl *control, sd_bus_message *reply, unsigned slot)
{
    HfSupervisor *supervisor = control->supervisor;
    HfStage stage = supervisor->machine.generations[slot].stage;
    bool leaves = hf_stage_leaves(stage);
    HfGeneration *generation = supervisor->generations[slot];
    const HfHistoryEntry *entry = hf_history_find(&control->events->history, generation->number);
    uint64_t processes = 0;
    uint64_t memory = 0;

    hf_events_measure(control->events, generation, &processes, &memory); /* 0: it failed */
    return sd_bus_message_append(
        reply, HF_CONTROL_GENERATION, generation->number,
        leaves ? "draining" : hf_stage_name(stage), leaves ? hf_stage_name(stage) : "none",
        hf_cause_name(generation->cause),
        (uint32_t)(generation->main_exited ? 0 : generation->main.pid), entry ? entry->started : 0,
        entry ? entry->ready : 0, hf_clock_monotonic() - generation->spawned, (uint32_t)processes,
        memory, generation->status_text ? generation->status_text : "");
}

/* Oldest first. */
static int append_generations(HfControl *control, sd_bus_message *reply)
{
    const HfSupervisor *supervisor = control->supervisor;
    uint64_t last = 0;

    for (;;) {
        int next = -1;
        for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
            const HfGeneration *generation = supervisor->generations[i];
            if (generation && generation->number > last &&
                (next < 0 || generation->number < supervisor->generations[next]->number))
                next = (int)i;
        }
        if (next < 0)
            return 0;
        last = supervisor->generations[next]->number;
        int r = append_generation(control, reply, (unsigned)next);
        if (r < 0)
            return r;
    }
}

LIST(list_generations, HF_CONTROL_GENERATION, append_generations)

/* ---- listeners ---- */

static int append_listener(sd_bus_message *reply, HfListener *listener)
{
    char address[HF_ADDRESS_TEXT_MAX];
    char printable[HF_ADDRESS_TEXT_MAX]; /* D-Bus takes only UTF-8 */
    bool local = hf_address_is_unix(&listener->bound);
    const char *kind = listener->bound.type == SOCK_SEQPACKET ? "seqpacket"
                       : listener->bound.type == SOCK_DGRAM   ? local ? "dgram" : "udp"
                       : local                                ? "unix"
                                                              : "tcp";
    HfQueue queue = {0};
    HfQueue standby = {0};
    uint32_t drops;
    int64_t told = -1; /* the kernel has no counter */

    hf_listener_queue(listener, listener->side, &queue); /* a limit of 0 means that it failed */
    if (hf_listener_has_sides(listener))
        hf_listener_queue(listener, listener->standby, &standby);
    for (unsigned side = 0; !local && side < HF_SIDES; side++)
        if (listener->fds[side] >= 0 && hf_queue_drops(listener->fds[side], &drops) == 0)
            told = (told < 0 ? 0 : told) + drops;
    hf_address_format(&listener->bound, address);
    hf_text_printable(address, strlen(address), printable, sizeof(printable));
    return sd_bus_message_append(reply, HF_CONTROL_LISTENER, listener->spec.name, printable,
                                 hf_listener_is_lost(listener) ? "lost" : kind, queue.depth,
                                 queue.limit, listener->highest, told, standby.depth, standby.limit,
                                 listener->one_side ? listener->one_side : "");
}

static bool has(const HfPlan *plan, const HfListener *listener)
{
    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (plan->listeners[i] == listener)
            return true;
    return false;
}

/* The current plan's listeners, then those that only older generations still have. */
static int append_listeners(HfControl *control, sd_bus_message *reply)
{
    const HfSupervisor *supervisor = control->supervisor;
    const HfPlan *plans[1 + HF_MACHINE_SLOTS] = {supervisor->current};
    int r = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        plans[1 + i] = supervisor->generations[i] ? supervisor->generations[i]->plan : NULL;
    for (size_t i = 0; i < 1 + HF_MACHINE_SLOTS; i++)
        for (size_t j = 0; plans[i] && j < plans[i]->n_listeners && r >= 0; j++) {
            bool told = false;
            for (size_t k = 0; k < i; k++)
                told |= has(plans[k], plans[i]->listeners[j]);
            if (!told)
                r = append_listener(reply, plans[i]->listeners[j]);
        }
    return r;
}

LIST(list_listeners, HF_CONTROL_LISTENER, append_listeners)

/* ---- the service's own figures ---- */

/* Ids for calls that wait for figures, out of the way of requests, which count from 1. */
#define FIGURES_ID(cache) (UINT64_MAX - (cache))

/* Numbers below 0 are unknown. */
static int append_pools(HfControl *control, sd_bus_message *reply)
{
    const HfFigures *figures = control->figures[false];
    int r = 0;

    for (size_t i = 0; figures && i < figures->n && r >= 0; i++) {
        const HfPoolFigures *pool = &figures->pools[i];
        const HfScoreboard *counts = &pool->counts;
        int64_t none = pool->error ? -1 : 0; /* all bits set, or none */
        int64_t peak = counts->memory_peak > 0 ? (int64_t)counts->memory_peak : -1;
        r = sd_bus_message_append(
            reply, HF_CONTROL_POOL, pool->name, (int64_t)counts->active | none,
            (int64_t)counts->idle | none, (int64_t)(counts->active + counts->idle) | none,
            (int64_t)pool->limit, (int64_t)pool->queued, (int64_t)counts->accepted | none,
            (int64_t)counts->max_children | none, (int64_t)counts->slow | none, peak | none,
            pool->error ? pool->error : "");
    }
    return r;
}

static int append_caches(HfControl *control, sd_bus_message *reply)
{
    const HfFigures *figures = control->figures[true];
    int r = 0;

    for (size_t i = 0; figures && i < figures->n && r >= 0; i++) {
        const HfCacheFigures *cache = &figures->cache;
        const char *error = figures->pools[i].error;
        int64_t none = error ? -1 : 0;
        r = sd_bus_message_append(reply, HF_CONTROL_CACHE, (int64_t)cache->scripts | none,
                                  (int64_t)cache->keys | none, (int64_t)cache->keys_limit | none,
                                  (int64_t)cache->hits | none, (int64_t)cache->misses | none,
                                  (int64_t)cache->used | none, (int64_t)cache->free | none,
                                  (int64_t)cache->wasted | none,
                                  (int64_t)cache->full_restarts | none, error ? error : "");
    }
    return r;
}

static void answer_figures(bool cache, void *userdata)
{
    HfControl *control = userdata;
    sd_bus_message *message;

    while ((message = hf_control_take(control, FIGURES_ID(cache)))) {
        if (reply_list(message, control, cache ? HF_CONTROL_CACHE : HF_CONTROL_POOL,
                       cache ? append_caches : append_pools) < 0)
            hf_control_hang_up(message);
        sd_bus_message_unref(message);
    }
    control->figures[cache] = hf_figures_free(control->figures[cache]);
}

/* Callers that come while figures are being asked for get the same answer. */
static int ask_figures(HfControl *control, bool cache, sd_bus_message *message)
{
    if (hf_control_keep(control, FIGURES_ID(cache), message) >= 0 && !control->figures[cache] &&
        hf_figures_ask(control->supervisor, cache, answer_figures, control,
                       &control->figures[cache]) < 0)
        answer_figures(cache, control);
    return 1;
}

static int method_list_pools(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return ask_figures(userdata, false, message);
}

static int method_list_caches(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return ask_figures(userdata, true, message);
}

/* ---- the past ---- */

static int append_events(HfControl *control, sd_bus_message *reply)
{
    const HfNotices *notices = &control->events->notices;
    int r = 0;

    for (size_t i = 0; i < notices->n && r >= 0; i++) {
        const HfNotice *notice = hf_notices_get(notices, i);
        r = sd_bus_message_append(reply, HF_CONTROL_EVENT, notice->name, notice->generation,
                                  notice->cause, notice->text, notice->realtime);
    }
    return r;
}

LIST(list_events, HF_CONTROL_EVENT, append_events)

static int append_history(HfControl *control, sd_bus_message *reply)
{
    const HfHistory *history = &control->events->history;
    int r = 0;

    for (size_t i = 0; i < history->n && r >= 0; i++) {
        const HfHistoryEntry *entry = hf_history_get(history, i);
        uint64_t lifetime =
            entry->ended > 0 ? entry->lifetime : hf_clock_monotonic() - entry->since;
        r = sd_bus_message_append(
            reply, HF_CONTROL_PAST, entry->number, hf_cause_name(entry->cause), entry->started,
            entry->ready, entry->ended, entry->ready_after, lifetime, (uint32_t)entry->processes,
            entry->end ? entry->end : "", entry->warmed.listed, entry->warmed.scripts,
            entry->warmed.requests, entry->warmed.failures, entry->warmed.time);
    }
    return r;
}

LIST(get_history, HF_CONTROL_PAST, append_history)

const char *hf_control_state(const HfMachine *machine)
{
    bool active = hf_machine_find(machine, HF_STAGE_ACTIVE) >= 0;

    if (hf_machine_stops(machine))
        return "stopping";
    if (machine->outage)
        return "outage";
    if (active)
        return machine->phase == HF_PHASE_IDLE ? "running" : "replacing";
    if (machine->phase == HF_PHASE_CLEARING)
        return "replacing";
    return machine->phase == HF_PHASE_BACKOFF ? "retrying" : "starting";
}

uint64_t hf_control_generation(const HfMachine *machine)
{
    int active = hf_machine_find(machine, HF_STAGE_ACTIVE);

    return active >= 0 ? machine->generations[active].number : 0;
}

#define REQUEST(name, kind)                                                                        \
    static int method_##name(sd_bus_message *message, void *userdata, sd_bus_error *unused)        \
    {                                                                                              \
        (void)unused;                                                                              \
        return hf_control_request(userdata, kind, message);                                        \
    }

REQUEST(reload, HF_REQUEST_RELOAD)
REQUEST(restart, HF_REQUEST_RESTART)
REQUEST(rollback, HF_REQUEST_ROLLBACK)
REQUEST(stop, HF_REQUEST_STOP)

/* Like Reload, but may take addresses over from another holdfast. */
static int method_take_over(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    ((HfControl *)userdata)->supervisor->shares = true;
    return method_reload(message, userdata, unused);
}

/* Is answered at once: what there is to decide about it is not the machine's. */
static int ask_to_hold(HfControl *control, uint64_t usec, sd_bus_message *message)
{
    const HfSupervisor *supervisor = control->supervisor;
    HF_CLEANUP_TEXT HfText error = {0};
    int r = -EOPNOTSUPP;

    HF_EACH_PART (supervisor, i, hold)
        r = supervisor->parts[i]->hold(supervisor->states[i], usec, &error);
    if (r >= 0)
        return sd_bus_reply_method_return(message, NULL);
    if (error.length == 0)
        hf_text_add(&error, HF_PART_MISSING "fallback");
    return sd_bus_reply_method_errorf(message, HF_CONTROL_FAILED, "%s", hf_text_peek(&error));
}

static int method_hold(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    uint64_t usec;

    (void)unused;
    int r = sd_bus_message_read(message, "t", &usec);
    if (r < 0)
        return r;
    if (usec < HF_HOLD_MINIMUM || usec > HF_HOLD_MAXIMUM)
        return sd_bus_reply_method_errorf(message, HF_CONTROL_FAILED,
                                          "connections can be held for 100 ms to a day");
    return ask_to_hold(userdata, usec, message);
}

static int method_release(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return ask_to_hold(userdata, 0, message);
}

/* Returns the request's number, since the connection ends with a successful upgrade. */
static int method_upgrade(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    HfControl *control = userdata;
    HfSupervisor *supervisor = control->supervisor;

    (void)unused;
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_REQUEST,
                                              .request = HF_REQUEST_UPGRADE,
                                              .id = ++control->last_id});
    return sd_bus_reply_method_return(message, "t", control->last_id);
}

static int method_upgrade_result(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    uint64_t id;

    (void)unused;
    int r = sd_bus_message_read(message, "t", &id);
    return r < 0 ? r : hf_control_await(userdata, id, message);
}

/* For the next reload, with unchanged settings. */
static const char *find_handover(const HfSupervisor *supervisor)
{
    HfHandover handover = supervisor->settings->handover;
    bool switches = supervisor->current && supervisor->current->switches;
    bool gentle = handover != HF_HANDOVER_AT_ONCE && supervisor->machine.limits.gentle;

    return hf_handover_name(switches ? HF_HANDOVER_SWITCH
                            : gentle ? HF_HANDOVER_GENTLE
                                     : HF_HANDOVER_AT_ONCE);
}

/* CLOCK_REALTIME, or 0. */
static uint64_t find_end_of_hold(const HfSupervisor *supervisor)
{
    return supervisor->held_until == 0
               ? 0
               : hf_clock_realtime() - hf_clock_monotonic() + supervisor->held_until;
}

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define OPEN     SD_BUS_VTABLE_UNPRIVILEGED /* whoever may connect may call */

/* name, type, flags, value */
#define PROPERTIES(X)                                                                              \
    X(Name, "s", CONSTANT, supervisor->name)                                                       \
    X(Version, "s", CONSTANT, HF_VERSION)                                                          \
    X(Pid, "u", CONSTANT, (uint32_t)getpid())                                                      \
    X(Started, "t", CONSTANT, control->started)                                                    \
    X(State, "s", CHANGES, hf_control_state(&supervisor->machine))                                 \
    X(Generation, "t", CHANGES, hf_control_generation(&supervisor->machine))                       \
    X(Draining, "u", CHANGES, hf_machine_count_leaving(&supervisor->machine))                      \
    X(Failures, "t", 0, control->events->history.failures)                                         \
    X(Replaced, "t", 0, control->events->history.replaced_at)                                      \
    X(ReadyAfter, "t", 0, control->events->history.ready_after)                                    \
    X(SwitchedAfter, "t", 0, control->events->history.switched_after)                              \
    X(GoneAfter, "t", 0, control->events->history.gone_after)                                      \
    X(Handover, "s", 0, find_handover(supervisor))                                                 \
    X(LateConnections, "t", 0, supervisor->late_connections)                                       \
    X(HeldUntil, "t", 0, find_end_of_hold(supervisor))                                             \
    X(WarmListed, "t", 0, control->events->history.warmed.listed)                                  \
    X(WarmScripts, "t", 0, control->events->history.warmed.scripts)                                \
    X(WarmRequests, "t", 0, control->events->history.warmed.requests)                              \
    X(WarmFailures, "t", 0, control->events->history.warmed.failures)                              \
    X(WarmTime, "t", 0, control->events->history.warmed.time)

/* A getter of sd-bus(3) that appends one property's value. */
#define GETTER(name, type, flags, value)                                                           \
    static int get_##name(sd_bus *bus, const char *path, const char *interface,                    \
                          const char *property, sd_bus_message *reply, void *userdata,             \
                          sd_bus_error *unused)                                                    \
    {                                                                                              \
        const HfControl *control = userdata;                                                       \
        const HfSupervisor *supervisor = control->supervisor;                                      \
                                                                                                   \
        (void)bus, (void)path, (void)interface, (void)property, (void)supervisor, (void)unused;    \
        return sd_bus_message_append(reply, type, value);                                          \
    }
#define ROW(name, type, flags, value) SD_BUS_PROPERTY(#name, type, get_##name, 0, flags),

PROPERTIES(GETTER)

static int get_spared(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
    const HfControl *control = userdata;
    HF_CLEANUP_TEXT HfText text = {0};

    (void)bus, (void)path, (void)interface, (void)property, (void)unused;
    hf_events_name_spared(control->events, &text);
    return sd_bus_message_append(reply, "s", hf_text_peek(&text));
}

/* {cause: count}; the first start replaces nothing. */
static int get_replacements(sd_bus *bus, const char *path, const char *interface,
                            const char *property, sd_bus_message *reply, void *userdata,
                            sd_bus_error *unused)
{
    const HfControl *control = userdata;

    (void)bus, (void)path, (void)interface, (void)property, (void)unused;
    int r = sd_bus_message_open_container(reply, 'a', "{st}");
    for (HfCause cause = 0; cause < HF_CAUSE_MAX_ && r >= 0; cause++)
        if (cause != HF_CAUSE_START)
            r = sd_bus_message_append(reply, "{st}", hf_cause_name(cause),
                                      control->events->history.replaced[cause]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Lists never get new members: a longer structure needs a new method, and the old one stays. */
const sd_bus_vtable hf_control_object[] = {
    SD_BUS_VTABLE_START(0),
    PROPERTIES(ROW) /* and those that are computed */
    SD_BUS_PROPERTY("Replacements", "a{st}", get_replacements, 0, 0),
    SD_BUS_PROPERTY("Spared", "s", get_spared, 0, 0),
    SD_BUS_METHOD("Reload", NULL, NULL, method_reload, OPEN),
    SD_BUS_METHOD("TakeOver", NULL, NULL, method_take_over, OPEN),
    SD_BUS_METHOD("Restart", NULL, NULL, method_restart, OPEN),
    SD_BUS_METHOD("Rollback", NULL, NULL, method_rollback, OPEN),
    SD_BUS_METHOD("Stop", NULL, NULL, method_stop, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Hold", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_hold, OPEN),
    SD_BUS_METHOD("Release", NULL, NULL, method_release, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Upgrade", SD_BUS_NO_ARGS, SD_BUS_RESULT("t", id), method_upgrade,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("UpgradeResult", SD_BUS_ARGS("t", id), SD_BUS_NO_RESULT,
                            method_upgrade_result, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListGenerations", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT(HF_CONTROL_GENERATIONS, generations),
                            method_list_generations, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListListeners", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT(HF_CONTROL_LISTENERS, listeners), method_list_listeners,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListPools", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_POOLS, pools),
                            method_list_pools, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListCaches", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_CACHES, caches),
                            method_list_caches, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListEvents", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_EVENTS, events),
                            method_list_events, OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT(HF_CONTROL_HISTORY, generations), method_get_history,
                            OPEN),
    SD_BUS_SIGNAL_WITH_ARGS(
        "Event", SD_BUS_ARGS("s", name, "t", generation, "s", cause, "s", text, "t", usec), 0),
    SD_BUS_VTABLE_END,
};

/* ---- org.freedesktop.DBus ---- */

static int method_hello(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)userdata;
    (void)unused;
    return sd_bus_reply_method_return(message, "s", ":1.0");
}

static int method_match(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)userdata;
    (void)unused;
    return sd_bus_reply_method_return(message, NULL);
}

const sd_bus_vtable hf_control_driver[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", NULL, "s", method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", NULL, method_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", NULL, method_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};
