/* SPDX-License-Identifier: MIT */
#include "parts/inherit/systemd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/parse.h"

#define CALL_TIME       (5 * HF_USEC_PER_SEC) /* including the connection */
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"
#define NAME            "org.freedesktop.systemd1"
#define OBJECT          "/org/freedesktop/systemd1"
#define PROPERTIES      "org.freedesktop.DBus.Properties"
#define COMMAND         "sasbttttuii" /* path, arguments, flags and times of each ExecStopPost= */

struct HfSystemd {
    sd_bus *bus;
    char *path; /* of the unit's object */
    sd_event *loop;
    sd_event_source *timer; /* NULL: no question is pending */
    sd_bus_slot *call;
    bool again;
    HfSystemdAnswered answered;
    void *userdata;
};

static int connect_directly(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

int hf_systemd_new(sd_event *loop, const char *unit, HfSystemdAnswered answered, void *userdata,
                   HfSystemd **ret)
{
    HfSystemd *systemd = calloc(1, sizeof(*systemd));

    if (!systemd)
        return -ENOMEM;
    systemd->loop = loop;
    systemd->answered = answered;
    systemd->userdata = userdata;
    int r = sd_bus_path_encode(OBJECT "/unit", unit, &systemd->path);
    if (r >= 0)
        r = sd_bus_open_system(&systemd->bus);
    if (r < 0 && systemd->path)
        r = connect_directly(&systemd->bus);
    if (r >= 0)
        r = sd_bus_set_close_on_exit(systemd->bus, 0); /* nor flush: that waits for the reader */
    if (r >= 0)
        r = sd_bus_attach_event(systemd->bus, loop, SD_EVENT_PRIORITY_NORMAL);
    if (r < 0) {
        hf_systemd_free(systemd);
        return r;
    }
    *ret = systemd;
    return 0;
}

HfSystemd *hf_systemd_free(HfSystemd *systemd)
{
    if (!systemd)
        return NULL;
    sd_event_source_disable_unref(systemd->timer);
    sd_bus_slot_unref(systemd->call);
    if (systemd->bus)
        sd_bus_detach_event(systemd->bus);
    sd_bus_close_unref(systemd->bus);
    free(systemd->path);
    free(systemd);
    return NULL;
}

/* ---- the answer ---- */

static int read_is_empty(sd_bus_message *message, const char *element, bool *ret)
{
    int r = sd_bus_message_enter_container(message, 'a', element);
    if (r < 0)
        return r;
    *ret = sd_bus_message_at_end(message, 0) > 0;
    while ((r = sd_bus_message_at_end(message, 0)) == 0)
        if ((r = sd_bus_message_skip(message, element)) < 0)
            return r;
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Reads inside the variant. Returns as sd_bus_message_*. */
static int read_value(sd_bus_message *message, const char *name, const char *type,
                      HfUnitState *state)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"ActiveState", &state->active},
        {"SubState", &state->sub},
        {"ControlGroup", &state->cgroup},
        {"Restart", &state->restart},
        {"RuntimeDirectoryPreserve", &state->preserve},
    };
    bool empty = true;
    int r;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(name, texts[i].name) == 0 && strcmp(type, "s") == 0)
            return sd_bus_message_read(message, "s", texts[i].text);
    if (strcmp(name, "Job") == 0 && strcmp(type, "(uo)") == 0)
        return sd_bus_message_read(message, "(uo)", &state->job, NULL);
    if (strcmp(name, "RuntimeDirectory") == 0 && strcmp(type, "as") == 0) {
        r = read_is_empty(message, "s", &empty);
        state->directory = !empty;
        return r;
    }
    if (strcmp(name, "ExecStopPost") == 0 && strcmp(type, "a(" COMMAND ")") == 0) {
        r = read_is_empty(message, "(" COMMAND ")", &empty);
        state->stop_post = !empty;
        return r;
    }
    return sd_bus_message_skip(message, type);
}

static int read_state(sd_bus_message *message, HfUnitState *state)
{
    const char *name;
    const char *type;

    int r = sd_bus_message_enter_container(message, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = sd_bus_message_read(message, "s", &name);
        if (r >= 0)
            r = sd_bus_message_peek_type(message, NULL, &type);
        if (r >= 0)
            r = sd_bus_message_enter_container(message, 'v', type);
        if (r >= 0)
            r = read_value(message, name, type, state);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r;
}

static void end_question(HfSystemd *systemd, int r, const HfUnitState *state)
{
    HfSystemdAnswered answered = systemd->answered;
    void *userdata = systemd->userdata;
    bool again = systemd->again;

    systemd->timer = sd_event_source_disable_unref(systemd->timer);
    systemd->call = sd_bus_slot_unref(systemd->call);
    systemd->again = false;
    if (r >= 0 && again)
        r = hf_systemd_ask(systemd);
    answered(r, state, userdata);
}

static int on_unit_state(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    HfUnitState state = {"", "", "", "", "", 0, true, true}; /* the worst, until known */

    (void)unused;
    int r = -sd_bus_message_get_errno(message);
    if (r == 0)
        r = read_state(message, &state);
    if (r >= 0 && state.active[0] == '\0') /* not a unit of a kind that we know */
        r = -EPROTO;
    end_question(userdata, r, &state);
    return 0;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    end_question(userdata, -ETIMEDOUT, NULL);
    return 0;
}

/* With a timer of our own: sd-bus counts the time of a call from when the connection is up, which a
 * silent daemon never lets it be. */
int hf_systemd_ask(HfSystemd *systemd)
{
    if (systemd->timer) {
        systemd->again = true;
        return 0;
    }
    int r = sd_event_add_time_relative(systemd->loop, &systemd->timer, CLOCK_MONOTONIC, CALL_TIME,
                                       0, on_silence, systemd);
    if (r >= 0)
        r = sd_bus_call_method_async(systemd->bus, &systemd->call, NAME, systemd->path, PROPERTIES,
                                     "GetAll", on_unit_state, systemd, "s", "");
    if (r < 0)
        systemd->timer = sd_event_source_disable_unref(systemd->timer);
    return r < 0 ? r : 0;
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    HfSystemd *systemd = userdata;

    (void)message;
    (void)unused;
    int r = hf_systemd_ask(systemd);
    if (r < 0)
        systemd->answered(r, NULL, systemd->userdata);
    return 0;
}

int hf_systemd_follow(HfSystemd *systemd)
{
    int r = sd_bus_match_signal_async(systemd->bus, NULL, NULL, systemd->path, PROPERTIES,
                                      "PropertiesChanged", on_change, NULL, systemd);
    if (r >= 0)
        r = sd_bus_call_method_async(systemd->bus, NULL, NAME, OBJECT, NAME ".Manager", "Subscribe",
                                     NULL, NULL, NULL);
    return r < 0 ? r : 0;
}
