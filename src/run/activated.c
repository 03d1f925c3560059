/* SPDX-License-Identifier: MIT */
#include "run/activated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/process.h"

#define PIDFS 0x50494446 /* pidfs, linux/magic.h of 6.9 */

/* From systemd 259 on the pid comes with a number that is never reused: the inode of its pidfd,
 * where the kernel (6.9) supports that. sd_listen_fds(3) of older libraries does not know it. */
static bool is_own_pidfd(const char *number)
{
    HF_CLEANUP_FD int fd = pidfd_open(getpid(), 0);
    struct statfs system;
    struct stat found;
    uint64_t value;

    if (fd < 0 || fstatfs(fd, &system) < 0 || system.f_type != PIDFS || fstat(fd, &found) < 0)
        return true;
    return hf_parse_uint(number, UINT64_MAX, &value) == 0 && value == found.st_ino;
}

bool hf_activated_is_anothers(HfText *text)
{
    const char *pid = getenv("LISTEN_PID");
    const char *number = getenv("LISTEN_FDS");
    const char *pidfd = getenv("LISTEN_PIDFDID");
    uint64_t value;

    if (!pid || !number)
        return false;
    bool own = hf_parse_uint(pid, INT32_MAX, &value) == 0 && value == (uint64_t)getpid();
    if (own && pidfd && !is_own_pidfd(pidfd)) {
        hf_text_addf(text,
                     "%.10s sockets were passed (LISTEN_FDS), but to another process with this pid "
                     "(LISTEN_PIDFDID); if you set LISTEN_PID by hand, unset LISTEN_PIDFDID",
                     number);
        return true;
    }
    if (own)
        return false;
    hf_text_addf(text,
                 "%.10s sockets were passed (LISTEN_FDS), but to process %.10s (LISTEN_PID), and "
                 "this is %d: whatever runs between systemd and holdfast must execute it in its "
                 "own process (use exec in a shell, and no init such as tini)",
                 number, pid, (int)getpid());
    return true;
}

int hf_activated_take(HfListener ***ret, size_t *ret_n, HfNotes *notes, HfText *error)
{
    HF_CLEANUP_STRV char **names = NULL;
    HF_CLEANUP_TEXT HfText ignored = {0};
    size_t taken = 0;

    if (hf_activated_is_anothers(&ignored))
        return 0;
    int n = sd_listen_fds_with_names(1, &names);
    if (n < 0)
        hf_text_addf(error, "the sockets that systemd passed (LISTEN_FDS) cannot be used: %s",
                     strerror(-n));
    if (n <= 0)
        return n;
    HfListener **list = calloc((size_t)n, sizeof(HfListener *));
    if (!list)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        const int fd = SD_LISTEN_FDS_START + i;
        int r;
        if (strncmp(names[i], HF_NOTES_FD, strlen(HF_NOTES_FD)) == 0) {
            r = hf_notes_add(notes, names[i], NULL, fd);
            if (r < 0)
                return r;
            continue;
        }
        const char *name = strcmp(names[i], "unknown") == 0 ? NULL : names[i];
        r = hf_listener_receive(fd, name, &list[taken]);
        if (r < 0) {
            hf_text_addf(error,
                         "socket %d (%s) from systemd cannot be held, as it is neither a listening "
                         "socket nor a datagram socket: %s",
                         i + 1, names[i], strerror(-r));
            hf_listener_array_clear(&list, &taken);
            return r;
        }
        taken++;
    }
    *ret = list;
    *ret_n = taken;
    return 0;
}

int hf_activated_want(HfListener *const *activated, size_t n, const HfSettings *settings,
                      HfPlan *plan, HfText *error)
{
    int r = 0;

    if (plan->n_wanted > 0 || plan->adapter->finds_listeners || settings->listens_nowhere)
        return 0;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = hf_plan_want(plan, &activated[i]->spec, NULL);
    if (r < 0 || plan->n_wanted > 0)
        return r;
    hf_text_addf(
        error,
        "no socket is named that could be held for %s; name each with --listen=ADDR, or say "
        "--listen=none if it has none",
        plan->program);
    return -EDESTADDRREQ;
}

static bool uses(const HfPlan *plan, const HfListener *listener)
{
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->listeners[i] == listener)
            return true;
    return false;
}

int hf_activated_check(HfListener *const *activated, size_t n, const HfPlan *plan, HfText *error)
{
    for (size_t i = 0; i < n; i++) {
        if (uses(plan, activated[i]))
            continue;
        hf_text_addf(
            error,
            "the socket %s (%s) from systemd matches nothing that the service listens at; correct "
            "ListenStream= or FileDescriptorName= in the .socket unit",
            activated[i]->label, activated[i]->spec.name);
        return -EADDRNOTAVAIL;
    }
    return 0;
}
