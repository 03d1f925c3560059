/* systemd's fd store: what it keeps while holdfast is dead. sd_pid_notify_with_fds(3) FDSTORE=1,
 * FileDescriptorStoreMax= of systemd.service(5). Everything is named hf-...: listeners hf-l-INODE,
 * main processes' pidfds hf-p-GENERATION, the notify socket hf-n, and the snapshot twice, hf-s-0
 * and hf-s-1, which are written in turn: the newest whole one counts. */
#pragma once

#include <sys/types.h>

#include "parts/survive/snapshot.h"
#include "run/supervisor.h"

typedef struct HfFdStore HfFdStore;

/* No store above us: *ret is NULL then, which all take. Returns 0 or negative errno. */
int hf_fd_store_new(HfSupervisor *supervisor, HfFdStore **ret);
HfFdStore *hf_fd_store_free(HfFdStore *store);
/* The snapshots that were given back go on being written, from sequence on. */
void hf_fd_store_continue(HfFdStore *store, HfNotes *notes, uint64_t sequence);
/* For an upgrade: where it is in writing them, its descriptors borrowed. Returns 0 or negative
 * errno. */
int hf_fd_store_pass(const HfFdStore *store, HfSnapshot *snapshot);

/* After each step: brings the store up to date. */
void hf_fd_store_sync(HfFdStore *store);
/* Before the end: the last snapshot is written. */
void hf_fd_store_finish(HfFdStore *store);

/* Nothing is removed or unlinked from now on: whoever is started next goes on with it. */
void hf_fd_store_leave(void);

/* A listener that is let go. */
void hf_fd_store_forget_listener(ino_t socket);
