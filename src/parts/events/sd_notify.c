#include "parts/events/sd_notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/notify_socket.h"

static const char *socket_path(void)
{
    const char *path = getenv("NOTIFY_SOCKET");

    return path && *path ? path : NULL;
}

/* The fullest queue, which is the one that will overflow. */
static void add_queue(const HfSupervisor *supervisor, HfText *text)
{
    const HfPlan *plan = supervisor->current;
    HfQueue fullest = {0};
    HfQueue queue;

    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (hf_listener_queue(plan->listeners[i], &queue) == 0 &&
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

/* A reload is what a supervisor above may know of: without an active generation there is none. */
static bool is_reloading(const HfMachine *machine)
{
    return machine->phase == HF_PHASE_PREPARING || machine->phase == HF_PHASE_WAITING ||
           machine->phase == HF_PHASE_CLEARING || machine->phase == HF_PHASE_STARTING;
}

static void add_reloading(HfText *text)
{
    hf_text_addf(text, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
                 (unsigned long long)hf_clock_monotonic());
}

static void add_state(const HfSdNotify *manager, HfText *text)
{
    const HfMachine *machine = &manager->supervisor->machine;
    bool active = hf_machine_find(machine, HF_STAGE_ACTIVE) >= 0;

    if (hf_machine_stops(machine)) {
        hf_text_add(text, "STOPPING=1\n");
    } else if (manager->announced && is_reloading(machine)) {
        add_reloading(text);
    } else if (active || manager->announced) {
        hf_text_add(text, "READY=1\n");
    }
}

void hf_sd_notify_reloading(HfSdNotify *manager)
{
    const char *path = socket_path();
    HF_CLEANUP_TEXT HfText text = {0};

    if (!path || !manager->announced)
        return;
    add_reloading(&text);
    hf_text_add(&text, "STATUS=upgrade\n");
    hf_notifysocket_send(path, hf_text_peek(&text));
}

void hf_sd_notify_again(HfSdNotify *manager)
{
    hf_string_set(&manager->told, NULL);
    hf_sd_notify_state(manager);
}

void hf_sd_notify_state(HfSdNotify *manager)
{
    const char *path = socket_path();
    HF_CLEANUP_TEXT HfText status = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    if (!path)
        return;
    hf_text_addf(&status, "%d ", (int)manager->supervisor->machine.phase);
    add_status(manager->supervisor, &status);
    if (manager->told && strcmp(manager->told, hf_text_peek(&status)) == 0)
        return;
    add_state(manager, &text);
    bool ready = strncmp(hf_text_peek(&text), "READY", 5) == 0;
    hf_text_add(&text, strchr(hf_text_peek(&status), ' ') + 1);
    add_queue(manager->supervisor, &text);
    int r = hf_notifysocket_send(path, hf_text_peek(&text)); /* never waits for who does not read */
    if (r >= 0) {
        hf_string_set(&manager->told, hf_text_peek(&status));
        manager->announced |= ready;
    } else if (ready && !manager->announced && r != -EAGAIN) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "NOTIFY_SOCKET cannot be told that the service is ready");
    }
}

int hf_sd_notify_watchdog(HfSupervisor *supervisor)
{
    uint64_t usec;

    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    int r = sd_event_set_watchdog(supervisor->loop, 1);
    return r < 0 ? r : 0;
}
