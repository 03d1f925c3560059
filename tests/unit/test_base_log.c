/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* Stands in for libc's: the datagram that would have gone to the journal. */
static char journal[16384];
static int journal_error;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    const struct sockaddr_un *to = message->msg_name;
    size_t n = message->msg_iov->iov_len;

    (void)fd;
    assert_true(flags & MSG_DONTWAIT);
    assert_string_equal(to->sun_path, "/run/systemd/journal/socket");
    memcpy(journal, message->msg_iov->iov_base, n);
    journal[n] = '\0';
    errno = journal_error;
    return journal_error ? -1 : (ssize_t)n;
}

static int saved_stderr = -1;
static int capture = -1;

static int redirect(void **state)
{
    (void)state;
    char path[] = "/tmp/holdfast-test-log-XXXXXX";
    capture = mkostemp(path, O_CLOEXEC | O_APPEND);
    if (capture < 0 || unlink(path) < 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    *journal = '\0';
    journal_error = 0;
    unsetenv("JOURNAL_STREAM");
    return dup2(capture, STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(capture);
    unsetenv("JOURNAL_STREAM");
    return 0;
}

/* What was written to stderr, and forgets it. */
static const char *written(void)
{
    static char buffer[16384];
    ssize_t n = pread(capture, buffer, sizeof(buffer) - 1, 0);
    assert_true(n >= 0);
    buffer[n] = '\0';
    assert_int_equal(ftruncate(capture, 0), 0);
    return buffer;
}

static void text_names_the_program(void **state)
{
    (void)state;
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_NOTICE, NULL, "listening on %s", "9000");
    assert_string_equal(written(), "holdfast: listening on 9000\n");
}

static void text_names_the_instance_and_the_error(void **state)
{
    (void)state;
    hf_log_setup("php", LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_ERR, &(HfLogFields){.error = ENOENT}, "cannot open %s", "/x");
    hf_log(LOG_ERR, &(HfLogFields){.error = -EACCES}, "cannot open %s", "/y");
    hf_log(LOG_ERR, &(HfLogFields){.error = 4000, .generation = 2}, "odd");
    assert_string_equal(written(), "holdfast[php]: cannot open /x: No such file or directory\n"
                                   "holdfast[php]: cannot open /y: Permission denied\n"
                                   "holdfast[php]: odd: error 4000\n");
}

static void less_urgent_lines_are_dropped(void **state)
{
    (void)state;
    hf_log_setup(NULL, LOG_WARNING, HF_LOG_TEXT);
    hf_log(LOG_NOTICE, NULL, "no");
    hf_log(LOG_DEBUG, NULL, "no");
    hf_log(LOG_WARNING, NULL, "yes");
    hf_log(LOG_ERR, NULL, "too");
    assert_string_equal(written(), "holdfast: yes\nholdfast: too\n");
}

static void hostile_bytes_stay_in_their_line(void **state)
{
    (void)state;
    hf_log_setup("a\nb", LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "%s", "x\nholdfast: forged\r\x1b[2J\x7f\xff\xc2\x9b\xc3\xa9");
    assert_string_equal(written(), "holdfast[a?b]: x?holdfast: forged??[2J???\xc3\xa9\n");
}

static void errno_is_kept(void **state)
{
    (void)state;
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    close(null);
    errno = ERANGE;
    hf_log(LOG_INFO, NULL, "cannot be written");
    int after = errno;
    dup2(capture, STDERR_FILENO);
    assert_int_equal(after, ERANGE);
}

static void long_text_is_cut_but_keeps_its_error(void **state)
{
    (void)state;
    static char message[20000];
    memset(message, 'x', sizeof(message) - 1);
    hf_log_setup("php", LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, &(HfLogFields){.error = ENOENT}, "%s", message);
    const char *line = written();
    static const char end[] = "xxx: No such file or directory\n";
    assert_true(strlen(line) <= HF_LOG_LINE_MAX);
    assert_true(strlen(line) > 2000);
    assert_string_equal(line + strlen(line) - strlen(end), end);
}

static void json_has_every_field(void **state)
{
    (void)state;
    hf_log_setup("php", LOG_DEBUG, HF_LOG_JSON);
    hf_log(LOG_WARNING,
           &(HfLogFields){.generation = 18446744073709551615ULL,
                          .listener = "127.0.0.1:9000",
                          .message_id = "c0ffee",
                          .error = EADDRINUSE},
           "cannot bind");
    int year, month, day, hour, minute, second, rest = 0;
    long micro;
    const char *line = written();
    assert_int_equal(sscanf(line, "{\"time\":\"%4d-%2d-%2dT%2d:%2d:%2d.%6ldZ\",%n", &year, &month,
                            &day, &hour, &minute, &second, &micro, &rest),
                     7);
    assert_int_equal(rest, 38);
    assert_true(year >= 2024 && month <= 12 && day <= 31 && hour < 24 && minute < 60);
    assert_string_equal(line + rest,
                        "\"level\":\"warning\",\"name\":\"php\","
                        "\"message\":\"cannot bind: Address already in use\","
                        "\"generation\":18446744073709551615,\"listener\":\"127.0.0.1:9000\","
                        "\"error\":\"EADDRINUSE\",\"message_id\":\"c0ffee\"}\n");
}

static void json_leaves_out_what_is_absent(void **state)
{
    (void)state;
    static const struct {
        int level;
        const char *name;
    } levels[] = {
        {LOG_ERR, "error"}, {LOG_NOTICE, "notice"}, {LOG_INFO, "info"}, {LOG_DEBUG, "debug"}};
    hf_log_setup(NULL, LOG_DEBUG, HF_LOG_JSON);
    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
        hf_log(levels[i].level, NULL, "hello");
        char expected[100];
        snprintf(expected, sizeof(expected), ",\"level\":\"%s\",\"message\":\"hello\"}\n",
                 levels[i].name);
        assert_string_equal(strchr(written(), ','), expected);
    }
}

static void json_escapes(void **state)
{
    (void)state;
    hf_log_setup("a\"b", LOG_INFO, HF_LOG_JSON);
    hf_log(LOG_INFO, &(HfLogFields){.listener = "/x\\y", .error = 4000}, "%s",
           "\"q\" \\ \n \x01 \xff \xc3\xa9\"");
    assert_string_equal(strstr(written(), "\"name\""),
                        "\"name\":\"a\\\"b\","
                        "\"message\":\"\\\"q\\\" \\\\ ? ? ? \xc3\xa9\\\": error 4000\","
                        "\"listener\":\"/x\\\\y\",\"error\":\"E4000\"}\n");
}

static void json_stays_whole_when_it_is_cut(void **state)
{
    (void)state;
    static char hostile[9000];
    memset(hostile, '"', sizeof(hostile) - 1);
    hf_log_setup(hostile, LOG_INFO, HF_LOG_JSON);
    hf_log(LOG_INFO,
           &(HfLogFields){
               .generation = 7, .listener = hostile, .message_id = hostile, .error = ENOENT},
           "x%s", hostile);
    const char *line = written();
    size_t length = strlen(line);
    assert_true(length <= HF_LOG_LINE_MAX);
    assert_string_equal(line + length - 5, "\\\"\"}\n");
    assert_non_null(strstr(line, "\\\"\",\"generation\":7,\"listener\":\"\\\""));
    size_t quotes = 0;
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\\')
            i++;
        else if (line[i] == '"')
            quotes++;
    }
    assert_int_equal(quotes, 2 * 15);
}

static void json_cuts_between_characters(void **state)
{
    (void)state;
    static char wide[9001];
    for (size_t i = 0; i < 9000; i += 3)
        memcpy(wide + i, "\xe2\x82\xac", 3);
    for (size_t shift = 0; shift < 3; shift++) {
        hf_log_setup(NULL, LOG_INFO, HF_LOG_JSON);
        hf_log(LOG_INFO, NULL, "%.*s%s", (int)shift, "\"\"", wide);
        const char *line = written();
        assert_true(strlen(line) <= HF_LOG_LINE_MAX);
        assert_string_equal(line + strlen(line) - 6, "\xe2\x82\xac\"}\n");
        assert_null(strchr(line, '?'));
    }
}

static void set_journal_stream(const char *format)
{
    struct stat status;
    assert_int_equal(fstat(capture, &status), 0);
    char value[64];
    snprintf(value, sizeof(value), "%ju:%ju%s", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino,
             format);
    setenv("JOURNAL_STREAM", value, 1);
}

static void journal_gets_fields(void **state)
{
    (void)state;
    set_journal_stream("");
    hf_log_setup("php", LOG_INFO, HF_LOG_JSON);
    hf_log(LOG_ERR,
           &(HfLogFields){
               .generation = 3, .listener = "9000", .message_id = "c0ffee", .error = -ENOENT},
           "gone\n");
    assert_string_equal(journal, "SYSLOG_IDENTIFIER=holdfast\n"
                                 "PRIORITY=3\n"
                                 "MESSAGE=gone?: No such file or directory\n"
                                 "HOLDFAST_NAME=php\n"
                                 "HOLDFAST_GENERATION=3\n"
                                 "HOLDFAST_LISTENER=9000\n"
                                 "ERRNO=2\n"
                                 "MESSAGE_ID=c0ffee\n");
    assert_string_equal(written(), "");
}

static void journal_gets_only_what_is_there(void **state)
{
    (void)state;
    set_journal_stream("");
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "hello");
    assert_string_equal(journal, "SYSLOG_IDENTIFIER=holdfast\nPRIORITY=6\nMESSAGE=hello\n");
    hf_log(LOG_DEBUG, NULL, "dropped");
    assert_null(strstr(journal, "dropped"));
}

static void another_journal_stream_is_not_ours(void **state)
{
    (void)state;
    set_journal_stream("1");
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "hello");
    assert_string_equal(journal, "");
    assert_string_equal(written(), "holdfast: hello\n");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "hello");
    assert_string_equal(journal, "");
}

static void failing_journal_leaves_stderr(void **state)
{
    (void)state;
    set_journal_stream("");
    journal_error = ECONNREFUSED;
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "hello");
    assert_string_equal(written(), "holdfast: hello\n");
}

static void a_journal_that_does_not_read_costs_messages(void **state)
{
    (void)state;
    set_journal_stream("");
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    journal_error = EAGAIN;
    hf_log(LOG_INFO, NULL, "lost");
    hf_log(LOG_INFO, NULL, "lost");
    journal_error = 0;
    hf_log(LOG_DEBUG, NULL, "too detailed");
    assert_null(strstr(journal, "were dropped")); /* what is not logged says nothing */
    hf_log(LOG_INFO, NULL, "seen");
    assert_non_null(strstr(journal, "MESSAGE=seen\n"));
    assert_string_equal(written(), "");
    journal_error = EAGAIN;
    hf_log(LOG_INFO, NULL, "lost");
    journal_error = ENOENT; /* there is no journal any more: stderr */
    hf_log(LOG_INFO, NULL, "seen");
    assert_string_equal(written(), "holdfast: 1 message was dropped, as nobody read the log\n"
                                   "holdfast: seen\n");
}

/* As a shell's "> file" has it: whoever inherits it writes where the last one stopped. */
static void a_file_is_shared_with_the_service(void **state)
{
    (void)state;
    char path[] = "/tmp/holdfast-test-log-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    char text[64] = "";
    assert_true(file >= 0 && unlink(path) == 0);
    dup2(file, STDERR_FILENO);
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    assert_int_equal(write(file, "service 1\n", 10), 10);
    hf_log(LOG_INFO, NULL, "ours");
    assert_int_equal(write(file, "service 2\n", 10), 10);
    dup2(capture, STDERR_FILENO);
    assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "service 1\nholdfast: ours\nservice 2\n");
    close(file);
}

static char filling[65536];

/* In place of stderr until it is read; its flags are as a shell leaves them. */
static void fill(int reader, int writer)
{
    while (read(reader, filling, sizeof(filling)) > 0)
        ;
    assert_int_equal(fcntl(writer, F_SETFL, O_NONBLOCK), 0);
    while (write(writer, "x", 1) > 0)
        ;
    assert_int_equal(fcntl(writer, F_SETFL, 0), 0);
    dup2(writer, STDERR_FILENO);
}

/* Two messages are lost while nobody reads. Returns what a third one writes then. */
static const char *lose_two(int reader)
{
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    hf_log(LOG_INFO, NULL, "lost %2000s", ""); /* or the test hangs */
    hf_log(LOG_INFO, NULL, "lost %2000s", "");
    while (read(reader, filling, sizeof(filling)) > 0)
        ;
    filling[0] = '\0';
    for (int i = 0; i < 100 && !strstr(filling, "seen"); i++) {
        /* what goes through a terminal is on its way for a moment */
        struct pollfd there = {.fd = reader, .events = POLLIN};
        hf_log(LOG_INFO, NULL, "seen");
        poll(&there, 1, 100);
        ssize_t n = read(reader, filling, sizeof(filling) - 1);
        filling[n < 0 ? 0 : n] = '\0';
    }
    dup2(capture, STDERR_FILENO);
    return filling;
}

static void a_pipe_that_nobody_reads_costs_lines_not_time(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fill(ends[0], ends[1]);
    assert_string_equal(lose_two(ends[0]),
                        "holdfast: 2 messages were dropped, as nobody read the log\n"
                        "holdfast: seen\n");
    close(ends[0]);
    close(ends[1]);
}

/* A little room is left there, which poll(2) takes for enough. */
static void a_terminal_that_nobody_reads_costs_lines_not_time(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    fill(master, terminal);
    assert_true(read(master, filling, 20) > 0);
    assert_non_null(strstr(lose_two(master), "holdfast: seen\r\n"));
    close(terminal);
    close(master);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, redirect, restore)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_names_the_program),
        TEST(text_names_the_instance_and_the_error),
        TEST(less_urgent_lines_are_dropped),
        TEST(hostile_bytes_stay_in_their_line),
        TEST(errno_is_kept),
        TEST(long_text_is_cut_but_keeps_its_error),
        TEST(json_has_every_field),
        TEST(json_leaves_out_what_is_absent),
        TEST(json_escapes),
        TEST(json_stays_whole_when_it_is_cut),
        TEST(json_cuts_between_characters),
        TEST(journal_gets_fields),
        TEST(journal_gets_only_what_is_there),
        TEST(another_journal_stream_is_not_ours),
        TEST(failing_journal_leaves_stderr),
        TEST(a_journal_that_does_not_read_costs_messages),
        TEST(a_file_is_shared_with_the_service),
        TEST(a_pipe_that_nobody_reads_costs_lines_not_time),
        TEST(a_terminal_that_nobody_reads_costs_lines_not_time),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
