/* SPDX-License-Identifier: MIT */
#include "parts/events/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/notify_socket.h"

#define WATCHDOG_PINGS 2 /* pings per watchdog interval */
#define AGAIN_EVERY    HF_USEC_PER_SEC

typedef enum Kind {
    KIND_STATUS,
    KIND_READY,
    KIND_RELOADING,
    KIND_STOPPING,
    KIND_WATCHDOG,
    KIND_STORE,
    KIND_UNSTORE,
} Kind;

typedef struct Message {
    Kind kind;
    char *name; /* in the fd store, else NULL */
    char *text;
    int fd; /* a copy; -1: none */
} Message;

struct HfSdNotify {
    HfSupervisor *supervisor;
    const char *path;
    Message *waiting;
    size_t n_waiting;
    size_t room;
    int fd;                    /* connected, to poll for room; -1 while nothing waits */
    sd_event_source *writable; /* of it */
    sd_event_source *again;    /* retries when we were short of memory or descriptors */
    sd_event_source *watchdog;
    uint64_t watchdog_every;
    bool announced; /* READY=1 has been sent */
    bool failed;    /* and logged */
    char *told;     /* the last STATUS=; NULL: none */
};

/* ---- the queue ---- */

/* Kinds that a later message makes pointless; for the fd store only with the same name. */
static const unsigned replaced[] = {
    [KIND_STATUS] = 1U << KIND_STATUS,
    [KIND_READY] = 1U << KIND_STATUS | 1U << KIND_READY,
    [KIND_RELOADING] = 1U << KIND_STATUS | 1U << KIND_READY | 1U << KIND_RELOADING,
    [KIND_STOPPING] =
        1U << KIND_STATUS | 1U << KIND_READY | 1U << KIND_RELOADING | 1U << KIND_STOPPING,
    [KIND_WATCHDOG] = 1U << KIND_WATCHDOG,
    [KIND_STORE] = 1U << KIND_STORE,
    [KIND_UNSTORE] = 1U << KIND_STORE | 1U << KIND_UNSTORE,
};

static void drop(HfSdNotify *notify, size_t i)
{
    Message *message = &notify->waiting[i];

    free(message->name);
    free(message->text);
    hf_fd_close(message->fd);
    notify->n_waiting--;
    memmove(message, message + 1, (notify->n_waiting - i) * sizeof(*message));
}

static void drop_replaced(HfSdNotify *notify, Kind kind, const char *name)
{
    for (size_t i = notify->n_waiting; i-- > 0;) {
        const Message *message = &notify->waiting[i];
        if (replaced[kind] & 1U << message->kind && (!name || strcmp(message->name, name) == 0))
            drop(notify, i);
    }
}

static void report_failure(HfSdNotify *notify, Kind kind, int r)
{
    const HfLogFields fields = {.error = r};

    if (notify->failed)
        return;
    notify->failed = true;
    if (kind == KIND_STORE || kind == KIND_UNSTORE)
        hf_log(LOG_WARNING, &fields,
               "systemd's fd store cannot be kept up to date: a crash of holdfast itself would "
               "close the sockets");
    else
        hf_log(LOG_WARNING, &fields, "READY=1 cannot be sent to NOTIFY_SOCKET");
}

static int send_message(HfSdNotify *notify, const char *text, int fd)
{
    int r = hf_notifysocket_send_fd(notify->path, text, fd);

    return hf_is_shortage(r) ? -EAGAIN : r;
}

/* Messages that fail for another reason than a full queue are lost. Returns -EAGAIN while some
 * wait. */
static int flush(HfSdNotify *notify)
{
    while (notify->n_waiting > 0) {
        const Message *first = &notify->waiting[0];
        int r = send_message(notify, first->text, first->fd);
        if (r == -EAGAIN)
            return r;
        if (r < 0)
            report_failure(notify, first->kind, r);
        else
            notify->failed = false;
        drop(notify, 0);
    }
    return 0;
}

static void stop_waiting(HfSdNotify *notify)
{
    notify->writable = sd_event_source_disable_unref(notify->writable);
    notify->fd = hf_fd_close(notify->fd);
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfSdNotify *notify = userdata;

    (void)source;
    (void)fd;
    (void)revents;
    if (flush(notify) == 0)
        stop_waiting(notify);
    return 0;
}

static void wait_for_room(HfSdNotify *notify)
{
    if (notify->fd >= 0)
        return;
    int r = notify->fd = hf_notifysocket_connect(notify->path);
    if (r >= 0)
        r = sd_event_add_io(notify->supervisor->loop, &notify->writable, notify->fd, EPOLLOUT,
                            on_writable, notify);
    if (r < 0) {
        stop_waiting(notify);
        report_failure(notify, notify->waiting[0].kind, r);
        sd_event_source_set_time_relative(notify->again, AGAIN_EVERY);
        sd_event_source_set_enabled(notify->again, SD_EVENT_ONESHOT);
    }
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfSdNotify *notify = userdata;

    (void)source;
    (void)usec;
    if (flush(notify) == 0)
        stop_waiting(notify);
    else
        wait_for_room(notify);
    return 0;
}

/* Even a message that could be sent now must wait for those before it. name, fd: for the fd store,
 * else NULL, -1. */
static int enqueue(HfSdNotify *notify, Kind kind, const char *name, const char *text, int fd)
{
    Message message = {.kind = kind, .fd = -1};

    drop_replaced(notify, kind, name);
    if (flush(notify) == 0) {
        int r = send_message(notify, text, fd);
        if (r >= 0)
            notify->failed = false;
        else if (r != -EAGAIN)
            report_failure(notify, kind, r);
        if (r != -EAGAIN)
            return r;
    }
    int r = hf_array_reserve(&notify->waiting, &notify->room, notify->n_waiting + 1,
                             sizeof(*notify->waiting));
    if (r >= 0)
        r = hf_string_set(&message.name, name);
    if (r >= 0)
        r = hf_string_set(&message.text, text);
    if (r >= 0 && fd >= 0 && (message.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        r = -errno;
    if (r < 0) {
        free(message.name);
        free(message.text);
        return r;
    }
    notify->waiting[notify->n_waiting++] = message;
    wait_for_room(notify);
    return 0;
}

/* ---- the store ---- */

int hf_sd_notify_store(HfSdNotify *notify, const char *name, int fd)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "FDSTORE=1\nFDNAME=%s\n", name);
    return text.failed ? -ENOMEM : enqueue(notify, KIND_STORE, name, hf_text_peek(&text), fd);
}

int hf_sd_notify_unstore(HfSdNotify *notify, const char *name)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
    return text.failed ? -ENOMEM : enqueue(notify, KIND_UNSTORE, name, hf_text_peek(&text), -1);
}

bool hf_sd_notify_waits(const HfSdNotify *notify, const char *name)
{
    for (size_t i = 0; i < notify->n_waiting; i++)
        if (notify->waiting[i].name && strcmp(notify->waiting[i].name, name) == 0)
            return true;
    return false;
}

/* ---- the state ---- */

/* The fullest queue, since it overflows first. */
static void add_queue(const HfSupervisor *supervisor, HfText *text)
{
    const HfPlan *plan = supervisor->current;
    HfQueue fullest = {0};
    HfQueue queue;

    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (hf_listener_queue(plan->listeners[i], plan->listeners[i]->side, &queue) == 0 &&
            (fullest.limit == 0 || queue.depth > fullest.depth))
            fullest = queue;
    if (fullest.limit > 0)
        hf_text_addf(text, ", queue %u/%u", fullest.depth, fullest.limit);
}

static void add_status(const HfSupervisor *supervisor, HfText *text)
{
    const HfMachine *machine = &supervisor->machine;
    int active = hf_machine_find(machine, HF_STAGE_ACTIVE);
    unsigned draining = hf_machine_count_leaving(machine);

    if (active >= 0)
        hf_text_addf(text, "STATUS=generation %llu active",
                     (unsigned long long)machine->generations[active].number);
    else
        hf_text_addf(text, "STATUS=%s", machine->outage ? "outage" : "no generation active");
    if (draining > 0)
        hf_text_addf(text, ", %u draining", draining);
}

/* RELOADING=1 only makes sense to a manager while a generation is active. */
static bool is_reloading(const HfMachine *machine)
{
    return machine->phase >= HF_PHASE_PREPARING && machine->phase <= HF_PHASE_TRYING;
}

static Kind add_reloading(HfText *text)
{
    hf_text_addf(text, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
                 (unsigned long long)hf_clock_monotonic());
    return KIND_RELOADING;
}

static Kind add_state(const HfSdNotify *notify, HfText *text)
{
    const HfMachine *machine = &notify->supervisor->machine;
    bool active = hf_machine_find(machine, HF_STAGE_ACTIVE) >= 0;

    if (hf_machine_stops(machine)) {
        hf_text_add(text, "STOPPING=1\n");
        return KIND_STOPPING;
    }
    if (notify->announced && is_reloading(machine))
        return add_reloading(text);
    if (!active && !notify->announced)
        return KIND_STATUS;
    hf_text_add(text, "READY=1\n");
    return KIND_READY;
}

void hf_sd_notify_state(HfSdNotify *notify)
{
    HF_CLEANUP_TEXT HfText status = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    if (!notify)
        return;
    hf_text_addf(&status, "%d ", (int)notify->supervisor->machine.phase);
    add_status(notify->supervisor, &status);
    bool same = notify->told && strcmp(notify->told, hf_text_peek(&status)) == 0;
    if (status.failed || same) /* without memory it is reported after the next step */
        return;
    Kind kind = add_state(notify, &text);
    hf_text_add(&text, strchr(hf_text_peek(&status), ' ') + 1);
    add_queue(notify->supervisor, &text);
    int r = text.failed ? -ENOMEM : enqueue(notify, kind, NULL, hf_text_peek(&text), -1);
    if (r >= 0)
        hf_string_set(&notify->told, hf_text_peek(&status));
    if (r >= 0 && kind == KIND_READY)
        notify->announced = true;
}

void hf_sd_notify_reloading(HfSdNotify *notify)
{
    HF_CLEANUP_TEXT HfText text = {0};

    if (!notify || !notify->announced)
        return;
    add_reloading(&text);
    hf_text_add(&text, "STATUS=upgrade\n");
    (void)enqueue(notify, KIND_RELOADING, NULL, hf_text_peek(&text), -1);
}

void hf_sd_notify_again(HfSdNotify *notify)
{
    if (notify)
        hf_string_set(&notify->told, NULL);
    hf_sd_notify_state(notify);
}

/* ---- its life ---- */

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfSdNotify *notify = userdata;

    (void)usec;
    (void)enqueue(notify, KIND_WATCHDOG, NULL, "WATCHDOG=1\n", -1);
    int r = sd_event_source_set_time_relative(source, notify->watchdog_every);
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int hf_sd_notify_new(HfSupervisor *supervisor, HfSdNotify **ret)
{
    const char *path = getenv("NOTIFY_SOCKET");
    uint64_t usec;
    int r = 0;

    if (!path || !*path)
        return 0;
    HfSdNotify *notify = calloc(1, sizeof(*notify));
    if (!notify)
        return -ENOMEM;
    *notify = (HfSdNotify){.supervisor = supervisor, .path = path, .fd = -1};
    *ret = notify;
    r = sd_event_add_time(supervisor->loop, &notify->again, CLOCK_MONOTONIC, UINT64_MAX,
                          HF_LOOP_ACCURACY(AGAIN_EVERY), on_again, notify);
    if (r >= 0)
        r = sd_event_source_set_enabled(notify->again, SD_EVENT_OFF);
    if (r >= 0 && sd_watchdog_enabled(0, &usec) > 0) {
        notify->watchdog_every = usec / WATCHDOG_PINGS;
        r = sd_event_add_time_relative(supervisor->loop, &notify->watchdog, CLOCK_MONOTONIC, 0, 0,
                                       on_watchdog, notify);
    }
    return r;
}

HfSdNotify *hf_sd_notify_free(HfSdNotify *notify)
{
    if (!notify)
        return NULL;
    while (notify->n_waiting > 0)
        drop(notify, notify->n_waiting - 1);
    free(notify->waiting);
    stop_waiting(notify);
    sd_event_source_disable_unref(notify->again);
    sd_event_source_disable_unref(notify->watchdog);
    free(notify->told);
    free(notify);
    return NULL;
}

/* systemd has forgotten the messages of a dead holdfast. */
void hf_sd_notify_claimed(HfSdNotify *notify)
{
    const HfSupervisor *supervisor = notify ? notify->supervisor : NULL;

    if (notify)
        notify->announced =
            supervisor->first == HF_EVENT_RESUME && hf_notes_text(&supervisor->notes, "announced");
}

/* Descriptors whose FDSTOREREMOVE is still waiting are in the store. */
int hf_sd_notify_captured(const HfSdNotify *notify, HfNotes *notes)
{
    int r = notify && notify->announced ? hf_notes_add(notes, "announced", "yes", -1) : 0;

    for (size_t i = 0; notify && r >= 0 && i < notify->n_waiting; i++)
        if (notify->waiting[i].kind == KIND_UNSTORE)
            r = hf_notes_add(notes, "stored", notify->waiting[i].name, -1);
    return r;
}
