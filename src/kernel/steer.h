/* SPDX-License-Identifier: MIT */
/* Two sockets that listen for one address, the sides of a listener: one gets the connections, the
 * other only those of holdfast's own. socket(7) SO_REUSEPORT, SO_ATTACH_REUSEPORT_CBPF; rename(2)
 * RENAME_EXCHANGE. */
#pragma once

#include "kernel/socket_path.h"

#define HF_SIDES 2

/* How to connect so that a certain side gets the connection. */
typedef struct HfReach {
    struct sockaddr_storage address;
    socklen_t length;
    struct sockaddr_storage source; /* to be bound first */
    socklen_t source_length;        /* 0: none */
    int traffic_class;              /* IPv6, to be set first; 0: none */
} HfReach;

/* A second socket that listens where fd, which listens at an IP address, does, with fd's options
 * and backlog; it comes behind fd in what the program of hf_steer_tcp counts, and one that chooses
 * fd is attached. Returns 0; -EADDRINUSE when fd is another user's, or not the only one there;
 * negative errno. */
int hf_steer_pair_tcp(int fd, int *ret_fd);

/* The same for a unix path, bound as hidden, with the rights of path. What a dead holdfast left at
 * hidden is removed. Returns 0, its inode and the descriptor, or negative errno. */
int hf_steer_pair_path(int fd, const char *path, const char *hidden, int *ret_fd,
                       HfSocketInode *ret_inode);

/* From the return on new connections go to the socket that came as number index, 0 or 1, to the
 * group of fd, and those of hf_steer_reach to the other. Returns 0 or negative errno. */
int hf_steer_tcp(int fd, unsigned index);

/* ---- what is noted on a socket for other holdfasts that have it, too ---- */

/* By fcntl(2) F_SETSIG and F_SETOWN, of which nothing comes without O_ASYNC, and which whoever
 * copies the socket reads. */

/* It is the one that gets connections; it is number 0 of its group. */
void hf_steer_note(int fd, bool current, bool first);
/* Returns whether that was noted. */
bool hf_steer_noted(int fd, bool *ret_current, bool *ret_first);
/* Is this process's alone from now on, to be switched, shut down and unlinked; or, not on, that of
 * who had it before. The claim of a process that is gone counts no more. */
void hf_steer_claim(int fd, bool on);
/* Another holdfast, which lives, has claimed it. */
bool hf_steer_is_anothers(int fd);

/* hidden, which is that inode, becomes path, and what is there becomes hidden. Returns 0 (also when
 * path is that inode already), -ESTALE when something else stands there, or negative errno. */
int hf_steer_path(const char *path, const char *hidden, const HfSocketInode *inode);

/* Makes reach, which leads to an IP listener, lead to its other side. Nobody from another machine
 * can have these source addresses. */
void hf_steer_reach(HfReach *reach);

/* Prepares a socket that is to connect to reach. Returns 0 or negative errno. */
int hf_steer_bind(int fd, const HfReach *reach);
