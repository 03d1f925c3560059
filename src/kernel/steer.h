/* SPDX-License-Identifier: MIT */
/* Sockets that listen at one address, the sides of a listener: one gets the connections, another
 * only holdfast's own, the rest none. socket(7) SO_REUSEPORT, SO_ATTACH_REUSEPORT_CBPF; rename(2)
 * RENAME_EXCHANGE. */
#pragma once

#include "kernel/socket_path.h"

#define HF_SIDES 9 /* at most: those of the machine, and one where nobody is served */

/* How to connect so that one particular side gets the connection. */
typedef struct HfReach {
    struct sockaddr_storage address;
    socklen_t length;
    struct sockaddr_storage source; /* to be bound first */
    socklen_t source_length;        /* 0: none */
    int traffic_class;              /* IPv6, to be set first; 0: none */
} HfReach;

/* How many sockets listen at exactly fd's address; expected when the kernel does not say. */
unsigned hf_steer_count(int fd, unsigned expected);

/* Makes another socket that listens at the IP address of fd, with fd's options and backlog. n sides
 * exist, fd has number index among them; the new one gets number n in the group, and a program that
 * chooses fd is attached. Returns 0, -EADDRINUSE when fd belongs to another user or strangers
 * listen there, or negative errno. */
int hf_steer_pair_tcp(int fd, unsigned index, unsigned n, int *ret_fd);

/* The same for a unix path, bound as hidden, with the permissions of path. A socket that a dead
 * holdfast left at hidden is removed. Returns 0, the inode and the descriptor, or negative errno.
 */
int hf_steer_pair_path(int fd, const char *path, const char *hidden, int *ret_fd,
                       HfSocketInode *ret_inode);

/* From now on new connections go to number index in the group of fd, counted from 0, and those of
 * hf_steer_reach to number other. Returns 0 or negative errno. */
int hf_steer_tcp(int fd, unsigned index, unsigned other);

/* The hidden name for socket n, counted from 0, of path: DIRECTORY/.NAME.2 and so on. Returns 0 or
 * -ENAMETOOLONG. */
int hf_steer_name_hidden(const char *path, unsigned n, char ret[static HF_LISTENER_PATH_MAX]);
/* The hidden name at which inode stands. Returns 0, or -ENOENT and "". */
int hf_steer_find_hidden(const char *path, const HfSocketInode *inode,
                         char ret[static HF_LISTENER_PATH_MAX]);

/* ---- notes on a socket, for other holdfasts that have it, too ---- */

/* Stored by fcntl(2) F_SETSIG and F_SETOWN, which have no effect without O_ASYNC, and which anyone
 * with a copy of the socket can read. */

/* Notes whether it is the side that gets connections, and its number in its group. */
void hf_steer_note(int fd, bool current, unsigned index);
/* Reads that note; false when there is none. */
bool hf_steer_noted(int fd, bool *ret_current, unsigned *ret_index);
/* Others of the group were closed: turns the noted numbers of the n that are left into those that
 * they have now. false when that cannot be told. */
bool hf_steer_settle(unsigned *indices, unsigned n);
/* on: from now on only this process may switch, shut down and unlink it; off: its former owner
 * again. The claim of a process that is gone no longer counts. Returns whether it was ours, or is.
 */
bool hf_steer_claim(int fd, bool on);
/* Does another living holdfast claim it? */
bool hf_steer_is_anothers(int fd);

/* Exchanges path and hidden, which is that inode. Returns 0 (also when path is that inode already),
 * -ESTALE when something else stands there, or negative errno. */
int hf_steer_path(const char *path, const char *hidden, const HfSocketInode *inode);

/* Redirects reach, which leads to an IP listener, to its standby side. No other machine can send
 * from these source addresses. */
void hf_steer_reach(HfReach *reach);

/* Prepares a socket for connecting to reach. Returns 0 or negative errno. */
int hf_steer_bind(int fd, const HfReach *reach);
