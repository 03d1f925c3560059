/* SPDX-License-Identifier: MIT */
#include "kernel/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "base/fd.h"

/* The kernel makes a message of a dump as large as what it is read into, or a page (netlink_dump).
 */
#define ANSWER_SIZE 8192

typedef struct Query {
    struct nlmsghdr header;
    union {
        struct inet_diag_req_v2 inet;
        struct unix_diag_req local;
    } request;
} Query;

/* Attributes are struct nlattr: laid out like rtattr, but without macros for user space. */
static void visit_attributes(void *attributes, size_t size,
                             void (*take)(HfSockDiag *, unsigned, const void *, size_t),
                             HfSockDiag *socket)
{
    int left = (int)size;
    for (struct rtattr *a = attributes; RTA_OK(a, left); a = RTA_NEXT(a, left))
        take(socket, a->rta_type & NLA_TYPE_MASK, RTA_DATA(a), RTA_PAYLOAD(a));
}

static void take_inet_attribute(HfSockDiag *socket, unsigned type, const void *data, size_t size)
{
    if (type == INET_DIAG_SKV6ONLY && size >= 1)
        socket->v6only = *(const uint8_t *)data != 0;
}

static void take_unix_attribute(HfSockDiag *socket, unsigned type, const void *data, size_t size)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&socket->address;
    struct unix_diag_vfs file;
    struct unix_diag_rqlen queue;

    if (type == UNIX_DIAG_NAME && size <= sizeof(name->sun_path)) {
        memcpy(name->sun_path, data, size);
        socket->address_length = (unsigned)(offsetof(struct sockaddr_un, sun_path) + size);
    } else if (type == UNIX_DIAG_VFS && size >= sizeof(file)) {
        memcpy(&file, data, sizeof(file));
        socket->has_file = true;
        /* the kernel's own encoding: 12 bits of major, 20 of minor number */
        socket->file_device = makedev(file.udiag_vfs_dev >> 20, file.udiag_vfs_dev & 0xfffff);
        socket->file_inode = file.udiag_vfs_ino;
    } else if (type == UNIX_DIAG_RQLEN && size >= sizeof(queue)) {
        memcpy(&queue, data, sizeof(queue));
        socket->has_queue = true;
        socket->queue_depth = queue.udiag_rqueue;
        socket->queue_limit = queue.udiag_wqueue;
    }
}

/* FNV-1a. */
static uint64_t identify_peer(const struct inet_diag_sockid *id)
{
    const unsigned char *address = (const unsigned char *)id->idiag_dst;
    uint64_t hash = 0xcbf29ce484222325;

    if (id->idiag_dport == 0)
        return 0;
    for (size_t i = 0; i < sizeof(id->idiag_dst); i++)
        hash = (hash ^ address[i]) * 0x100000001b3;
    return (hash ^ id->idiag_dport) * 0x100000001b3;
}

static bool parse_inet(struct nlmsghdr *header, HfSockDiag *ret)
{
    struct inet_diag_msg *message = NLMSG_DATA(header);
    const struct inet_diag_sockid *id = &message->id;

    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
        return false;
    *ret = (HfSockDiag){.inode = message->idiag_inode, .state = message->idiag_state};
    ret->peer = identify_peer(id);
    if (message->idiag_family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&ret->address;
        in->sin_family = AF_INET;
        in->sin_port = id->idiag_sport;
        memcpy(&in->sin_addr, id->idiag_src, sizeof(in->sin_addr));
        ret->address_length = sizeof(*in);
    } else if (message->idiag_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = id->idiag_sport;
        in6->sin6_scope_id = id->idiag_if;
        memcpy(&in6->sin6_addr, id->idiag_src, sizeof(in6->sin6_addr));
        ret->address_length = sizeof(*in6);
    } else {
        return false;
    }
    visit_attributes((char *)message + NLMSG_ALIGN(sizeof(*message)),
                     header->nlmsg_len - NLMSG_SPACE(sizeof(*message)), take_inet_attribute, ret);
    return true;
}

static bool parse_unix(struct nlmsghdr *header, HfSockDiag *ret)
{
    struct unix_diag_msg *message = NLMSG_DATA(header);

    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
        return false;
    *ret = (HfSockDiag){.inode = message->udiag_ino, .state = message->udiag_state};
    ret->address.ss_family = AF_UNIX;
    ret->address_length = offsetof(struct sockaddr_un, sun_path);
    visit_attributes((char *)message + NLMSG_ALIGN(sizeof(*message)),
                     header->nlmsg_len - NLMSG_SPACE(sizeof(*message)), take_unix_attribute, ret);
    return true;
}

static int read_error(struct nlmsghdr *header)
{
    int error = 0;

    /* both NLMSG_ERROR and NLMSG_DONE begin with it */
    if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
        memcpy(&error, NLMSG_DATA(header), sizeof(error));
    else if (header->nlmsg_type == NLMSG_ERROR)
        error = -EBADMSG;
    return error < 0 ? error : 0;
}

/* Visits the sockets in one datagram. Returns 1 for the last one, 0 for more, or negative errno. */
static int read_answer(char *answer, size_t size, HfSockDiagVisit visit, void *userdata)
{
    struct nlmsghdr *header = (struct nlmsghdr *)answer;

    for (unsigned left = (unsigned)size; NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        HfSockDiag socket;

        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
            int r = read_error(header);
            return r < 0 ? r : 1;
        }
        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
            continue;
        if (header->nlmsg_len < NLMSG_LENGTH(1))
            return -EBADMSG;
        sa_family_t family = *(uint8_t *)NLMSG_DATA(header);
        if (!(family == AF_UNIX ? parse_unix(header, &socket) : parse_inet(header, &socket)))
            return -EBADMSG;
        if (!visit(&socket, userdata) || !(header->nlmsg_flags & NLM_F_MULTI))
            return 1;
    }
    return 0;
}

static int send_query(int fd, Query *query)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    query->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    query->header.nlmsg_flags |= NLM_F_REQUEST;
    do
        n = sendto(fd, query, query->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
                   sizeof(kernel));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static int ask(Query *query, HfSockDiagVisit visit, void *userdata)
{
    HF_CLEANUP_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return -errno;
    int r = send_query(fd, query);
    while (r == 0) {
        _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
        struct sockaddr_nl sender = {0};
        struct iovec part = {.iov_base = answer, .iov_len = sizeof(answer)};
        struct msghdr message = {
            .msg_name = &sender, .msg_namelen = sizeof(sender), .msg_iov = &part, .msg_iovlen = 1};

        ssize_t n = recvmsg(fd, &message, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (sender.nl_pid != 0)
            continue;
        if (n == 0 || message.msg_flags & MSG_TRUNC)
            return -EBADMSG;
        r = read_answer(answer, (size_t)n, visit, userdata);
    }
    return r < 0 ? r : 0;
}

static int ask_inet(int family, uint16_t port, int protocol, uint32_t states, HfSockDiagVisit visit,
                    void *userdata)
{
    Query query = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(query.request.inet)),
                   .nlmsg_flags = NLM_F_DUMP},
        .request.inet = {.sdiag_family = (uint8_t)family,
                         .sdiag_protocol = (uint8_t)protocol,
                         .idiag_states = states,
                         .id.idiag_sport = htons(port)},
    };
    return ask(&query, visit, userdata);
}

int hf_sock_diag_tcp(int family, uint16_t port, uint32_t states, HfSockDiagVisit visit,
                     void *userdata)
{
    return ask_inet(family, port, IPPROTO_TCP, states, visit, userdata);
}

int hf_sock_diag_udp(int family, uint16_t port, HfSockDiagVisit visit, void *userdata)
{
    return ask_inet(family, port, IPPROTO_UDP, UINT32_MAX, visit, userdata);
}

int hf_sock_diag_unix(uint32_t states, HfSockDiagVisit visit, void *userdata)
{
    Query query = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(query.request.local)),
                   .nlmsg_flags = NLM_F_DUMP},
        .request.local = {.sdiag_family = AF_UNIX,
                          .udiag_states = states,
                          .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS},
    };
    return ask(&query, visit, userdata);
}

static bool store_socket(const HfSockDiag *socket, void *userdata)
{
    *(HfSockDiag *)userdata = *socket;
    return false;
}

int hf_sock_diag_unix_queue(ino_t inode, HfSockDiag *ret)
{
    HfSockDiag found = {0};
    Query query = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(query.request.local))},
        .request.local = {.sdiag_family = AF_UNIX,
                          .udiag_states = UINT32_MAX,
                          .udiag_ino = (uint32_t)inode,
                          .udiag_show = UDIAG_SHOW_RQLEN,
                          .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
    };
    int r = ask(&query, store_socket, &found);
    if (r < 0)
        return r;
    if (!found.has_queue)
        return -ENOENT;
    *ret = found;
    return 0;
}

bool hf_sock_diag_is_file(const HfSockDiag *socket, dev_t device, ino_t inode)
{
    return socket->has_file && socket->file_device == device &&
           socket->file_inode == (uint32_t)inode;
}

/* ---- queue ---- */

static int read_tcp(int fd, HfQueue *ret)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return -errno;
    if (info.tcpi_state != TCP_LISTEN)
        return -EINVAL;
    *ret = (HfQueue){.depth = info.tcpi_unacked, .limit = info.tcpi_sacked};
    return 0;
}

static int read_unix(int fd, HfQueue *ret)
{
    HfSockDiag socket;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    int r = hf_sock_diag_unix_queue(st.st_ino, &socket);
    if (r < 0)
        return r;
    if (socket.state != TCP_LISTEN)
        return -EINVAL;
    *ret = (HfQueue){.depth = socket.queue_depth, .limit = socket.queue_limit};
    return 0;
}

static int read_datagrams(int fd, bool local, HfQueue *ret)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof(memory);
    HfSockDiag socket;
    struct stat st;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0 || fstat(fd, &st) < 0)
        return -errno;
    uint32_t depth = memory[SK_MEMINFO_RMEM_ALLOC];
    if (local) { /* there it is the sender's memory */
        int r = hf_sock_diag_unix_queue(st.st_ino, &socket);
        if (r < 0)
            return r;
        depth = socket.queue_depth;
    }
    *ret = (HfQueue){.depth = depth, .limit = memory[SK_MEMINFO_RCVBUF]};
    return 0;
}

int hf_queue_read(int fd, HfQueue *ret)
{
    int domain = AF_UNSPEC;
    int type = SOCK_STREAM;
    socklen_t length = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return -errno;
    if (type == SOCK_DGRAM && domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    if (type == SOCK_DGRAM)
        return read_datagrams(fd, domain == AF_UNIX, ret);
    if (domain == AF_INET || domain == AF_INET6)
        return read_tcp(fd, ret);
    if (domain == AF_UNIX)
        return read_unix(fd, ret);
    return -EAFNOSUPPORT;
}

int hf_queue_drops(int fd, uint32_t *ret)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof(memory);

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
        return -errno;
    *ret = memory[SK_MEMINFO_DROPS];
    return 0;
}
