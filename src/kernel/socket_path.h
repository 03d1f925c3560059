/* The unix paths of listeners, for listener.c alone. unix(7), acl(5). */
#pragma once

#include "kernel/socket.h"

#define HF_LISTENER_PATH_MAX 109 /* the longest sun_path and a NUL */

/* Copies the path of a unix address, or "" for an abstract, an unnamed and an IP address. */
void hf_socket_path_of(const HfSocketRequest *request, char ret[static HF_LISTENER_PATH_MAX]);

/* Makes way for a bind to path. Only a socket nobody is behind is removed. Returns 0,
 * -EADDRINUSE (somebody may be), -ENOTSOCK, or negative errno. */
int hf_socket_path_clear(const char *path);

/* Sets the rights that the request asks for on that inode and no other. Returns 0, or negative
 * errno and *ret_stage. */
int hf_socket_path_secure(const char *path, const HfSocketInode *inode,
                          const HfSocketRequest *request, HfSocketStage *ret_stage);
