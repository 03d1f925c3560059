/* SPDX-License-Identifier: MIT */
/* Shared by the files of the control object. */
#pragma once

#include <systemd/sd-bus.h>

#include "kernel/socket.h"
#include "parts/events/events.h"
#include "parts/probe/figures.h"

#define HF_CONTROL_TEXT_MAX 16384 /* bytes of the reason for a failure */

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
    bool called;    /* a method: before that, signals would confuse a client that waits for Hello */
} HfControlClient;

/* A call that waits for its answer. */
typedef struct HfControlCall {
    struct HfControlCall *next;
    uint64_t id;
    sd_bus_message *message;
} HfControlCall;

/* The result of a request whose caller fetches it later. */
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
    HfSocketInode inode; /* of the socket's path */
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
    HfFigures *figures[2]; /* of pools, of the opcode cache; NULL: not being asked for */
    struct {               /* last sent in PropertiesChanged */
        const char *state;
        uint64_t generation;
        uint32_t draining;
    } told;
};

/* The methods and properties; userdata is the HfControl. */
extern const sd_bus_vtable hf_control_object[];
/* The parts of org.freedesktop.DBus that bus clients such as busctl expect: there is no bus here,
 * each connection has one peer, and signals are sent without subscription. */
extern const sd_bus_vtable hf_control_driver[];

/* Posts the request, and keeps message for the answer. Returns as a method handler. */
int hf_control_request(HfControl *control, HfRequestKind kind, sd_bus_message *message);
/* Keeps message for hf_control_take with that id. Returns 0 or -EBUSY, with the call answered. */
int hf_control_keep(HfControl *control, uint64_t id, sd_bus_message *message);
/* Returns a kept message, a reference; NULL if none is left. */
sd_bus_message *hf_control_take(HfControl *control, uint64_t id);
/* Is a call from bus waiting for an answer? */
bool hf_control_has_call(const HfControl *control, const sd_bus *bus);
/* Answers message with the result of request id, or keeps it until there is one. */
int hf_control_await(HfControl *control, uint64_t id, sd_bus_message *message);
/* Answers request id; if nobody waits, UpgradeResult can fetch the result for a while. */
void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text);
void hf_control_forget_results(HfControl *control);
/* message cannot be answered: its caller, who would wait for ever, sees the connection end. */
void hf_control_hang_up(sd_bus_message *message);
/* The peer of bus has gone: drops its calls. */
void hf_control_forget_calls(HfControl *control, const sd_bus *bus);

/* A word for people and programs: starting, running, replacing, retrying, outage, stopping. */
const char *hf_control_state(const HfMachine *machine);
/* The active generation's number, or 0. */
uint64_t hf_control_generation(const HfMachine *machine);
