/* SPDX-License-Identifier: MIT */
/* Users, groups and hosts by name, and the service's files. The name services may take as long as
 * they like, and their servers, or those of a file system, may not answer at all: so they are asked
 * in a child, and nothing else waits for them. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "config/settings.h"
#include "kernel/credentials.h"
#include "loop/reaper.h"

typedef struct HfNames HfNames;

int hf_names_new(HfNames **ret);
/* Ends what is under way, without a call back. NULL is fine. Returns NULL. */
HfNames *hf_names_free(HfNames *names);

/* What is to be asked next. Names that are known already are not asked again. Return 0 or -ENOMEM.
 * with_host: the address of the listener, too, not only whose it is to be. */
int hf_names_want_service(HfNames *names, const HfSettings *settings);
int hf_names_want_listener(HfNames *names, const HfListenerSpec *spec, bool with_host);

/* Where the program is, from directory, and what root, or NULL, really is. */
int hf_names_want_files(HfNames *names, const char *program, const char *directory,
                        const char *root);
/* May root as such do that (access(2)) with the file? */
int hf_names_want_open(HfNames *names, const char *path, int mode);

/* Asks for what was wanted. Whatever has not been answered after timeout (usec) is from then on
 * -ETIMEDOUT. Returns 0, 1 when nothing is to be asked (no call back), or negative errno. The call
 * back comes from the loop, never from within. */
typedef void (*HfNamesCallback)(void *userdata);
int hf_names_ask(HfNames *names, sd_event *loop, HfReaper *reaper, uint64_t timeout,
                 HfNamesCallback callback, void *userdata);

/* The answers, as the functions of kernel/account.h, kernel/credentials.h and kernel/resolve.h give
 * them; they are called where names is NULL, and may block then. */
int hf_names_user(const HfNames *names, const char *user, uid_t *ret_uid, gid_t *ret_gid);
int hf_names_group(const HfNames *names, const char *group, gid_t *ret_gid);
int hf_names_host(const HfNames *names, const char *host, uint16_t port,
                  struct sockaddr_storage *ret, unsigned *ret_lengths, size_t maximum);
int hf_names_program(const HfNames *names, const char *program, const char *directory, char **ret);
int hf_names_real_path(const HfNames *names, const char *path, char **ret);
/* A file or directory of which nothing was heard in time, or NULL. */
const char *hf_names_silent(const HfNames *names);
bool hf_names_open(const HfNames *names, const char *path, int mode);
/* Once. */
int hf_names_service_user(HfNames *names, HfCredentials *credentials, const char *user);
