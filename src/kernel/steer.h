/* SPDX-License-Identifier: MIT */
/* Sockets that listen for one address, the sides of a listener: one gets the connections, another
 * only those of holdfast's own, the others none. socket(7) SO_REUSEPORT, SO_ATTACH_REUSEPORT_CBPF;
 * rename(2) RENAME_EXCHANGE. */
#pragma once

#include "kernel/socket_path.h"

#define HF_SIDES 8 /* at most; the machine has as many */

/* How to connect so that a certain side gets the connection. */
typedef struct HfReach {
    struct sockaddr_storage address;
    socklen_t length;
    struct sockaddr_storage source; /* to be bound first */
    socklen_t source_length;        /* 0: none */
    int traffic_class;              /* IPv6, to be set first; 0: none */
} HfReach;

/* How many listen at exactly fd's address; expected when the kernel does not tell. */
unsigned hf_steer_count(int fd, unsigned expected);

/* Another socket that listens where fd, which listens at an IP address, does, with fd's options and
 * backlog. n of its sides are there, fd is the one of index; the new one comes behind them in what
 * the program of hf_steer_tcp counts, and one that chooses fd is attached. Returns 0; -EADDRINUSE
 * when fd is another user's, or others listen there; negative errno. */
int hf_steer_pair_tcp(int fd, unsigned index, unsigned n, int *ret_fd);

/* The same for a unix path, bound as hidden, with the rights of path. What a dead holdfast left at
 * hidden is removed. Returns 0, its inode and the descriptor, or negative errno. */
int hf_steer_pair_path(int fd, const char *path, const char *hidden, int *ret_fd,
                       HfSocketInode *ret_inode);

/* From the return on new connections go to the socket that came as number index, from 0 on, to the
 * group of fd, and those of hf_steer_reach to number other. Returns 0 or negative errno. */
int hf_steer_tcp(int fd, unsigned index, unsigned other);

/* Where sockets that are not at path stand, beside it: DIRECTORY/.NAME.2 and on, n from 0 on.
 * Returns 0 or -ENAMETOOLONG. */
int hf_steer_name_hidden(const char *path, unsigned n, char ret[static HF_LISTENER_PATH_MAX]);
/* At which of them inode stands. Returns 0, or -ENOENT and "". */
int hf_steer_find_hidden(const char *path, const HfSocketInode *inode,
                         char ret[static HF_LISTENER_PATH_MAX]);

/* ---- what is noted on a socket for other holdfasts that have it, too ---- */

/* By fcntl(2) F_SETSIG and F_SETOWN, of which nothing comes without O_ASYNC, and which whoever
 * copies the socket reads. */

/* It is the one that gets connections; its number in its group. */
void hf_steer_note(int fd, bool current, unsigned index);
/* Returns whether that was noted. */
bool hf_steer_noted(int fd, bool *ret_current, unsigned *ret_index);
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
