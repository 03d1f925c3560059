/* SPDX-License-Identifier: MIT */
/* The other end of the control socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "base/parse.h"
#include "base/text.h"

/* How long an instance may take to accept a client, and to answer a query. */
#define HF_CLIENT_TIMEOUT (5 * HF_USEC_PER_SEC)

/* A running instance that we may ask. */
typedef struct HfInstance {
    char *directory;   /* owned */
    const char *label; /* the shortest --name that reaches it: the end of directory, or all of it */
    bool foreign;      /* another user's: only its directory reaches it */
    size_t found;      /* position in the search for a name */
    sd_bus *bus;       /* owned; may not have been accepted yet */
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

/* Finds the instance with that name or directory or, with name NULL, all, sorted by name. Returns 0
 * with at least one, or an exit status (HF_EXIT_...) with one line in error. */
int hf_client_find(const char *name, HfInstances *ret, HfText *error);

/* Finds one, with name NULL the only one that runs, and waits until it has accepted us. Returns as
 * above. */
int hf_client_connect(const char *name, HfInstance *ret, HfText *error);

/* The same, but logs the error. */
int hf_client_connect_or_log(const char *name, HfInstance *ret);

/* Logs what is in error, if anything is. */
void hf_client_log(const HfText *error);

/* Explains in one line why that instance cannot be asked; r: negative errno. Returns an exit
 * status. */
int hf_client_explain(const char *label, int r, HfText *error);
