/* SPDX-License-Identifier: MIT */
/* What the files of the control object share. */
#pragma once

#include <systemd/sd-bus.h>

#include "kernel/socket.h"
#include "parts/events/events.h"
#include "parts/probe/figures.h"

#define HF_CONTROL_TEXT_MAX 16384 /* bytes of the reason of a failure */

typedef struct HfControl HfControl;

typedef struct HfControlClient {
    struct HfControlClient *next;
    HfControl *control;
    sd_bus *bus;
    sd_bus_slot *filter;
    sd_bus_slot *object;
    sd_bus_slot *driver;
    sd_bus_slot *connected;
    sd_bus_slot *disconnected;
    sd_event_source *read_ahead;
    uint64_t heard; /* usec, CLOCK_MONOTONIC, of its last message */
    bool called; /* has called a method: signals would confuse who waits for his Hello's answer */
} HfControlClient;

/* A call that waits for its answer. */
typedef struct HfControlCall {
    struct HfControlCall *next;
    uint64_t id;
    sd_bus_message *message;
} HfControlCall;

/* What came of a request whose caller asks later. */
typedef struct HfControlResult {
    uint64_t id; /* 0: none */
    HfOutcome outcome;
    char *text; /* owned */
} HfControlResult;

#define HF_CONTROL_RESULTS HF_MACHINE_REQUESTS /* the last ones */

struct HfControl {
    HfSupervisor *supervisor;
    HfEvents *events;
    int fd;
    HfSocketInode inode; /* of its path */
    sd_event_source *acceptable;
    sd_event_source *pause;
    HfControlClient *clients;
    size_t n_clients;
    HfControlCall *calls;
    size_t n_calls;
    uint64_t last_id;                            /* of requests */
    HfControlResult results[HF_CONTROL_RESULTS]; /* a ring */
    size_t next_result;
    uint64_t started;      /* usec, CLOCK_REALTIME */
    HfFigures *figures[2]; /* of pools, of the opcode cache; NULL: are not asked for */
    struct {               /* what PropertiesChanged told last */
        const char *state;
        uint64_t generation;
        uint32_t draining;
    } told;
};

/* The methods and properties; userdata is the HfControl. */
extern const sd_bus_vtable hf_control_object[];
/* What a client of a bus expects of org.freedesktop.DBus, as busctl does: there is no bus, each
 * connection has one peer, and signals reach it without being asked for. */
extern const sd_bus_vtable hf_control_driver[];

/* Their method handlers that answer with a list. */
int hf_control_list_generations(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int hf_control_list_listeners(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int hf_control_list_events(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int hf_control_list_pools(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int hf_control_list_caches(sd_bus_message *message, void *userdata, sd_bus_error *unused);
int hf_control_get_history(sd_bus_message *message, void *userdata, sd_bus_error *unused);

/* Posts the request, and keeps message to answer it. Returns as a method handler. */
int hf_control_request(HfControl *control, HfRequestKind kind, sd_bus_message *message);
/* Keeps message until hf_control_take gives it out: calls of that id. Returns 0 or -EBUSY, with the
 * call answered. */
int hf_control_keep(HfControl *control, uint64_t id, sd_bus_message *message);
/* A reference, NULL when there is none left. */
sd_bus_message *hf_control_take(HfControl *control, uint64_t id);
/* Does somebody on bus wait for an answer? */
bool hf_control_has_call(const HfControl *control, const sd_bus *bus);
/* Answers message with what came of request id, or keeps it until that is known. */
int hf_control_await(HfControl *control, uint64_t id, sd_bus_message *message);
/* The one answer to request id; kept for a while for UpgradeResult when nobody waits for it. */
void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text);
void hf_control_forget_results(HfControl *control);
/* Nobody is there any more to be answered on bus. */
void hf_control_forget_calls(HfControl *control, const sd_bus *bus);

/* A notice as the signal Event, to each client; userdata is the HfControl. */
void hf_control_signal(const HfNotice *notice, void *userdata);
/* After each step: tells the clients which properties have changed. */
void hf_control_update(HfControl *control);

/* One word for people and programs: starting, running, replacing, retrying, outage, stopping. */
const char *hf_control_state(const HfMachine *machine);
/* The active generation's number, or 0. */
uint64_t hf_control_generation(const HfMachine *machine);

/* Serves the connection fd, and takes it. Returns 0 or negative errno. */
int hf_control_add(HfControl *control, int *fd);
/* Ends the connection. */
void hf_control_drop(HfControlClient *client);
/* Does it read what it is sent? */
bool hf_control_keeps_up(const HfControlClient *client);
