/* SPDX-License-Identifier: MIT */
#include "run/members.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static HfMembership all_of(const HfMembers *members)
{
    HfMembership all = members->service;

    all.program = NULL;
    return all;
}

static HfMembership counted(const HfMembers *members)
{
    return members->kill_mode == HF_KILL_MODE_ALL ? all_of(members) : members->service;
}

/* Of all generations, to decide which one a process that left its session belongs to. */
static HfMembers *every_one;

static bool is_of_a_session(pid_t pid)
{
    pid_t session = getsid(pid);

    for (const HfMembers *one = every_one; one; one = one->next)
        if (one->service.session == session)
            return true;
    return false;
}

/* Pids count up, so they decide where start times, with ticks of 10 ms, are equal. */
static bool was_there(const HfMembers *members, uint64_t started, pid_t pid)
{
    return members->began < started ||
           (members->began == started && members->service.session < pid);
}

/* A daemon that still holds a socket belongs to the newest generation of that socket that existed
 * when it began. */
static int is_daemon_of(pid_t pid, const HfMembers *members)
{
    uint64_t started;

    if (is_of_a_session(pid))
        return 0;
    int r = hf_process_is_descendant(pid, NULL);
    if (r > 0)
        r = hf_process_is_holder(pid, &members->sockets);
    /* our helpers hold sockets of generations as well */
    if (r <= 0 || hf_process_runs_ours(pid) || hf_process_started(pid, &started) < 0)
        return r < 0 ? r : 0;
    if (!was_there(members, started, pid))
        return 0;
    for (const HfMembers *one = every_one; one; one = one->next)
        if (one != members && was_there(members, one->began, one->service.session) &&
            was_there(one, started, pid) && hf_process_is_holder(pid, &one->sockets) > 0)
            return 0;
    return 1;
}

/* A wrapper's child, or the service before it executed another program. */
static int is_holding_member(pid_t pid, const HfMembers *members)
{
    const HfMembership all = all_of(members);

    if (members->sockets.n == 0)
        return 0;
    int r = hf_process_is_member(pid, &all);
    return r == 0  ? is_daemon_of(pid, members)
           : r > 0 ? hf_process_is_holder(pid, &members->sockets)
                   : r;
}

static bool is_keeper(pid_t pid, const HfMembers *members)
{
    return members->keeper && hf_process_is_titled(pid, members->keeper);
}

/* One that nobody needs any more. */
static int is_left_keeper(pid_t pid, const void *wanted)
{
    const HfMembers *members = wanted;

    if (members->main != 0)
        return 0;
    int r = hf_process_is_member(pid, &members->service);
    return r > 0 ? is_keeper(pid, members) : r;
}

int hf_members_counts(pid_t pid, const void *wanted)
{
    const HfMembership membership = counted(wanted);

    int r = is_left_keeper(pid, wanted);
    if (r != 0)
        return r < 0 ? r : 0;
    r = hf_process_is_member(pid, &membership);
    return r == 0 ? is_holding_member(pid, wanted) : r;
}

static bool is_heir(pid_t pid, const HfMembers *members)
{
    HfProgram program;
    pid_t parent;

    return hf_process_parent(pid, &parent) == 0 && parent == getpid() &&
           hf_process_program(pid, &program) == 0 &&
           (!hf_program_same(&program, members->service.program) ||
            getsid(pid) != members->service.session);
}

/* The main process gets its signal separately. Other programs may not expect the service's stop
 * signal. */
static int signal_for_member(pid_t pid, int signal, void *userdata)
{
    const HfMembers *members = userdata;
    HfProgram program;

    if (pid == members->main || (members->heirs && !is_heir(pid, members)))
        return 0;
    if (signal == SIGKILL || members->kill_mode != HF_KILL_MODE_ALL ||
        hf_process_program(pid, &program) < 0 ||
        hf_program_same(&program, members->service.program) || is_holding_member(pid, members) > 0)
        return signal;
    return members->retiring ? 0 : SIGTERM;
}

static int kill_one(HfProcess *process, void *unused)
{
    (void)unused;
    hf_process_signal(process->pidfd, SIGKILL);
    return 0;
}

static void on_set_gone(void *userdata)
{
    const HfMembers *members = userdata;

    if (members->main != 0) /* its exit is handled first, and then this is called again */
        return;
    if (members->keeper)
        hf_process_visit(is_left_keeper, members, kill_one, NULL);
    members->callbacks.gone(members->callbacks.userdata);
}

static void on_set_asked(void *userdata)
{
    HfMembers *members = userdata;

    members->retiring = false;
    members->callbacks.retired(members->callbacks.userdata);
}

int hf_members_begin(HfMembers *members, sd_event *loop, const HfMembersCallbacks *callbacks)
{
    char who[64];

    members->next = every_one;
    every_one = members;
    snprintf(who, sizeof(who), "generation %llu", (unsigned long long)members->number);
    members->callbacks = *callbacks;
    const HfProcessSetSpec spec = {
        .loop = loop,
        .match = hf_members_counts,
        .wanted = members,
        .who = who,
        .signal_for = signal_for_member,
        .gone = on_set_gone,
        .userdata = members,
        .owed = callbacks->owed,
    };
    return hf_process_set_new(&spec, &members->set);
}

void hf_members_end(HfMembers *members)
{
    for (HfMembers **one = &every_one; *one; one = &(*one)->next)
        if (*one == members) {
            *one = members->next;
            break;
        }
    members->set = hf_process_set_free(members->set);
    hf_held_sockets_clear(&members->sockets);
}

void hf_members_pass_on(HfMembers *members, int signal)
{
    members->heirs = true;
    hf_process_set_signal(members->set, signal);
}

void hf_members_retire(HfMembers *members, int signal, uint64_t time)
{
    members->retiring = true;
    hf_process_set_ask(members->set, signal, HF_PROCESS_PACE, time, on_set_asked);
}

typedef struct Serving {
    const HfMembers *members;
    const HfHeldSockets *sockets; /* NULL: not checked */
} Serving;

static int is_serving(pid_t pid, const void *wanted)
{
    const Serving *serving = wanted;

    int r = is_holding_member(pid, serving->members);
    if (r != 0)
        return r;
    r = hf_process_is_member(pid, &serving->members->service);
    if (r > 0 && is_keeper(pid, serving->members))
        return 0;
    return r > 0 && serving->sockets ? hf_process_is_holder(pid, serving->sockets) : r;
}

static int stop_at_one(HfProcess *process, void *unused)
{
    (void)process;
    (void)unused;
    return 1;
}

bool hf_members_serve(const HfMembers *members, const int *fds, size_t n_fds)
{
    HfHeldSockets sockets = {0};
    const Serving serving = {members, fds ? &sockets : NULL};

    bool known = !fds || hf_held_sockets_identify(fds, n_fds, &sockets) >= 0;
    bool one = known && hf_process_visit(is_serving, &serving, stop_at_one, NULL) > 0;
    hf_held_sockets_clear(&sockets);
    return one;
}

int hf_members_open(const HfMembers *members, pid_t pid, HfProcess *ret)
{
    const HfMembership all = all_of(members);

    return hf_process_open_match(pid, hf_process_is_member, &all, ret);
}

bool hf_members_has(const HfMembers *members, pid_t pid)
{
    const HfMembership all = all_of(members);

    return hf_process_is_member(pid, &all) > 0;
}

static int is_spared(pid_t pid, const void *wanted)
{
    const HfMembers *members = wanted;
    const HfMembership all = all_of(members);

    int r = hf_process_is_member(pid, &all);
    if (r <= 0 || pid == members->main)
        return r < 0 ? r : 0;
    r = is_left_keeper(pid, members);
    if (r == 0)
        r = hf_members_counts(pid, members);
    return r < 0 ? r : r == 0;
}

int hf_members_visit_spared(const HfMembers *members, HfProcessVisit visit, void *userdata)
{
    return hf_process_visit(is_spared, members, visit, userdata);
}

static int is_of_any_program(pid_t pid, const void *wanted)
{
    const HfMembers *members = wanted;
    const HfMembership all = all_of(members);

    int r = is_left_keeper(pid, members);
    return r == 0 ? hf_process_is_member(pid, &all) : r < 0 ? r : 0;
}

typedef struct Naming {
    HfProcessNames *names;
    bool left_some; /* and logged that */
} Naming;

static int name_one_member(HfProcess *process, void *userdata)
{
    const Naming *naming = userdata;

    if (!naming->left_some || hf_process_signal(process->pidfd, 0) != -EPERM)
        hf_process_names_add(naming->names, process->pid);
    return 0;
}

void hf_members_name_all(const HfMembers *members, HfProcessNames *names)
{
    Naming naming = {names, hf_process_set_left_some(members->set)};

    hf_process_visit(is_of_any_program, members, name_one_member, &naming);
}
