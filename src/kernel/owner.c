/* SPDX-License-Identifier: MIT */
#include "kernel/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/process.h"
#include "kernel/sock_diag.h"

#define LISTENING (UINT32_C(1) << TCP_LISTEN)

/* The part of the port space that an IP address occupies. A dual-stack wildcard is in both
 * families. */
typedef struct Place {
    bool v4;
    bool v6;
    bool any;
    uint16_t port; /* network byte order */
    uint32_t scope;
    uint8_t ip[16];
} Place;

typedef struct Search {
    int type; /* 0: SOCK_STREAM */
    const struct sockaddr_storage *address;
    unsigned length;
    Place place;
    struct stat file; /* the unix path as it is on disk now */
    bool by_name;
    ino_t *inodes;
    size_t n;
    size_t maximum;
} Search;

static Place place_of(const struct sockaddr_storage *address, bool v6only)
{
    Place place = {0};

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        place.v4 = true;
        place.any = in->sin_addr.s_addr == htonl(INADDR_ANY);
        place.port = in->sin_port;
        memcpy(place.ip, &in->sin_addr, 4);
        return place;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    place.port = in6->sin6_port;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        place.v4 = true;
        memcpy(place.ip, &in6->sin6_addr.s6_addr[12], 4);
        place.any = memcmp(place.ip, (const uint8_t[4]){0}, 4) == 0;
        return place;
    }
    place.v6 = true;
    place.any = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
    place.v4 = place.any && !v6only;
    place.scope = in6->sin6_scope_id;
    memcpy(place.ip, &in6->sin6_addr, 16);
    return place;
}

static bool places_conflict(const Place *a, const Place *b)
{
    if (a->port != b->port || !((a->v4 && b->v4) || (a->v6 && b->v6)))
        return false;
    if (a->any || b->any)
        return true;
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
           (a->scope == b->scope || a->scope == 0 || b->scope == 0);
}

bool hf_addresses_conflict(const struct sockaddr_storage *a, bool a_v6only,
                           const struct sockaddr_storage *b, bool b_v6only)
{
    const Place places[] = {place_of(a, a_v6only), place_of(b, b_v6only)};

    return places_conflict(&places[0], &places[1]);
}

static void add_inode(Search *search, ino_t inode)
{
    if (inode != 0 && search->n < search->maximum)
        search->inodes[search->n++] = inode;
}

static bool visit_inet(const HfSockDiag *socket, void *userdata)
{
    Search *search = userdata;
    Place place = place_of(&socket->address, socket->v6only);

    if (places_conflict(&place, &search->place))
        add_inode(search, socket->inode);
    return search->n < search->maximum;
}

/* Abstract names are compared with their length, paths up to their NUL. */
static bool names_equal(const struct sockaddr_storage *a, unsigned a_length,
                        const struct sockaddr_storage *b, unsigned b_length)
{
    const char *a_path = ((const struct sockaddr_un *)a)->sun_path;
    const char *b_path = ((const struct sockaddr_un *)b)->sun_path;
    size_t a_size = a_length - offsetof(struct sockaddr_un, sun_path);
    size_t b_size = b_length - offsetof(struct sockaddr_un, sun_path);

    if (a_size == 0 || b_size == 0)
        return false;
    if (a_path[0] != '\0' && b_path[0] != '\0') {
        a_size = strnlen(a_path, a_size);
        b_size = strnlen(b_path, b_size);
    }
    return a_size == b_size && memcmp(a_path, b_path, a_size) == 0;
}

static bool visit_unix(const HfSockDiag *socket, void *userdata)
{
    Search *search = userdata;
    bool hit =
        search->by_name
            ? names_equal(&socket->address, socket->address_length, search->address, search->length)
            : hf_sock_diag_is_file(socket, search->file.st_dev, search->file.st_ino);
    if (hit)
        add_inode(search, socket->inode);
    return search->n < search->maximum;
}

static int find_inet(Search *search)
{
    uint16_t port = ntohs(search->place.port);
    int r[2];

    for (int i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        r[i] = search->type == SOCK_DGRAM
                   ? hf_sock_diag_udp(family, port, visit_inet, search)
                   : hf_sock_diag_tcp(family, port, LISTENING, visit_inet, search);
    }

    if (search->n > 0)
        return 0;
    return r[0] < 0 ? r[0] : r[1];
}

/* Datagram sockets never reach the listening state. */
static uint32_t states_of(const Search *search)
{
    return search->type == SOCK_DGRAM ? UINT32_MAX : LISTENING;
}

/* By the file first: the bound name misleads when its path was unlinked and bound again, or was
 * relative. */
static int find_path(Search *search, const char *path)
{
    if (stat(path, &search->file) < 0)
        return 0;
    int r = hf_sock_diag_unix(states_of(search), visit_unix, search);
    if (r < 0 || search->n > 0)
        return r;
    search->by_name = true;
    return hf_sock_diag_unix(states_of(search), visit_unix, search);
}

static int find_unix(Search *search)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)search->address;
    char path[sizeof(name->sun_path) + 1] = "";

    memcpy(path, name->sun_path, search->length - offsetof(struct sockaddr_un, sun_path));
    if (path[0] != '\0')
        return find_path(search, path);
    search->by_name = true;
    return hf_sock_diag_unix(states_of(search), visit_unix, search);
}

static int find_conflicts(int type, const struct sockaddr_storage *address, unsigned length,
                          ino_t *ret, size_t maximum)
{
    Search search = {
        .type = type, .address = address, .length = length, .inodes = ret, .maximum = maximum};
    int r = -EAFNOSUPPORT;

    if (address->ss_family == AF_INET || address->ss_family == AF_INET6) {
        search.place = place_of(address, false);
        r = find_inet(&search);
    } else if (address->ss_family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path) &&
               length <= sizeof(struct sockaddr_un)) {
        r = find_unix(&search);
    }
    return r < 0 ? r : (int)search.n;
}

int hf_conflict_find(const struct sockaddr_storage *address, unsigned length, ino_t *ret,
                     size_t maximum)
{
    return find_conflicts(0, address, length, ret, maximum);
}

#define INODES_MAX 64
#define DELETED    " (deleted)"

typedef struct Candidate {
    pid_t pid; /* 0: none */
    uint64_t started;
} Candidate;

static bool is_wanted(const char *link, const ino_t *inodes, size_t n)
{
    char wanted[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(wanted, sizeof(wanted), "socket:[%ju]", (uintmax_t)inodes[i]);
        if (strcmp(link, wanted) == 0)
            return true;
    }
    return false;
}

/* A process that may not be examined, or is gone by now, counts as holding nothing. */
static bool holds(pid_t pid, const ino_t *inodes, size_t n)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    HF_CLEANUP_DIRECTORY DIR *fds = fdopendir(fd);
    if (!fds) {
        hf_fd_close(fd);
        return false;
    }
    for (struct dirent *entry = readdir(fds); entry; entry = readdir(fds)) {
        char link[64];
        ssize_t length = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

        if (length < 0)
            continue;
        link[length] = '\0';
        if (is_wanted(link, inodes, n))
            return true;
    }
    return false;
}

static bool is_older(const Candidate *a, const Candidate *b)
{
    if (b->pid == 0 || a->started != b->started)
        return b->pid == 0 || a->started < b->started;
    return a->pid < b->pid;
}

static int find_oldest(const ino_t *inodes, size_t n, Candidate *ret)
{
    HF_CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    Candidate oldest = {0};

    if (!proc)
        return -errno;
    for (struct dirent *entry = readdir(proc); entry; entry = readdir(proc)) {
        Candidate candidate;
        uint64_t pid;

        if (hf_parse_uint(entry->d_name, INT_MAX, &pid) < 0)
            continue;
        candidate.pid = (pid_t)pid;
        if (holds(candidate.pid, inodes, n) &&
            hf_process_started(candidate.pid, &candidate.started) >= 0 &&
            is_older(&candidate, &oldest))
            oldest = candidate;
    }
    if (oldest.pid == 0)
        return -ENOENT;
    *ret = oldest;
    return 0;
}

static int read_program(pid_t pid, char *ret, size_t size)
{
    char name[64];
    char target[PATH_MAX];

    snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(name, target, sizeof(target));
    if (length > 0) {
        size_t left = (size_t)length;
        size_t cut = strlen(DELETED);
        if (left > cut && memcmp(target + left - cut, DELETED, cut) == 0)
            left -= cut;
        const char *slash = memrchr(target, '/', left);
        const char *base = slash ? slash + 1 : target;
        hf_text_printable(base, left - (size_t)(base - target), ret, size);
        return 0;
    }

    HfProgram program;
    int r = hf_process_program(pid, &program);
    if (r < 0)
        return r;
    hf_text_printable(program.comm, strnlen(program.comm, sizeof(program.comm)), ret, size);
    return 0;
}

int hf_owner_find(const struct sockaddr_storage *address, unsigned length, HfOwner *ret)
{
    return hf_owner_find_of(0, address, length, ret);
}

int hf_owner_find_of(int type, const struct sockaddr_storage *address, unsigned length,
                     HfOwner *ret)
{
    ino_t inodes[INODES_MAX];
    Candidate oldest = {0};
    HfOwner owner = {0};
    struct timespec now;

    int n = find_conflicts(type, address, length, inodes, INODES_MAX);
    if (n <= 0)
        return n < 0 ? n : -ENOENT;
    int r = find_oldest(inodes, (size_t)n, &oldest);
    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    owner.pid = oldest.pid;
    r = read_program(oldest.pid, owner.program, sizeof(owner.program));
    if (r < 0)
        return r == -ESRCH ? -ENOENT : r;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t usec = (uint64_t)now.tv_sec * HF_USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
    owner.age = usec > oldest.started ? usec - oldest.started : 0;
    *ret = owner;
    return 0;
}
