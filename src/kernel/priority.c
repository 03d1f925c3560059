/* SPDX-License-Identifier: MIT */
#include "kernel/priority.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "kernel/privilege.h"

#define LOWEST       19
#define MEMBERS_MAX  65536
#define NICE_OF_NONE INT32_MAX

/* ---- autogroups ---- */

/* The descriptor refers to this process for good: whoever gets its pid later is not affected. */
static int open_autogroup(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool groups_sessions(void)
{
    char enabled = '0';

    HF_CLEANUP_FD int fd = open("/proc/sys/kernel/sched_autogroup_enabled", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == '1';
}

/* "/autogroup-12 nice 0" */
static int read_autogroup(int fd, int *ret)
{
    char text[128];

    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    const char *nice = strstr(text, " nice ");
    if (!nice)
        return -ENODATA;
    *ret = (int)strtol(nice + 6, NULL, 10);
    return 0;
}

static int write_autogroup(int fd, int nice)
{
    char text[16];

    int length = snprintf(text, sizeof(text), "%d", nice);
    return write(fd, text, (size_t)length) < 0 ? -errno : 0;
}

static void leave_group(HfPriority *priority)
{
    if (priority->grouped)
        close(priority->autogroup);
    priority->grouped = priority->lowered = false;
}

static int join_group(pid_t pid, HfPriority *priority)
{
    int r = open_autogroup(pid);
    if (r < 0)
        return r;
    priority->autogroup = r;
    priority->grouped = true;
    r = read_autogroup(priority->autogroup, &priority->group_nice);
    if (r < 0)
        leave_group(priority);
    return r;
}

/* Its main process has ended, but any other of the session will do. */
static int join_again(HfProcess *process, void *userdata)
{
    HfPriority *priority = userdata;

    if (getsid(process->pid) != priority->who.session)
        return 0;
    HF_CLEANUP_FD int fd = open_autogroup(process->pid);
    int r = fd < 0 ? fd : write_autogroup(fd, priority->group_nice);
    return r == -EAGAIN ? r : r >= 0;
}

static int restore_group(HfPriority *priority)
{
    if (!priority->lowered)
        return 0;
    int r = write_autogroup(priority->autogroup, priority->group_nice);
    return r == -ESRCH
               ? hf_process_visit(hf_process_is_member, &priority->who, join_again, priority)
               : r;
}

/* ---- nice values ---- */

static int nice_of(pid_t pid)
{
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)pid);
    return errno != 0 ? NICE_OF_NONE : nice;
}

static int lower_one(HfProcess *process, void *userdata)
{
    HfPriority *priority = userdata;
    int nice = nice_of(process->pid);

    if (process->pid == priority->main || nice == NICE_OF_NONE || priority->n == MEMBERS_MAX)
        return 0;
    int r = hf_array_reserve(&priority->saved, &priority->capacity, priority->n + 1,
                             sizeof(*priority->saved));
    if (r < 0)
        return r;
    if (setpriority(PRIO_PROCESS, (id_t)process->pid, LOWEST) < 0)
        return 0;
    priority->saved[priority->n++] = (HfNiceness){process->pid, nice};
    return 0;
}

/* A later process has its parent's value, unless it has set its own. */
static int restore_one(HfProcess *process, void *userdata)
{
    const HfPriority *priority = userdata;
    int nice = priority->main_nice;

    if (nice_of(process->pid) != LOWEST)
        return 0;
    for (size_t i = 0; i < priority->n; i++)
        if (priority->saved[i].pid == process->pid)
            nice = priority->saved[i].nice;
    setpriority(PRIO_PROCESS, (id_t)process->pid, nice);
    return 0;
}

int hf_priority_lower_group(HfPriority *priority)
{
    if (!priority->grouped || priority->lowered)
        return 0;
    int r = write_autogroup(priority->autogroup, LOWEST);
    priority->lowered = r >= 0;
    if (r < 0 && r != -EAGAIN)
        leave_group(priority);
    return r;
}

int hf_priority_lower(pid_t main, const HfMembership *who, HfPriority *priority)
{
    int r = -EOPNOTSUPP;

    if (priority->grouped || priority->niced) /* the values to be put back would be forgotten */
        return 0;
    *priority = (HfPriority){.who = *who, .main = main, .main_nice = nice_of(main)};
    if (groups_sessions())
        r = join_group(main, priority);
    if (r >= 0)
        r = hf_priority_lower_group(priority);
    if (priority->main_nice != NICE_OF_NONE && hf_privilege_has(CAP_SYS_NICE)) {
        priority->niced = true;
        hf_process_visit(hf_process_is_member, who, lower_one, priority);
        /* last: what it forks from now on inherits that, and is not taken to have chosen it */
        setpriority(PRIO_PROCESS, (id_t)main, LOWEST);
    }
    return priority->niced && r != -EAGAIN ? 0 : r;
}

static int adopt_one(HfProcess *process, void *userdata)
{
    HfPriority *priority = userdata;

    if (!priority->grouped && getsid(process->pid) == priority->who.session &&
        join_group(process->pid, priority) >= 0 && priority->group_nice != LOWEST)
        leave_group(priority);
    priority->niced = priority->niced || nice_of(process->pid) == LOWEST;
    return 0;
}

void hf_priority_adopt(pid_t main, bool tried, const HfMembership *who, HfPriority *priority)
{
    *priority = (HfPriority){.who = *who, .main = main, .main_nice = nice_of(getpid())};
    hf_process_visit(hf_process_is_member, who, adopt_one, priority);
    priority->lowered = priority->grouped;
    priority->group_nice = 0; /* as in every new session */
    priority->niced = priority->niced && tried && main > 0 && nice_of(main) == LOWEST &&
                      priority->main_nice != NICE_OF_NONE && hf_privilege_has(CAP_SYS_NICE);
}

int hf_priority_restore(HfPriority *priority)
{
    if (priority->niced) {
        setpriority(PRIO_PROCESS, (id_t)priority->main, priority->main_nice);
        hf_process_visit(hf_process_is_member, &priority->who, restore_one, priority);
        priority->niced = false;
    }
    int r = restore_group(priority);
    if (r == -EAGAIN)
        return r;
    hf_priority_clear(priority);
    return 0;
}

void hf_priority_clear(HfPriority *priority)
{
    leave_group(priority);
    free(priority->saved);
    *priority = (HfPriority){0};
}
