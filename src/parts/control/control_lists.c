/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/clock.h"
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

int hf_control_list_generations(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return reply_list(message, userdata, HF_CONTROL_GENERATION, append_generations);
}

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

int hf_control_list_listeners(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return reply_list(message, userdata, HF_CONTROL_LISTENER, append_listeners);
}

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

static void answer_figures(HfControl *control, bool cache)
{
    sd_bus_message *message;

    while ((message = hf_control_take(control, FIGURES_ID(cache)))) {
        if (reply_list(message, control, cache ? HF_CONTROL_CACHE : HF_CONTROL_POOL,
                       cache ? append_caches : append_pools) < 0)
            hf_control_hang_up(message);
        sd_bus_message_unref(message);
    }
    control->figures[cache] = hf_figures_free(control->figures[cache]);
}

static void on_pools(void *userdata)
{
    answer_figures(userdata, false);
}

static void on_caches(void *userdata)
{
    answer_figures(userdata, true);
}

/* Callers that come while figures are being asked for get the same answer. */
static int ask_figures(HfControl *control, bool cache, sd_bus_message *message)
{
    if (hf_control_keep(control, FIGURES_ID(cache), message) >= 0 && !control->figures[cache] &&
        hf_figures_ask(control->supervisor, cache, cache ? on_caches : on_pools, control,
                       &control->figures[cache]) < 0)
        answer_figures(control, cache);
    return 1;
}

int hf_control_list_pools(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return ask_figures(userdata, false, message);
}

int hf_control_list_caches(sd_bus_message *message, void *userdata, sd_bus_error *unused)
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

int hf_control_list_events(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return reply_list(message, userdata, HF_CONTROL_EVENT, append_events);
}

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

int hf_control_get_history(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return reply_list(message, userdata, HF_CONTROL_PAST, append_history);
}
