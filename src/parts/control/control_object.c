/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "config/settings.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

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

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return hf_control_request(userdata, HF_REQUEST_RELOAD, message);
}

/* Like Reload, but may take addresses over from another holdfast. */
static int method_take_over(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    ((HfControl *)userdata)->supervisor->shares = true;
    return method_reload(message, userdata, unused);
}

static int method_restart(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return hf_control_request(userdata, HF_REQUEST_RESTART, message);
}

static int method_rollback(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return hf_control_request(userdata, HF_REQUEST_ROLLBACK, message);
}

static int method_stop(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return hf_control_request(userdata, HF_REQUEST_STOP, message);
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

/* A getter of sd-bus(3) that appends one property's value. */
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

#define PROPERTY(name, ...)                                                                        \
    static int get_##name(sd_bus *bus, const char *path, const char *interface,                    \
                          const char *property, sd_bus_message *reply, void *userdata,             \
                          sd_bus_error *unused)                                                    \
    {                                                                                              \
        const HfControl *control = userdata;                                                       \
        const HfSupervisor *supervisor = control->supervisor;                                      \
                                                                                                   \
        (void)bus, (void)path, (void)interface, (void)property, (void)supervisor, (void)unused;    \
        return sd_bus_message_append(reply, __VA_ARGS__);                                          \
    }

PROPERTY(name, "s", supervisor->name)
PROPERTY(version, "s", HF_VERSION)
PROPERTY(pid, "u", (uint32_t)getpid())
PROPERTY(started, "t", control->started)
PROPERTY(state, "s", hf_control_state(&supervisor->machine))
PROPERTY(generation, "t", hf_control_generation(&supervisor->machine))
PROPERTY(draining, "u", hf_machine_count_leaving(&supervisor->machine))
PROPERTY(failures, "t", control->events->history.failures)
PROPERTY(replaced, "t", control->events->history.replaced_at)
PROPERTY(handover, "s", find_handover(supervisor))
PROPERTY(late_connections, "t", supervisor->late_connections)
PROPERTY(held_until, "t", find_end_of_hold(supervisor))
PROPERTY(ready_after, "t", control->events->history.ready_after)
PROPERTY(switched_after, "t", control->events->history.switched_after)
PROPERTY(gone_after, "t", control->events->history.gone_after)
PROPERTY(warm_listed, "t", control->events->history.warmed.listed)
PROPERTY(warm_scripts, "t", control->events->history.warmed.scripts)
PROPERTY(warm_requests, "t", control->events->history.warmed.requests)
PROPERTY(warm_failures, "t", control->events->history.warmed.failures)
PROPERTY(warm_time, "t", control->events->history.warmed.time)

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

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define OPEN     SD_BUS_VTABLE_UNPRIVILEGED /* whoever may connect may call */

/* Lists never get new members: a longer structure needs a new method, and the old one stays. */
const sd_bus_vtable hf_control_object[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Name", "s", get_name, 0, CONSTANT),
    SD_BUS_PROPERTY("Version", "s", get_version, 0, CONSTANT),
    SD_BUS_PROPERTY("Pid", "u", get_pid, 0, CONSTANT),
    SD_BUS_PROPERTY("Started", "t", get_started, 0, CONSTANT),
    SD_BUS_PROPERTY("State", "s", get_state, 0, CHANGES),
    SD_BUS_PROPERTY("Generation", "t", get_generation, 0, CHANGES),
    SD_BUS_PROPERTY("Draining", "u", get_draining, 0, CHANGES),
    SD_BUS_PROPERTY("Replacements", "a{st}", get_replacements, 0, 0),
    SD_BUS_PROPERTY("Failures", "t", get_failures, 0, 0),
    SD_BUS_PROPERTY("Replaced", "t", get_replaced, 0, 0),
    SD_BUS_PROPERTY("ReadyAfter", "t", get_ready_after, 0, 0),
    SD_BUS_PROPERTY("SwitchedAfter", "t", get_switched_after, 0, 0),
    SD_BUS_PROPERTY("GoneAfter", "t", get_gone_after, 0, 0),
    SD_BUS_PROPERTY("Handover", "s", get_handover, 0, 0),
    SD_BUS_PROPERTY("LateConnections", "t", get_late_connections, 0, 0),
    SD_BUS_PROPERTY("HeldUntil", "t", get_held_until, 0, 0),
    SD_BUS_PROPERTY("WarmListed", "t", get_warm_listed, 0, 0),
    SD_BUS_PROPERTY("WarmScripts", "t", get_warm_scripts, 0, 0),
    SD_BUS_PROPERTY("WarmRequests", "t", get_warm_requests, 0, 0),
    SD_BUS_PROPERTY("WarmFailures", "t", get_warm_failures, 0, 0),
    SD_BUS_PROPERTY("WarmTime", "t", get_warm_time, 0, 0),
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
                            hf_control_list_generations, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListListeners", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT(HF_CONTROL_LISTENERS, listeners),
                            hf_control_list_listeners, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListPools", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_POOLS, pools),
                            hf_control_list_pools, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListCaches", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_CACHES, caches),
                            hf_control_list_caches, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ListEvents", SD_BUS_NO_ARGS, SD_BUS_RESULT(HF_CONTROL_EVENTS, events),
                            hf_control_list_events, OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_NO_ARGS,
                            SD_BUS_RESULT(HF_CONTROL_HISTORY, generations), hf_control_get_history,
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
