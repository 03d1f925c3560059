/* SPDX-License-Identifier: MIT */
#include "kernel/steer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/sock_diag.h"
#include "kernel/socket.h"

#define OTHER_SOURCE 0x7f000002 /* 127.0.0.2 */
#define OTHER_CLASS  0xbc       /* for ::1: DSCP 47, one that RFC 2474 leaves to local use */

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int get(int fd, int level, int option, int *ret)
{
    socklen_t length = sizeof(*ret);

    return getsockopt(fd, level, option, ret, &length) < 0 ? -errno : 0;
}

/* ---- the second socket ---- */

/* The options that connections inherit and that bind(2) compares. */
static int copy_options(int from, int to)
{
    static const struct {
        int level;
        int option;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR},
        {SOL_SOCKET, SO_BINDTOIFINDEX},
        {SOL_SOCKET, SO_KEEPALIVE},
        {SOL_SOCKET, SO_MARK},
        {SOL_SOCKET, SO_PRIORITY},
        {SOL_SOCKET, SO_RCVBUF}, /* reads back as twice the value that was set */
        {IPPROTO_IP, IP_FREEBIND},
        {IPPROTO_IP, IP_TRANSPARENT},
        {IPPROTO_IP, IP_TOS},
        {IPPROTO_IP, IP_TTL},
        {IPPROTO_IPV6, IPV6_V6ONLY},
        {IPPROTO_IPV6, IPV6_FREEBIND},
        {IPPROTO_IPV6, IPV6_TCLASS},
        {IPPROTO_TCP, TCP_NODELAY},
        {IPPROTO_TCP, TCP_KEEPIDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL},
        {IPPROTO_TCP, TCP_KEEPCNT},
        {IPPROTO_TCP, TCP_DEFER_ACCEPT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT},
        {IPPROTO_TCP, TCP_FASTOPEN},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof(options) / sizeof(*options); i++) {
        int level = options[i].level;
        int option = options[i].option;
        int wanted;
        int is;
        if (get(from, level, option, &wanted) == 0 && get(to, level, option, &is) == 0 &&
            wanted != is)
            r = set(to, level, option, option == SO_RCVBUF ? wanted / 2 : wanted);
    }
    return r;
}

typedef struct Count {
    const struct sockaddr_storage *address;
    unsigned n;
} Count;

/* Compares addresses of one family and port. */
static bool same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)a)->sin6_addr,
                              &((const struct sockaddr_in6 *)b)->sin6_addr);
}

static bool count(const HfSockDiag *socket, void *userdata)
{
    Count *counted = userdata;

    counted->n += same_ip(&socket->address, counted->address);
    return true;
}

/* How many sockets listen at exactly this address; expected when the kernel does not say. */
static unsigned count_listeners(const struct sockaddr_storage *address, unsigned expected)
{
    Count counted = {.address = address};
    uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port); /* as sin6_port */

    int r = hf_sock_diag_tcp(address->ss_family, port, UINT32_C(1) << TCP_LISTEN, count, &counted);
    return r < 0 ? expected : counted.n;
}

unsigned hf_steer_count(int fd, unsigned expected)
{
    struct sockaddr_storage address;
    unsigned length;

    return hf_listener_name(fd, &address, &length) < 0 ? expected
                                                       : count_listeners(&address, expected);
}

static int backlog_of(int fd)
{
    HfQueue queue;

    return hf_queue_read(fd, &queue) < 0 ? hf_socket_somaxconn() : (int)queue.limit;
}

static int join_group(int first, unsigned index, unsigned n, int *ret_fd)
{
    struct sockaddr_storage address;
    unsigned length;

    int r = hf_listener_name(first, &address, &length);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    r = fd < 0 ? -errno : copy_options(first, fd);
    if (r >= 0)
        r = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r >= 0 && bind(fd, (const struct sockaddr *)&address, length) < 0)
        r = -errno;
    int backlog = backlog_of(first);
    if (r >= 0 && listen(fd, backlog) < 0)
        r = -errno;
    if (r >= 0) /* at once: until now the kernel chose among all of them */
        r = hf_steer_tcp(first, index, n);
    if (r >= 0 && hf_steer_count(fd, n + 1) != n + 1)
        r = -EADDRINUSE;
    if (r < 0)
        return r;
    *ret_fd = hf_fd_steal(&fd);
    return 0;
}

int hf_steer_pair_tcp(int fd, unsigned index, unsigned n, int *ret_fd)
{
    int before;

    int r = get(fd, SOL_SOCKET, SO_REUSEPORT, &before);
    if (r >= 0)
        r = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r < 0)
        return r;
    r = join_group(fd, index, n, ret_fd);
    if (r < 0)
        set(fd, SOL_SOCKET, SO_REUSEPORT, before);
    return r;
}

int hf_steer_pair_path(int fd, const char *path, const char *hidden, int *ret_fd,
                       HfSocketInode *ret_inode)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sockaddr_un *name = (struct sockaddr_un *)&address;
    HfSocketStage stage;

    if (strlen(hidden) >= sizeof(name->sun_path))
        return -ENAMETOOLONG;
    memcpy(name->sun_path, hidden, strlen(hidden) + 1);
    const HfSocketRequest request = {
        .address = &address,
        .address_length = sizeof(*name),
        .backlog = backlog_of(fd),
        .uid = (uid_t)-1,
        .gid = (gid_t)-1,
        .like = path,
    };
    return hf_socket_bind(&request, ret_fd, ret_inode, &stage);
}

/* ---- the choice ---- */

int hf_steer_tcp(int fd, unsigned index, unsigned other)
{
#define WORD(offset)         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_NET_OFF + (offset))
#define SAME(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)SKF_NET_OFF), /* the version */
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        SAME(4, 0, 2),
        WORD(12), /* IPv4: the source */
        SAME(OTHER_SOURCE, 13, 12),
        SAME(6, 0, 11),
        WORD(0), /* IPv6: the traffic class without ECN, then the source */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x0fc00000),
        SAME(OTHER_CLASS << 20, 0, 8),
        WORD(8),
        SAME(0, 0, 6),
        WORD(12),
        SAME(0, 0, 4),
        WORD(16),
        SAME(0, 0, 2),
        WORD(20),
        SAME(1, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, index),
        BPF_STMT(BPF_RET | BPF_K, other),
    };
#undef WORD
#undef SAME
    struct sock_fprog program;

    memset(&program, 0, sizeof(program)); /* its padding is copied into the kernel as well */
    program.len = sizeof(code) / sizeof(*code);
    program.filter = code;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
               ? -errno
               : 0;
}

/* ---- notes ---- */

#define NOTE         40       /* base of the notes: signal numbers that nobody else would use */
#define NOTE_CURRENT HF_SIDES /* beside the number */
#define NOTE_LONE    (2 * HF_SIDES) /* it has no other side */

void hf_steer_note(int fd, bool current, unsigned index)
{
    (void)fcntl(fd, F_SETSIG, NOTE + (current ? NOTE_CURRENT : 0) + (int)index);
}

static int read_note(int fd)
{
    int note = fcntl(fd, F_GETSIG) - NOTE;

    return note >= 0 && note <= NOTE_LONE ? note : -1;
}

bool hf_steer_noted(int fd, bool *ret_current, unsigned *ret_index)
{
    int note = read_note(fd);

    if (note < 0 || note == NOTE_LONE)
        return false;
    *ret_current = note >= NOTE_CURRENT;
    *ret_index = (unsigned)note % HF_SIDES;
    return true;
}

/* The last one of a group takes the place of one that is closed, so whoever is below n stays. */
bool hf_steer_settle(unsigned *indices, unsigned n)
{
    unsigned moved = n;
    unsigned taken = 0;
    unsigned hole = 0;

    for (unsigned i = 0; i < n; i++) {
        if (indices[i] < n && !(taken & 1U << indices[i]))
            taken |= 1U << indices[i];
        else if (indices[i] < n || moved < n)
            return false;
        else
            moved = i;
    }
    while (taken & 1U << hole)
        hole++;
    if (moved < n)
        indices[moved] = hole;
    return true;
}

bool hf_steer_claim(int fd, bool on)
{
    bool ours = on || fcntl(fd, F_GETOWN) == getpid();

    if (read_note(fd) < 0)
        (void)fcntl(fd, F_SETSIG, NOTE + NOTE_LONE);
    if (ours)
        (void)fcntl(fd, F_SETOWN, on ? getpid() : 0);
    return ours;
}

bool hf_steer_is_anothers(int fd)
{
    int owner = read_note(fd) < 0 ? 0 : fcntl(fd, F_GETOWN);

    return owner > 0 && owner != getpid();
}

/* ---- paths ---- */

#define FIRST_HIDDEN 2

int hf_steer_name_hidden(const char *path, unsigned n, char ret[static HF_LISTENER_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int directory = slash ? (int)(slash + 1 - path) : 0;
    int length = snprintf(ret, HF_LISTENER_PATH_MAX, "%.*s.%s.%u", directory, path,
                          path + directory, FIRST_HIDDEN + n);

    return length < HF_LISTENER_PATH_MAX - 1 ? 0 : -ENAMETOOLONG;
}

int hf_steer_find_hidden(const char *path, const HfSocketInode *inode,
                         char ret[static HF_LISTENER_PATH_MAX])
{
    for (unsigned n = 0; n < HF_SIDES && hf_steer_name_hidden(path, n, ret) == 0; n++)
        if (hf_socket_path_is(ret, inode) > 0)
            return 0;
    ret[0] = '\0';
    return -ENOENT;
}

int hf_steer_path(const char *path, const char *hidden, const HfSocketInode *inode)
{
    int r = hf_socket_path_is(path, inode);
    if (r != 0)
        return r < 0 ? r : 0;
    r = hf_socket_path_is(hidden, inode);
    if (r <= 0)
        return r < 0 ? r : -ESTALE;
    return renameat2(AT_FDCWD, hidden, AT_FDCWD, path, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* ---- those of holdfast's own ---- */

void hf_steer_reach(HfReach *reach)
{
    if (reach->address.ss_family == AF_INET) {
        struct sockaddr_in *source = (struct sockaddr_in *)&reach->source;
        *source =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(OTHER_SOURCE)};
        reach->source_length = sizeof(*source);
    } else {
        struct sockaddr_in6 *source = (struct sockaddr_in6 *)&reach->source;
        *source = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        reach->source_length = sizeof(*source);
        reach->traffic_class = OTHER_CLASS;
    }
}

int hf_steer_bind(int fd, const HfReach *reach)
{
    int r = 0;

    if (reach->traffic_class != 0)
        r = set(fd, IPPROTO_IPV6, IPV6_TCLASS, reach->traffic_class);
    if (r < 0 || reach->source_length == 0)
        return r;
    set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* connect(2) finds more of them */
    return bind(fd, (const struct sockaddr *)&reach->source, reach->source_length) < 0 ? -errno : 0;
}
