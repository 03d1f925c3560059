/* SPDX-License-Identifier: MIT */
/* The processes of a generation: those of its session or its cgroup, its main one among them, and,
 * with sockets, what left the session and holds one of them. As its kill mode counts them, if
 * nothing else is said. */
#pragma once

#include "config/settings.h"
#include "loop/process_set.h"

typedef struct HfMembersCallbacks {
    void (*gone)(void *userdata);    /* none is left */
    void (*retired)(void *userdata); /* every worker was asked */
    void *userdata;
    int *owed; /* see HfProcessSetSpec */
} HfMembersCallbacks;

typedef struct HfMembers HfMembers;
struct HfMembers {
    HfMembership service;  /* those that run the service's program, whatever the kill mode */
    HfHeldSockets sockets; /* owned: who holds one is as good as those; n 0: nobody is */
    HfKillMode kill_mode;
    pid_t main;     /* 0: has exited */
    uint64_t began; /* usec since boot, as hf_process_started says, of the first main process */
    uint64_t number;
    bool retiring; /* the workers are asked one by one */
    bool heirs;    /* only those that the main process has left are signalled */
    HfProcessSet *set;
    HfMembersCallbacks callbacks;
    HfMembers *next; /* of those there are */
};

/* All of members but set and callbacks is filled in; it stays where it is. Returns 0 or negative
 * errno. */
int hf_members_begin(HfMembers *members, sd_event *loop, const HfMembersCallbacks *callbacks);
/* Clears sockets as well. Harmless when repeated. */
void hf_members_end(HfMembers *members);

/* The main process has left on signal, and may not have passed it on, as a shell does not: those of
 * its children that run another program are sent it. All are awaited. */
void hf_members_pass_on(HfMembers *members, int signal);

/* Each worker of a stopped main process is sent signal, one after another in at most time (usec).
 */
void hf_members_retire(HfMembers *members, int signal, uint64_t time);

/* How many live, and bytes of memory in them all (hf_process_memory; NULL: is not looked at).
 * Returns 0 or negative errno. */
int hf_members_measure(const HfMembers *members, uint64_t *ret_processes, uint64_t *ret_memory);
/* Does one live that goes on serving, as its main process does not: one of sockets' holders, or one
 * that runs the service's program, and, where workers are not told by that alone (fds not NULL),
 * holds one of these sockets open? What cannot be told is no. */
bool hf_members_serve(const HfMembers *members, const int *fds, size_t n_fds);
/* Opens pid if it is one of them, of whatever program. Returns 1, 0 when it is not, or negative
 * errno. */
int hf_members_open(const HfMembers *members, pid_t pid, HfProcess *ret);
/* Is pid one that counts? An HfProcessMatch of members. */
int hf_members_counts(pid_t pid, const void *wanted);
bool hf_members_has(const HfMembers *members, pid_t pid);
/* Those that do not count: they are left alone when it leaves. Returns as hf_process_visit. */
int hf_members_visit_spared(const HfMembers *members, HfProcessVisit visit, void *userdata);
/* All of them whatever the kill mode: what a stop leaves in the background. */
void hf_members_name_all(const HfMembers *members, HfProcessNames *names);
