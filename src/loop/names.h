/* SPDX-License-Identifier: MIT */
/* Looks up users, groups, hosts and the service's files. Name services take any amount of time, and
 * their servers, or those of a file system, may never answer: so a child asks them, and nothing
 * else has to wait. Only files that the kernel has at hand are looked at without one. */
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
/* Ends a lookup in progress without a callback. Accepts and returns NULL. */
HfNames *hf_names_free(HfNames *names);

/* Adds names to ask for; known ones are not asked for again. Return 0 or -ENOMEM. with_host: the
 * listener's address as well as its owner. */
int hf_names_want_service(HfNames *names, const HfSettings *settings);
int hf_names_want_listener(HfNames *names, const HfListenerSpec *spec, bool with_host);

/* The location of program, from directory, and the real path of root (NULL: none); also what
 * hf_names_want_open asks of program and directory with X_OK. */
int hf_names_want_files(HfNames *names, const char *program, const char *directory,
                        const char *root);
/* May root without capabilities access(2) the file in that mode? */
int hf_names_want_open(HfNames *names, const char *path, int mode);

/* Asks for the names that were added. Those not answered after timeout (usec) become -ETIMEDOUT.
 * Returns 0, 1 when all is known (no callback), or negative errno. The callback comes
 * from the loop, never from within this call. */
typedef void (*HfNamesCallback)(void *userdata);
int hf_names_ask(HfNames *names, sd_event *loop, HfReaper *reaper, uint64_t timeout,
                 HfNamesCallback callback, void *userdata);

/* The answers, in the form of the functions in kernel/account.h and kernel/credentials.h; with
 * names NULL those are called, and may block. */
int hf_names_user(const HfNames *names, const char *user, uid_t *ret_uid, gid_t *ret_gid);
int hf_names_group(const HfNames *names, const char *group, gid_t *ret_gid);
int hf_names_host(const HfNames *names, const char *host, uint16_t port,
                  struct sockaddr_storage *ret, unsigned *ret_lengths, size_t maximum);
int hf_names_program(const HfNames *names, const char *program, const char *directory, char **ret);
int hf_names_real_path(const HfNames *names, const char *path, char **ret);
/* A file or directory that did not answer in time, or NULL. */
const char *hf_names_silent(const HfNames *names);
bool hf_names_open(const HfNames *names, const char *path, int mode);
/* May be called once. */
int hf_names_service_user(HfNames *names, HfCredentials *credentials, const char *user);
/* What the service runs as. Returns 0, or negative errno, mostly with one line in error: no such
 * user or group, or no permission to switch to it. May be called once. */
int hf_names_credentials(HfNames *names, const HfSettings *settings, HfCredentials *ret,
                         HfText *error);
