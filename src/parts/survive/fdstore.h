/* systemd's fd store: what it keeps while holdfast is dead. sd_pid_notify_with_fds(3) FDSTORE=1,
 * FileDescriptorStoreMax= of systemd.service(5). Everything is named hf-...: listeners hf-l-INODE,
 * main processes' pidfds hf-p-GENERATION, the notify socket hf-n, and the snapshot twice, hf-s-0
 * and hf-s-1, which are written in turn: the newest whole one counts. */
#pragma once

#include "parts/survive/snapshot.h"

typedef struct HfFdStore HfFdStore;

/* What was passed on is in the store, or was when the program before this one was replaced. No
 * store above us: *ret is NULL then, which all take. Returns 0 or negative errno. */
int hf_fdstore_new(HfSupervisor *supervisor, HfFdStore **ret);
HfFdStore *hf_fdstore_free(HfFdStore *store);
/* The snapshots that were passed on go on being written, from sequence on. */
void hf_fdstore_continue(HfFdStore *store, uint64_t sequence);
/* For an upgrade: what is in the store, and where it is in writing snapshots. Returns 0 or -ENOMEM.
 */
int hf_fdstore_pass(const HfFdStore *store, HfSnapshot *snapshot);

/* After each step: compares what is in the store with what there is, besides n kept listeners, puts
 * in, writes the snapshot, takes out. */
void hf_fdstore_sync(HfFdStore *store, HfListener *const *kept, size_t n);

/* Nothing is taken out from now on, and no path is removed with a listener that is in it: whoever
 * is started next goes on with them. */
void hf_fdstore_leave(HfFdStore *store, HfListener *const *kept, size_t n);
