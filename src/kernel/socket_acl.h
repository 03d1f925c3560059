/* Access control lists of unix paths, for listener_path.c alone. acl(5). */
#pragma once

#include "kernel/socket.h"

/* Gives every user and group of the request read and write access to file, as php-fpm's
 * listen.acl_users and listen.acl_groups do; the mask becomes the union of the group class. Returns
 * 0, -EOPNOTSUPP (the file system has no ACLs), or negative errno. */
int hf_socket_acl_set(const char *file, const HfSocketRequest *request);

/* Leaves file with its mode alone; 0 where there are no ACLs. */
int hf_socket_acl_drop(const char *file);
