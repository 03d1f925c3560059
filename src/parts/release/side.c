/* SPDX-License-Identifier: MIT */
#include "parts/release/side.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernel/sock_diag.h"
#include "loop/reaper.h"

#define LOOK_TIME (5 * HF_USEC_PER_MSEC) /* nothing tells when a queue is empty */
#define LOOK_TIME_MAX                                                                              \
    (100 * HF_USEC_PER_MSEC) /* for a handshake the whole table is gone through                    \
                              */
#define CALM           2     /* empty looks in a row, as other processors may still be busy */
#define HANDSHAKES_MAX 4096

struct HfSideWatch {
    HfSupervisor *supervisor;
    sd_event_source *timer;
    HfEvent event;        /* posted at the end */
    uint64_t *handshakes; /* peers of handshakes that had begun at the start */
    size_t n;
    size_t capacity;
    bool more; /* there were more */
    unsigned calm;
    uint64_t pause;
};

HfSideWatch *hf_side_watch_free(HfSideWatch *watch)
{
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->timer);
    free(watch->handshakes);
    free(watch);
    return NULL;
}

/* ---- handshakes ---- */

static bool is_of_generation(const HfSideWatch *watch, const struct sockaddr_storage *address)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    const in_port_t port = ((const struct sockaddr_in *)address)->sin_port; /* IPv6: as well */

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++)
        if (hf_address_is_tcp(&generation->listeners[i]->bound) &&
            htons(generation->listeners[i]->bound.port) == port)
            return true;
    return false;
}

static bool note_handshake(const HfSockDiag *socket, void *userdata)
{
    HfSideWatch *watch = userdata;

    if (!is_of_generation(watch, &socket->address))
        return true;
    watch->more = watch->n == HANDSHAKES_MAX ||
                  hf_array_reserve(&watch->handshakes, &watch->capacity, watch->n + 1,
                                   sizeof(*watch->handshakes)) < 0;
    if (!watch->more)
        watch->handshakes[watch->n++] = socket->peer;
    return !watch->more;
}

typedef struct Search {
    const HfSideWatch *watch;
    bool found;
} Search;

static bool find_handshake(const HfSockDiag *socket, void *userdata)
{
    Search *search = userdata;

    for (size_t i = 0; i < search->watch->n && !search->found; i++)
        search->found = search->watch->handshakes[i] == socket->peer;
    return !search->found;
}

/* Visits handshakes of the families that the generation's TCP listeners have: once for all of them,
 * as the kernel goes through its whole table each time. */
static void visit_handshakes(const HfSideWatch *watch, HfSockDiagVisit visit, void *userdata)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    bool v4 = false;
    bool v6 = false;

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++) {
        const HfAddress *bound = &generation->listeners[i]->bound;
        v4 |= hf_address_is_tcp(bound);
        v6 |= hf_address_is_tcp(bound) && bound->kind != HF_ADDRESS_INET;
    }
    if (v4)
        hf_sock_diag_tcp(AF_INET, 0, UINT32_C(1) << TCP_SYN_RECV, visit, userdata);
    if (v6)
        hf_sock_diag_tcp(AF_INET6, 0, UINT32_C(1) << TCP_SYN_RECV, visit, userdata);
}

/* ---- the watch ---- */

static bool somebody_waits(const HfSideWatch *watch)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    Search search = {.watch = watch, .found = watch->more};
    HfQueue queue;

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++) {
        HfListener *listener = generation->listeners[i];
        unsigned side = hf_listener_has_sides(listener) ? generation->side : listener->side;
        if (hf_listener_queue(listener, side, &queue) >= 0 && queue.depth > 0)
            return true;
    }
    if (watch->n > 0 && !search.found)
        visit_handshakes(watch, find_handshake, &search);
    return search.found;
}

static int look_again(HfSideWatch *watch, bool waits)
{
    watch->pause = waits && watch->n > 0 && watch->pause * 2 <= LOOK_TIME_MAX ? watch->pause * 2
                                                                              : watch->pause;
    int r = sd_event_source_set_time_relative(watch->timer, watch->pause);
    return r < 0 ? r : sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static int on_look_at_side(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfSideWatch *watch = userdata;
    bool waits = somebody_waits(watch);

    (void)source;
    (void)usec;
    watch->calm = waits ? 0 : watch->calm + 1;
    if (watch->calm == CALM || look_again(watch, waits) < 0)
        hf_supervisor_post(watch->supervisor, &watch->event);
    return 0;
}

static int begin_watch(HfSupervisor *supervisor, const HfEvent *event, HfSideWatch **ret)
{
    HfSideWatch *watch = *ret = hf_allocate(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->supervisor = supervisor;
    watch->event = *event;
    watch->pause = LOOK_TIME;
    visit_handshakes(watch, note_handshake, watch);
    return sd_event_add_time_relative(supervisor->loop, &watch->timer, CLOCK_MONOTONIC, LOOK_TIME,
                                      HF_LOOP_ACCURACY(LOOK_TIME), on_look_at_side, watch);
}

void hf_side_watch(HfSupervisor *supervisor, const HfAction *action, HfSideWatch **watch)
{
    const HfEvent event = {
        .type = HF_EVENT_SIDE_EMPTY, .slot = action->slot, .number = action->number};

    *watch = hf_side_watch_free(*watch);
    if (action->raised && begin_watch(supervisor, &event, watch) < 0)
        hf_supervisor_post(supervisor, &event);
}
