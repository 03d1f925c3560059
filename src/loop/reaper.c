/* SPDX-License-Identifier: MIT */
#include "loop/reaper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fd.h"

typedef struct Watch {
    struct Watch *next;
    pid_t pid;
    HfReaperCallback callback; /* NULL: it was killed, and its end concerns nobody */
    void *userdata;
    int pidfd; /* of a killed one; owned */
} Watch;

/* ms; a process at low priority, or in an uninterruptible sleep, takes a while to die. */
#define KILLED_PATIENCE 2000

struct HfReaper {
    Watch *watches;
    sd_event_source *source;
    int was_subreaper;
};

static Watch *take(HfReaper *reaper, pid_t pid)
{
    for (Watch **link = &reaper->watches; *link; link = &(*link)->next) {
        Watch *watch = *link;
        if (watch->pid != pid)
            continue;
        *link = watch->next;
        return watch;
    }
    return NULL;
}

static void free_watch(Watch *watch)
{
    if (watch && !watch->callback)
        hf_fd_closep(&watch->pidfd);
    free(watch);
}

void hf_reaper_sweep(HfReaper *reaper)
{
    siginfo_t info;

    for (;;) { /* several SIGCHLDs may have been merged */
        info = (siginfo_t){0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
            return;
        Watch *watch = take(reaper, info.si_pid);
        if (!watch)
            continue;
        if (watch->callback)
            watch->callback(&info, watch->userdata);
        free_watch(watch);
    }
}

static int on_sigchld(sd_event_source *source, const struct signalfd_siginfo *unused,
                      void *userdata)
{
    (void)source;
    (void)unused;
    hf_reaper_sweep(userdata);
    return 0;
}

int hf_reaper_new(sd_event *loop, HfReaper **ret)
{
    HfReaper *reaper = calloc(1, sizeof(*reaper));
    if (!reaper)
        return -ENOMEM;

    /* if a parent left it ignored, the kernel would reap by itself and report nothing */
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR ||
        prctl(PR_GET_CHILD_SUBREAPER, &reaper->was_subreaper) < 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        int r = -errno;
        free(reaper);
        return r;
    }
    int r = sd_event_add_signal(loop, &reaper->source, SIGCHLD, on_sigchld, reaper);
    if (r < 0) {
        hf_reaper_free(reaper);
        return r;
    }
    *ret = reaper;
    return 0;
}

HfReaper *hf_reaper_free(HfReaper *reaper)
{
    if (!reaper)
        return NULL;
    while (reaper->watches) {
        Watch *watch = take(reaper, reaper->watches->pid);
        if (!watch->callback)
            poll(&(struct pollfd){.fd = watch->pidfd, .events = POLLIN}, 1, KILLED_PATIENCE);
        free_watch(watch);
    }
    sd_event_source_disable_unref(reaper->source);
    prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)reaper->was_subreaper); /* survives execve(2) */
    free(reaper);
    return NULL;
}

int hf_reaper_watch(HfReaper *reaper, pid_t pid, HfReaperCallback callback, void *userdata)
{
    Watch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (Watch){reaper->watches, pid, callback, userdata, -1};
    reaper->watches = watch;
    return 0;
}

void hf_reaper_forget(HfReaper *reaper, pid_t pid)
{
    free_watch(take(reaper, pid));
}

void hf_reaper_killed(HfReaper *reaper, HfProcess *process)
{
    for (Watch *watch = reaper->watches; watch; watch = watch->next)
        if (watch->pid == process->pid) {
            watch->callback = NULL;
            watch->pidfd = hf_fd_steal(&process->pidfd);
            return;
        }
}

/* ---- a loop for one task ---- */

static int mask_sigchld(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return sigprocmask(how, &set, NULL) < 0 ? -errno : 0;
}

int hf_loop_open(HfLoop *ret)
{
    HF_CLEANUP_LOOP HfLoop loop = {0};

    int r = mask_sigchld(SIG_BLOCK);
    if (r >= 0)
        r = sd_event_new(&loop.event);
    if (r >= 0)
        r = hf_reaper_new(loop.event, &loop.reaper);
    if (r < 0)
        return r;
    *ret = loop;
    loop = (HfLoop){0};
    return 0;
}

void hf_loop_close(HfLoop *loop)
{
    if (!loop->event)
        return;
    hf_reaper_free(loop->reaper);
    sd_event_unref(loop->event);
    *loop = (HfLoop){0};
    mask_sigchld(SIG_UNBLOCK);
}
