/* SPDX-License-Identifier: MIT */
/* The processes of a generation: those in its session or cgroup, including its main one, and, with
 * sockets, those that left the session but hold one of them. Unless stated otherwise, only those
 * that its kill mode includes. */
#pragma once

#include "config/settings.h"
#include "loop/process_set.h"

typedef struct HfMembersCallbacks {
    void (*gone)(void *userdata);    /* none remains */
    void (*retired)(void *userdata); /* every worker has been asked */
    void *userdata;
    int *owed; /* see HfProcessSetSpec */
} HfMembersCallbacks;

typedef struct HfMembers HfMembers;
struct HfMembers {
    HfMembership service;  /* processes of the service's program, whatever the kill mode */
    HfHeldSockets sockets; /* owned: their holders count as well; n 0: none do */
    const char *keeper; /* see HfAdapter; once main has exited such a process does not count, and it
                           is killed when no other is left. NULL: there is none */
    HfKillMode kill_mode;
    pid_t main;     /* 0: has exited */
    uint64_t began; /* usec since boot, see hf_process_started, of the first main process */
    uint64_t number;
    bool retiring; /* its workers are being asked one by one */
    bool heirs;    /* only children left by the main process are signalled */
    HfProcessSet *set;
    HfMembersCallbacks callbacks;
    HfMembers *next; /* list of all generations' members */
};

/* Needs every field but set and callbacks, and a fixed address. Returns 0 or negative errno. */
int hf_members_begin(HfMembers *members, sd_event *loop, const HfMembersCallbacks *callbacks);
/* Also clears sockets. Harmless when repeated. */
void hf_members_end(HfMembers *members);

/* The main process left on signal, perhaps, like a shell, without forwarding it: sends it to
 * children of other programs, and awaits them all. */
void hf_members_pass_on(HfMembers *members, int signal);

/* Sends signal to each worker of a stopped main process, one by one within time (usec). */
void hf_members_retire(HfMembers *members, int signal, uint64_t time);

/* Does any of them go on serving without its main process: a holder of sockets, or one of the
 * service's program that, if the program alone does not identify workers (fds not NULL), has one of
 * these sockets open? If in doubt, no. */
bool hf_members_serve(const HfMembers *members, const int *fds, size_t n_fds);
/* Opens pid if it is one of them, whatever its program. Returns 1, 0 when it is not, or negative
 * errno. */
int hf_members_open(const HfMembers *members, pid_t pid, HfProcess *ret);
/* Is pid included by the kill mode? An HfProcessMatch for members. */
int hf_members_counts(pid_t pid, const void *wanted);
bool hf_members_has(const HfMembers *members, pid_t pid);
/* Visits those that the kill mode spares when the generation leaves. Returns as hf_process_visit.
 */
int hf_members_visit_spared(const HfMembers *members, HfProcessVisit visit, void *userdata);
/* Names all of them whatever the kill mode: what a stop leaves in the background. */
void hf_members_name_all(const HfMembers *members, HfProcessNames *names);
