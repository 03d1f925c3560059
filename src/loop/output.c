/* SPDX-License-Identifier: MIT */
#include "loop/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"

#define PIPE_MAX (1024 * 1024) /* bytes, pipe(7) pipe-max-size */

HfOutput *hf_output_free(HfOutput *output)
{
    if (!output)
        return NULL;
    sd_event_source_disable_unref(output->readable);
    hf_fd_close(output->fd);
    hf_text_clear(&output->text);
    free(output);
    return NULL;
}

bool hf_output_read(HfOutput *output)
{
    char buffer[4096];

    for (size_t i = 0; i < PIPE_MAX / sizeof(buffer); i++) {
        ssize_t n = read(output->fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        size_t room = output->maximum - output->text.length;
        if ((size_t)n > room)
            output->truncated = true;
        hf_text_add_bytes(&output->text, buffer, (size_t)n < room ? (size_t)n : room);
    }
    return true;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd;
    (void)revents;
    if (!hf_output_read(userdata))
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

int hf_output_open(sd_event *loop, size_t maximum, HfOutput **ret, int *ret_writing)
{
    HF_CLEANUP_FD int writing = -1;
    int fds[2];

    HfOutput *output = hf_allocate(1, sizeof(*output));
    if (!output)
        return -ENOMEM;
    *output = (HfOutput){.fd = -1, .maximum = maximum};
    int r = pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
    if (r >= 0) {
        output->fd = fds[0];
        writing = fds[1];
        /* our end only: the child's writes must block */
        r = fcntl(output->fd, F_SETFL, O_RDONLY | O_NONBLOCK) < 0 ? -errno : 0;
    }
    if (r >= 0)
        r = sd_event_add_io(loop, &output->readable, output->fd, EPOLLIN, on_readable, output);
    if (r < 0) {
        hf_output_free(output);
        return r;
    }
    *ret = output;
    *ret_writing = hf_fd_steal(&writing);
    return 0;
}

void hf_output_show(const char *output, size_t length, HfText *text)
{
    size_t skip = length > HF_OUTPUT_SHOWN ? length - HF_OUTPUT_SHOWN : 0;
    const char *at = output + skip;
    const char *end = output + length;
    const char *before = ":\n";
    char line[HF_OUTPUT_SHOWN + 1];

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (hf_text_printable(at, (size_t)(stop - at), line, sizeof(line)) > 0) {
            hf_text_addf(text, "%s%s", before, line);
            before = "\n";
        }
        at = stop + 1;
    }
}
