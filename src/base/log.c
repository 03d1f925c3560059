/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#ifndef __GLIBC__ /* glibc 2.32 has them, musl has not */
#define strerrorname_np(error) NULL
#define strerrordesc_np(error) strerror(error)
#endif

/* Bytes; the longest line of all, JSON with every byte escaped, stays below HF_LOG_LINE_MAX. */
#define NAME_BYTES     64
#define LISTENER_BYTES 300
#define ID_BYTES       64
#define ERROR_BYTES    100
#define MESSAGE_BYTES  (HF_LOG_LINE_MAX - 1280)

#define PATIENCE       100                           /* ms */
#define JOURNAL_SOCKET "/run/systemd/journal/socket" /* of systemd's "Native Journal Protocol" */

_Static_assert(HF_LOG_LINE_MAX <= PIPE_BUF, "a line is written whole, pipe(7)");

static struct {
    char name[NAME_BYTES + 1];
    int level;
    HfLogFormat format;
    bool journal;
    bool stalled;          /* the last attempt timed out */
    unsigned long dropped; /* messages lost since the last one that was written */
} state = {.level = LOG_INFO};

static const char *const formats[] = {[HF_LOG_TEXT] = "text", [HF_LOG_JSON] = "json"};
HF_STRTAB_DEFINE(hf_log_format, HfLogFormat, formats, HF_LOG_FORMAT_MAX_)

static const char *const levels[] = {
    [HF_LOG_LEVEL_ERROR] = "error",   [HF_LOG_LEVEL_WARNING] = "warning",
    [HF_LOG_LEVEL_NOTICE] = "notice", [HF_LOG_LEVEL_INFO] = "info",
    [HF_LOG_LEVEL_DEBUG] = "debug",
};
HF_STRTAB_DEFINE(hf_log_level, HfLogLevel, levels, HF_LOG_LEVEL_MAX_)
_Static_assert(LOG_ERR + HF_LOG_LEVEL_DEBUG == LOG_DEBUG, "syslog(3)'s levels follow one another");

/* The contents of a line, bounded and printable. */
typedef struct Entry {
    int level;
    unsigned long long generation;
    int error; /* positive errno, 0: none */
    char listener[LISTENER_BYTES + 1];
    char message_id[ID_BYTES + 1];
    char message[MESSAGE_BYTES + 1];
} Entry;

typedef struct Line {
    size_t length;
    char data[HF_LOG_LINE_MAX + 1]; /* room for a NUL that is not written */
} Line;

__attribute__((format(printf, 2, 3))) static void add(Line *line, const char *format, ...)
{
    size_t room = sizeof(line->data) - line->length;
    va_list arguments;
    va_start(arguments, format);
    int r = vsnprintf(line->data + line->length, room, format, arguments);
    va_end(arguments);
    if (r > 0)
        line->length += (size_t)r < room ? (size_t)r : room - 1;
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* A JSON string (RFC 8259) of at most maximum bytes between its quotes, out of printable UTF-8. */
static void add_json(Line *line, const char *key, const char *text, size_t maximum)
{
    add(line, "\"%s\":\"", key);
    while (*text) {
        bool escaped = *text == '"' || *text == '\\';
        size_t n = 1;
        while (is_continuation(text[n]))
            n++;
        if (n + escaped > maximum)
            break;
        maximum -= n + escaped;
        add(line, "%s%.*s", escaped ? "\\" : "", (int)n, text);
        text += n;
    }
    add(line, "\"");
}

static const char *level_name(int level)
{
    static const char *const names[] = {"emerg",   "alert",  "crit", "error",
                                        "warning", "notice", "info", "debug"};
    return level >= 0 && level <= LOG_DEBUG ? names[level] : "debug";
}

static void build_json(Line *line, const Entry *entry)
{
    struct timespec now = {0};
    struct tm utc = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    add(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\",\"level\":\"%s\",",
        utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        now.tv_nsec / 1000, level_name(entry->level));
    if (*state.name) {
        add_json(line, "name", state.name, SIZE_MAX);
        add(line, ",");
    }
    add_json(line, "message", entry->message, MESSAGE_BYTES);
    if (entry->generation > 0)
        add(line, ",\"generation\":%llu", entry->generation);
    if (*entry->listener) {
        add(line, ",");
        add_json(line, "listener", entry->listener, SIZE_MAX);
    }
    if (entry->error > 0) {
        const char *name = strerrorname_np(entry->error);
        if (name)
            add(line, ",\"error\":\"%s\"", name);
        else
            add(line, ",\"error\":\"E%d\"", entry->error);
    }
    if (*entry->message_id) {
        add(line, ",");
        add_json(line, "message_id", entry->message_id, SIZE_MAX);
    }
    add(line, "}");
}

static void build_text(Line *line, const Entry *entry)
{
    if (*state.name)
        add(line, "holdfast[%s]: %s", state.name, entry->message);
    else
        add(line, "holdfast: %s", entry->message);
}

/* Waits once for a reader that has stalled, not again with every line. */
static bool stderr_has_room(void)
{
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};

    state.stalled = poll(&reader, 1, state.stalled ? 0 : PATIENCE) == 0;
    return !state.stalled;
}

/* A description of our own, so that non-blocking mode on it affects nobody else. Not for a file,
 * where nobody waits for a reader, and the service has to write on where a line of ours ends. */
static int open_stderr(void)
{
    struct stat file;

    if (fstat(STDERR_FILENO, &file) == 0 && S_ISREG(file.st_mode))
        return -1;
    return open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Where stderr cannot be opened again (a socket, another user's terminal), a whole line fits once
 * poll(2) reports room: so it is with a pipe, as HF_LOG_LINE_MAX is PIPE_BUF. */
static bool write_without_waiting(const char *data, size_t length)
{
    HF_CLEANUP_FD int own = open_stderr();
    int fd = own >= 0 ? own : STDERR_FILENO;

    while (length > 0 && stderr_has_room()) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR)
            return errno != EAGAIN; /* nothing is lost on a stderr that can never be written to */
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return length == 0;
}

/* Not inlined, like the two below: each has a large buffer, and only one is needed at a time. */
__attribute__((noinline)) static bool write_line(const Entry *entry)
{
    Line line;
    line.length = 0;
    if (state.format == HF_LOG_JSON)
        build_json(&line, entry);
    else
        build_text(&line, entry);
    if (line.length == HF_LOG_LINE_MAX)
        line.length--;
    line.data[line.length++] = '\n';
    return write_without_waiting(line.data, line.length);
}

/* Returns 1 when the journal took it, 0 when it does not read, -1 when there is no journal. No
 * field contains a newline, and all of them fit into one datagram, so no memfd is needed. */
__attribute__((noinline)) static int send_to_journal(const Entry *entry)
{
    struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    Line line;

    line.length = 0;
    add(&line, "SYSLOG_IDENTIFIER=holdfast\nPRIORITY=%d\nMESSAGE=%s\n", entry->level,
        entry->message);
    if (*state.name)
        add(&line, "HOLDFAST_NAME=%s\n", state.name);
    if (entry->generation > 0)
        add(&line, "HOLDFAST_GENERATION=%llu\n", entry->generation);
    if (*entry->listener)
        add(&line, "HOLDFAST_LISTENER=%s\n", entry->listener);
    if (entry->error > 0)
        add(&line, "ERRNO=%d\n", entry->error);
    if (*entry->message_id)
        add(&line, "MESSAGE_ID=%s\n", entry->message_id);
    struct iovec data = {.iov_base = line.data, .iov_len = line.length};
    const struct msghdr message = {
        .msg_name = &journal, .msg_namelen = sizeof(journal), .msg_iov = &data, .msg_iovlen = 1};
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 1;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

/* Returns false when nobody reads. */
static bool deliver(const Entry *entry)
{
    int r = state.journal ? send_to_journal(entry) : -1;

    return r < 0 ? write_line(entry) : r > 0;
}

/* As long as lines are still being dropped, the count goes on; the next line that gets through
 * reports it. */
static bool deliver_drops(void)
{
    Entry entry = {.level = LOG_WARNING};

    snprintf(entry.message, sizeof(entry.message),
             state.dropped == 1 ? "%lu message was dropped, as nobody read the log"
                                : "%lu messages were dropped, as nobody read the log",
             state.dropped);
    return deliver(&entry);
}

static void set_printable(char *ret, size_t size, const char *text)
{
    hf_text_printable(text ? text : "", text ? strlen(text) : 0, ret, size);
}

__attribute__((noinline, format(printf, 2, 0))) static void
set_message(Entry *entry, const char *format, va_list arguments)
{
    char error[ERROR_BYTES] = "";
    if (entry->error > 0) {
        const char *description = strerrordesc_np(entry->error);
        if (description)
            snprintf(error, sizeof(error), ": %s", description);
        else
            snprintf(error, sizeof(error), ": error %d", entry->error);
    }
    char raw[HF_LOG_LINE_MAX];
    if (vsnprintf(raw, sizeof(raw), format, arguments) < 0)
        snprintf(raw, sizeof(raw), "%s", format);
    size_t length =
        hf_text_printable(raw, strlen(raw), entry->message, sizeof(entry->message) - strlen(error));
    memcpy(entry->message + length, error, strlen(error) + 1);
}

/* Every child inherits JOURNAL_STREAM=DEVICE:INODE: it counts only while stderr still is that
 * stream. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (!stream || fstat(STDERR_FILENO, &status) < 0)
        return false;
    char expected[64];
    snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino);
    return strcmp(stream, expected) == 0;
}

void hf_log_setup(const char *name, int level, HfLogFormat format)
{
    set_printable(state.name, sizeof(state.name), name);
    state.level = level;
    state.format = format;
    state.journal = stderr_is_journal();
}

void hf_log(int level, const HfLogFields *fields, const char *format, ...)
{
    if (level > state.level)
        return;
    int saved = errno;
    Entry entry = {.level = level};
    if (fields) {
        entry.generation = fields->generation;
        entry.error = fields->error < 0 ? -fields->error : fields->error;
        set_printable(entry.listener, sizeof(entry.listener), fields->listener);
        set_printable(entry.message_id, sizeof(entry.message_id), fields->message_id);
    }
    va_list arguments;
    va_start(arguments, format);
    set_message(&entry, format, arguments);
    va_end(arguments);

    if (state.dropped > 0 && deliver_drops())
        state.dropped = 0;
    if (state.dropped > 0 || !deliver(&entry))
        state.dropped++;
    errno = saved;
}

void hf_log_lines(int level, const HfLogFields *fields, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length > 0)
            hf_log(level, fields, "%.*s", (int)length, text);
        text += length;
        text += *text == '\n';
    }
}

int hf_log_output(const HfText *text)
{
    int r = text->failed ? -ENOMEM : 0;

    for (size_t done = 0; r >= 0 && done < text->length;) {
        ssize_t n = write(STDOUT_FILENO, text->data + done, text->length - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            r = -errno;
    }
    if (r < 0)
        hf_log(LOG_ERR, NULL, "standard output cannot be written: %s", strerror(-r));
    return r;
}
