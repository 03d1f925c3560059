#include "kernel/queue.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel/sock_diag.h"

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

int hf_queue_read(int fd, HfQueue *ret)
{
    int domain = AF_UNSPEC;
    socklen_t length = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
        return -errno;
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
