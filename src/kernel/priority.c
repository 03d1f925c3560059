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

static int open_autogroup(pid_t pid, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool groups_sessions(void)
{
    char enabled = '0';

    HF_CLEANUP_FD int fd = open("/proc/sys/kernel/sched_autogroup_enabled", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == '1';
}

/* "/autogroup-12 nice 0" */
static int read_autogroup(pid_t pid, int *ret)
{
    char text[128];

    HF_CLEANUP_FD int fd = open_autogroup(pid, O_RDONLY);
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    const char *nice = strstr(text, " nice ");
    if (!nice)
        return -ENODATA;
    *ret = (int)strtol(nice + 6, NULL, 10);
    return 0;
}

static int write_autogroup(pid_t pid, int nice)
{
    char text[16];

    HF_CLEANUP_FD int fd = open_autogroup(pid, O_WRONLY);
    if (fd < 0)
        return fd;
    int length = snprintf(text, sizeof(text), "%d", nice);
    return write(fd, text, (size_t)length) < 0 ? -errno : 0;
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

    if (nice == NICE_OF_NONE || priority->n == MEMBERS_MAX)
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

/* One that came later has its parent's, unless it has set its own. */
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

void hf_priority_lower(pid_t main, const HfMembership *who, HfPriority *ret)
{
    HfPriority priority = {.who = *who, .main = main, .main_nice = nice_of(main)};

    if (groups_sessions() && read_autogroup(main, &priority.group_nice) >= 0)
        priority.grouped = write_autogroup(main, LOWEST) >= 0;
    if (priority.main_nice != NICE_OF_NONE && hf_privilege_has(CAP_SYS_NICE)) {
        priority.niced = true;
        hf_process_visit(hf_process_is_member, who, lower_one, &priority);
    }
    *ret = priority;
}

int hf_priority_restore(HfPriority *priority)
{
    if (priority->niced) {
        setpriority(PRIO_PROCESS, (id_t)priority->main, priority->main_nice);
        hf_process_visit(hf_process_is_member, &priority->who, restore_one, priority);
        priority->niced = false;
    }
    if (!priority->grouped)
        return 0;
    int r = write_autogroup(priority->main, priority->group_nice);
    if (r == -EAGAIN)
        return r;
    priority->grouped = false;
    return 0;
}

void hf_priority_clear(HfPriority *priority)
{
    free(priority->saved);
    *priority = (HfPriority){0};
}
