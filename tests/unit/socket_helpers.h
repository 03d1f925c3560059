/* SPDX-License-Identifier: MIT */
/* Addresses, sockets and a directory of their own for the tests of sys/. Include after cmocka.h. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/socket.h"

typedef struct Address {
    union { /* written by another type than it is read by: before glibc 2.37 no pointer may do that
             */
        struct sockaddr_storage storage;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    unsigned length;
} Address;

/* The port in host byte order. */
static inline Address address_ip(const char *ip, uint16_t port)
{
    Address address = {0};

    if (strchr(ip, ':')) {
        struct sockaddr_in6 *in6 = &address.in6;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, ip, &in6->sin6_addr), 1);
        address.length = sizeof(*in6);
    } else {
        struct sockaddr_in *in = &address.in;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        assert_int_equal(inet_pton(AF_INET, ip, &in->sin_addr), 1);
        address.length = sizeof(*in);
    }
    return address;
}

/* A path, or with a leading @ an abstract name, @holdfast-test-ask-... one of this process alone. A
 * path of 108 bytes has no NUL. */
static inline Address address_unix(const char *name)
{
    Address address = {0};
    struct sockaddr_un *un = &address.un;
    char own[sizeof(un->sun_path) + 32];

    if (strncmp(name, "@holdfast-test-ask-", strlen("@holdfast-test-ask-")) == 0) {
        snprintf(own, sizeof(own), "%s-%d", name, (int)getpid());
        name = own;
    }
    size_t length = strlen(name);

    assert_in_range(length, 1, sizeof(un->sun_path));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, length);
    if (name[0] == '@')
        un->sun_path[0] = '\0';
    else if (length < sizeof(un->sun_path))
        length++;
    address.length = (unsigned)(offsetof(struct sockaddr_un, sun_path) + length);
    return address;
}

static inline Address address_of(int fd)
{
    Address address = {0};
    socklen_t length = sizeof(address.storage);

    assert_return_code(getsockname(fd, (struct sockaddr *)&address.storage, &length), errno);
    address.length = length;
    return address;
}

static inline uint16_t port_of(int fd)
{
    Address address = address_of(fd);

    /* the same place in sockaddr_in6 */
    return ntohs(((struct sockaddr_in *)&address.storage)->sin_port);
}

static inline HfSocketRequest request_for(const Address *address)
{
    return (HfSocketRequest){.address = &address->storage,
                             .address_length = address->length,
                             .backlog = 16,
                             .uid = (uid_t)-1,
                             .gid = (gid_t)-1};
}

/* A plain listener, made without the module. */
static inline int make_listener(const Address *address, int backlog)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (const struct sockaddr *)&address->storage, address->length),
                       errno);
    assert_return_code(listen(fd, backlog), errno);
    return fd;
}

/* Returns the connected descriptor or negative errno; never waits. */
static inline int try_connect(const Address *address)
{
    int fd = socket(address->storage.ss_family,
                    SOCK_STREAM | SOCK_CLOEXEC |
                        (address->storage.ss_family == AF_UNIX ? SOCK_NONBLOCK : 0),
                    0);

    assert_return_code(fd, errno);
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) >= 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* An empty directory for each test, removed (it must be empty again) after it. On a tmpfs: see
 * hf_sock_diag_is_file. */
static inline int make_directory(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;

    if (asprintf(&path, "%s/hf-XXXXXX", parent ? parent : "/dev/shm") < 0 || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static inline int remove_directory(void **state)
{
    int r = rmdir(*state);

    if (r < 0)
        perror("the test left something behind");
    free(*state);
    return r;
}
