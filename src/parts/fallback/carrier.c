/* SPDX-License-Identifier: MIT */
#include "parts/fallback/fallback_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "loop/reaper.h"
#include "parts/events/events.h"

#define REPORT_INTERVAL HF_USEC_PER_SEC
#define CARRIED_AT_ONCE 128 /* that are counted by one read(2) */

static const HfNoticeKind late = {"late-connections", LOG_NOTICE,
                                  "7b1f0a3c5d7e4c5c9a0d5be1f2c84e61"};

/* A side without a generation. */
typedef struct Left {
    HfListener *listener; /* reference */
    int fd;               /* its descriptor, borrowed */
    sd_event_source *source;
} Left;

struct HfCarrier {
    HfSupervisor *supervisor;
    bool held;
    Left *left;
    size_t n;
    size_t capacity;
    HfProcess process;   /* the helper; it has copies of the sides */
    HfProcess dismissed; /* the last one that was asked to stop: it ends what it has begun */
    sd_event_source *counted;
};

static void look_for_connections(const HfCarrier *carrier, bool on)
{
    for (size_t i = 0; i < carrier->n; i++)
        sd_event_source_set_enabled(carrier->left[i].source, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void helper_gone(HfCarrier *carrier)
{
    hf_process_clear(&carrier->process);
    look_for_connections(carrier, true);
}

static void on_exit_of_helper(const siginfo_t *info, void *userdata)
{
    (void)info;
    helper_gone(userdata);
}

static void report_carried(HfSupervisor *supervisor, size_t n)
{
    HF_CLEANUP_TEXT HfText text = {0};

    supervisor->late_connections += n;
    hf_text_addf(&text,
                 "%zu connection%s waited at a side that nobody serves any more, and %s carried "
                 "over to the current one",
                 n, n == 1 ? "" : "s", n == 1 ? "is" : "are");
    hf_notices_publish(&hf_events_of(supervisor)->notices, &late, 0, "", hf_text_peek(&text));
}

/* Returns false when the helper has ended. */
static bool count_carried(const HfCarrier *carrier)
{
    char bytes[CARRIED_AT_ONCE];
    size_t sum = 0;
    ssize_t n;

    if (!carrier->counted)
        return true;
    while ((n = read(sd_event_source_get_io_fd(carrier->counted), bytes, sizeof(bytes))) > 0)
        sum += (size_t)n;
    bool runs = n < 0 && errno == EAGAIN;
    if (sum > 0 && !carrier->held) /* those that were held have been reported as a whole */
        report_carried(carrier->supervisor, sum);
    return runs;
}

static int on_carried(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfCarrier *carrier = userdata;

    (void)fd;
    (void)revents;
    if (!count_carried(carrier))
        carrier->counted = sd_event_source_disable_unref(source);
    return 0;
}

static void stop_counting(HfCarrier *carrier)
{
    (void)count_carried(carrier);
    carrier->counted = sd_event_source_disable_unref(carrier->counted);
}

/* The current side, unless a switch failed. */
static unsigned served_side(const HfSupervisor *supervisor, const HfListener *listener)
{
    unsigned side = supervisor->machine.side;

    return hf_listener_has_sides(listener) && listener->fds[side] >= 0 ? side : listener->side;
}

/* The address of that side, as text. */
static int add_target(const HfListener *listener, unsigned side, char ***argv)
{
    char text[HF_ADDRESS_TEXT_MAX];
    HfAddress address;
    HfReach reach;

    int r = hf_listener_reach(listener, side, &reach);
    if (r >= 0)
        r = hf_address_from_sockaddr(&reach.address, reach.length, &address);
    if (r < 0)
        return r;
    hf_address_format(&address, text);
    return hf_strv_append(argv, text);
}

static int spawn_helper(HfCarrier *carrier, int counting)
{
    HF_CLEANUP_STRV char **argv = NULL;
    const char *const words[] = {"holdfast", HF_ANSWERER_OPTION, HF_CARRIER_WORD};
    int fds[HF_CARRIER_LISTENERS + 1];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof(words) / sizeof(*words); i++)
        r = hf_strv_append(&argv, words[i]);
    if (r >= 0)
        r = hf_strv_addf(&argv, "%d", (int)getpid());
    for (size_t i = 0; r >= 0 && i < carrier->n; i++) {
        const HfListener *listener = carrier->left[i].listener;
        fds[i] = carrier->left[i].fd;
        r = add_target(listener, served_side(carrier->supervisor, listener), &argv);
    }
    if (r < 0)
        return r;
    fds[carrier->n] = counting;
    return hf_process_spawn_helper(argv, -1, fds, carrier->n + 1, &carrier->process);
}

static int start_helper(HfCarrier *carrier)
{
    HfSupervisor *supervisor = carrier->supervisor;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    HF_CLEANUP_FD int reading = ends[0];
    HF_CLEANUP_FD int writing = ends[1];
    stop_counting(carrier);
    int r =
        sd_event_add_io(supervisor->loop, &carrier->counted, reading, EPOLLIN, on_carried, carrier);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(carrier->counted, true);
    if (r < 0)
        return r;
    hf_fd_steal(&reading);
    (void)sd_event_source_set_ratelimit(carrier->counted, REPORT_INTERVAL, 1);
    r = spawn_helper(carrier, writing);
    if (r < 0)
        return r;
    r = hf_reaper_watch(supervisor->reaper, carrier->process.pid, on_exit_of_helper, carrier);
    if (r < 0)
        hf_process_signal(carrier->process.pidfd, SIGKILL);
    return r;
}

static bool is_taken_over(const HfCarrier *carrier)
{
    for (size_t i = 0; i < carrier->n; i++)
        if (hf_listener_is_anothers(carrier->left[i].listener))
            return true;
    return false;
}

static int on_late(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfCarrier *carrier = userdata;

    (void)source;
    (void)fd;
    (void)revents;
    if (is_taken_over(carrier)) { /* its clients reach the other holdfast */
        hf_carrier_look(carrier);
        return 0;
    }
    look_for_connections(carrier, false);
    for (size_t i = 0; i < carrier->n; i++) /* makes up for a switch that failed */
        if (!hf_listener_is_held(carrier->left[i].listener))
            (void)hf_listener_steer(carrier->left[i].listener, carrier->supervisor->machine.side);
    int r = start_helper(carrier);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r},
               "connections that came late wait until the next reload");
    return 0;
}

static void on_exit_of_dismissed(const siginfo_t *info, void *userdata)
{
    HfCarrier *carrier = userdata;

    (void)info;
    hf_process_clear(&carrier->dismissed);
}

/* The helper drops the sides at once, and finishes the connections it has. */
static void dismiss_helper(HfCarrier *carrier)
{
    HfReaper *reaper = carrier->supervisor->reaper;

    if (carrier->process.pid <= 0)
        return;
    hf_process_signal(carrier->process.pidfd, SIGTERM);
    hf_reaper_forget(reaper, carrier->process.pid);
    hf_reaper_forget(reaper, carrier->dismissed.pid);
    hf_process_clear(&carrier->dismissed);
    carrier->dismissed = carrier->process;
    carrier->process = HF_PROCESS_NONE;
    (void)hf_reaper_watch(reaper, carrier->dismissed.pid, on_exit_of_dismissed, carrier);
}

/* ---- choosing the sides ---- */

static void forget_left(HfCarrier *carrier)
{
    for (size_t i = 0; i < carrier->n; i++) {
        sd_event_source_disable_unref(carrier->left[i].source);
        hf_listener_unref(carrier->left[i].listener);
    }
    carrier->n = 0;
}

static bool is_served(const HfSupervisor *supervisor, unsigned side)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->machine.generations[i].stage != HF_STAGE_EMPTY &&
            supervisor->machine.generations[i].side == side)
            return true;
    return false;
}

static bool is_left(const HfCarrier *carrier, const HfListener *listener, unsigned side)
{
    if (side == HF_SIDE_HELD)
        return carrier->held && !hf_listener_is_held(listener);
    return !carrier->held && side != served_side(carrier->supervisor, listener) &&
           !is_served(carrier->supervisor, side);
}

static size_t find_left(const HfCarrier *carrier, Left *ret)
{
    const HfSupervisor *supervisor = carrier->supervisor;
    const HfPlan *plan = supervisor->current;
    bool over = hf_machine_stops(&supervisor->machine);
    size_t n = 0;

    for (size_t i = 0; plan && !over && i < plan->n_listeners; i++) {
        HfListener *listener = plan->listeners[i];
        bool ours = !hf_listener_is_anothers(listener);
        HF_EACH_SIDE (listener)
            if (ours && n < HF_CARRIER_LISTENERS && is_left(carrier, listener, side))
                ret[n++] = (Left){.listener = listener, .fd = listener->fds[side]};
    }
    return n;
}

static void add_left(HfCarrier *carrier, const Left *wanted)
{
    const HfLogFields fields = {.listener = wanted->listener->label};
    Left left = *wanted;

    if (hf_array_reserve(&carrier->left, &carrier->capacity, carrier->n + 1, sizeof(left)) < 0 ||
        sd_event_add_io(carrier->supervisor->loop, &left.source, left.fd, EPOLLIN, on_late,
                        carrier) < 0) {
        hf_log(LOG_WARNING, &fields, "late connections to %s are not noticed",
               wanted->listener->label);
        return;
    }
    hf_listener_ref(left.listener);
    carrier->left[carrier->n++] = left;
}

void hf_carrier_look(HfCarrier *carrier)
{
    Left wanted[HF_CARRIER_LISTENERS];
    size_t n = find_left(carrier, wanted);
    bool same = n == carrier->n;

    for (size_t i = 0; same && i < n; i++)
        same =
            carrier->left[i].listener == wanted[i].listener && carrier->left[i].fd == wanted[i].fd;
    if (same)
        return;
    dismiss_helper(carrier);
    for (size_t i = 0; i < n; i++)
        hf_listener_ref(wanted[i].listener);
    forget_left(carrier);
    for (size_t i = 0; i < n; i++) {
        add_left(carrier, &wanted[i]);
        hf_listener_unref(wanted[i].listener);
    }
}

void hf_carrier_stop(HfCarrier *carrier)
{
    dismiss_helper(carrier);
    forget_left(carrier);
    stop_counting(carrier);
}

int hf_carrier_new(HfSupervisor *supervisor, bool held, HfCarrier **ret)
{
    HfCarrier *carrier = calloc(1, sizeof(*carrier));

    if (!carrier)
        return -ENOMEM;
    carrier->supervisor = supervisor;
    carrier->held = held;
    carrier->process = HF_PROCESS_NONE;
    carrier->dismissed = HF_PROCESS_NONE;
    *ret = carrier;
    return 0;
}

HfCarrier *hf_carrier_free(HfCarrier *carrier)
{
    if (!carrier)
        return NULL;
    hf_carrier_stop(carrier);
    hf_reaper_forget(carrier->supervisor->reaper, carrier->dismissed.pid);
    hf_helper_await(&carrier->dismissed);
    free(carrier->left);
    free(carrier);
    return NULL;
}
