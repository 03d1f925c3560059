/* SPDX-License-Identifier: MIT */
/* The other end of the control socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "base/parse.h"
#include "base/text.h"

/* How long an instance may take to let a client in, and to answer what only asks. */
#define HF_CLIENT_TIMEOUT (5 * HF_USEC_PER_SEC)

/* One that runs, and lets us ask. */
typedef struct HfInstance {
    char *directory;   /* owned */
    const char *label; /* the shortest --name that reaches it: within directory, or all of it */
    bool foreign;      /* another user's: only its directory reaches it */
    size_t found;      /* in the order in which a name is looked for */
    sd_bus *bus;       /* owned; it may not have let us in yet */
} HfInstance;

typedef struct HfInstances {
    HfInstance *list;
    size_t n;
    size_t capacity;
} HfInstances;

void hf_instance_clear(HfInstance *instance);
#define HF_CLEANUP_INSTANCE __attribute__((cleanup(hf_instance_clear)))
void hf_instances_clear(HfInstances *instances);
#define HF_CLEANUP_INSTANCES __attribute__((cleanup(hf_instances_clear)))

/* The instance of that name or in that directory, or with name NULL all, at least one, sorted by
 * name. Returns 0, or an exit status (HF_EXIT_...) with one line in error. */
int hf_client_find(const char *name, HfInstances *ret, HfText *error);

/* The same for one, with name NULL for the only one that runs; waits until it has let us in. */
int hf_client_connect(const char *name, HfInstance *ret, HfText *error);

/* The same, with the line logged. */
int hf_client_connect_or_log(const char *name, HfInstance *ret);

/* Logs what is in error, if anything is. */
void hf_client_log(const HfText *error);

/* Why that instance cannot be asked: one line in error; r: negative errno. Returns an exit status.
 */
int hf_client_explain(const char *label, int r, HfText *error);
