/* SPDX-License-Identifier: MIT */
/* What the verbs make of the answers of an instance: of one that is old, fails, lies or hangs up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "parts/control/names.h"

/* ---- the other side, a child ---- */

typedef enum Kind {
    NONE,
    EMPTY,
    NUMBER,
    ERROR,
    SILENCE,
    HANG_UP,
    PROPERTIES,
    NO_ROWS,
    ROWS,
    WRONG,
} Kind;

typedef struct Reply {
    const char *member; /* NULL: any other */
    Kind kind;
    const char *name; /* of an error, a property or an event that comes before */
    const char *text;
} Reply;

typedef struct Peer {
    const Reply *replies;
    bool done;
} Peer;

static int add_property(sd_bus_message *answer, const char *name, const char *type, ...)
{
    va_list values;

    int r = sd_bus_message_open_container(answer, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(answer, "s", name);
    if (r >= 0)
        r = sd_bus_message_open_container(answer, 'v', type);
    va_start(values, type);
    if (r >= 0)
        r = sd_bus_message_appendv(answer, type, values);
    va_end(values);
    if (r >= 0)
        r = sd_bus_message_close_container(answer);
    return r < 0 ? r : sd_bus_message_close_container(answer);
}

static int add_properties(sd_bus_message *answer, const Reply *reply)
{
    int r = sd_bus_message_open_container(answer, 'a', "{sv}");

    if (r >= 0)
        r = add_property(answer, "Name", "s", "web\x1b[31m");
    if (r >= 0)
        r = add_property(answer, "Version", "s", "1");
    if (r >= 0 && !reply->name)
        r = add_property(answer, "State", "s", "running");
    if (r >= 0)
        r = add_property(answer, "Replacements", "a{st}", 1, "reload", (uint64_t)2);
    if (r >= 0)
        r = add_property(answer, reply->name ? reply->name : "Weather", "u", 1U);
    return r < 0 ? r : sd_bus_message_close_container(answer);
}

static int add_rows(sd_bus_message *answer, const char *member, size_t n)
{
    static const char row[] = "(stsst)";

    if (strcmp(member, "ListEvents") == 0) {
        int r = sd_bus_message_open_container(answer, 'a', row);
        for (size_t i = 0; r >= 0 && i < n; i++)
            r = sd_bus_message_append(answer, row, "ready", (uint64_t)1, "start",
                                      "a\n\x1b"
                                      "b",
                                      (uint64_t)i);
        return r < 0 ? r : sd_bus_message_close_container(answer);
    }
    const char *type = strcmp(member, "ListGenerations") == 0 ? "(tsssutttuts)"
                       : strcmp(member, "ListListeners") == 0 ? "(sssuuuxuus)"
                       : strcmp(member, "ListPools") == 0     ? "(sxxxxxxxxxs)"
                       : strcmp(member, "ListCaches") == 0    ? "(xxxxxxxxxs)"
                                                              : "(tstttttusttttt)";
    int r = sd_bus_message_open_container(answer, 'a', type);
    return r < 0 ? r : sd_bus_message_close_container(answer);
}

static int answer_call(sd_bus_message *call, const Reply *reply, Peer *peer)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *answer = NULL;
    const char *member = sd_bus_message_get_member(call);

    if (reply->kind == SILENCE)
        return 1;
    if (reply->kind == HANG_UP) {
        peer->done = true;
        return 1;
    }
    if (reply->kind == ERROR)
        return sd_bus_reply_method_errorf(call, reply->name, "%s", reply->text);
    int r = sd_bus_message_new_method_return(call, &answer);
    if (r >= 0 && reply->kind == NUMBER)
        r = sd_bus_message_append(answer, "t", (uint64_t)5);
    else if (r >= 0 && reply->kind == PROPERTIES)
        r = add_properties(answer, reply);
    else if (r >= 0 && reply->kind == WRONG)
        r = sd_bus_message_append(answer, "s", "wrong");
    else if (r >= 0 && (reply->kind == ROWS || reply->kind == NO_ROWS))
        r = add_rows(answer, member, reply->kind == ROWS ? 3 : 0);
    return r < 0 ? r : sd_bus_send(NULL, answer, NULL);
}

static int on_call(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Peer *peer = userdata;
    const Reply *reply = peer->replies;

    (void)unused;
    if (!sd_bus_message_is_method_call(message, NULL, NULL))
        return 0;
    while (reply->member && strcmp(reply->member, sd_bus_message_get_member(message)) != 0)
        reply++;
    if (reply->kind == EMPTY && reply->name) {
        sd_bus *bus = sd_bus_message_get_bus(message);
        sd_bus_emit_signal(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event", "stss",
                           "reload-failed", (uint64_t)1, "", "not shown");
        sd_bus_emit_signal(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event", "s", "wrong");
        sd_bus_emit_signal(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event", "stss", reply->name,
                           (uint64_t)1, "", reply->text);
    }
    return answer_call(message, reply, peer);
}

static void serve(int fd, const Reply *replies)
{
    Peer peer = {.replies = replies};
    sd_id128_t id = {{1}};
    sd_bus *bus = NULL;

    bool good = sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fd, fd) >= 0 &&
                sd_bus_set_server(bus, 1, id) >= 0 &&
                sd_bus_add_filter(bus, NULL, on_call, &peer) >= 0 && sd_bus_start(bus) >= 0;
    while (good && !peer.done) {
        int r = sd_bus_process(bus, NULL);
        good = r > 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) >= 0);
    }
    _exit(0);
}

/* ---- this side ---- */

static struct {
    const Reply *const *scripts; /* of one connection after another, up to a NULL */
    bool terminal;
    unsigned short columns;
    HfText logged;
} given;
static pid_t children[16];
static size_t n_children;

static sd_bus *connect_to(const Reply *replies)
{
    sd_bus *bus = NULL;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        serve(fds[1], replies);
    }
    close(fds[1]);
    children[n_children++] = child;
    assert_true(sd_bus_new(&bus) >= 0);
    assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
    assert_true(sd_bus_start(bus) >= 0);
    return bus;
}

int __wrap_hf_client_connect_or_log(const char *name, HfInstance *ret);
int __wrap_hf_client_connect_or_log(const char *name, HfInstance *ret)
{
    (void)name;
    if (!*given.scripts)
        return HF_EXIT_NOT_RUNNING;
    *ret = (HfInstance){.bus = connect_to(*given.scripts++)};
    return HF_EXIT_DONE;
}

int __wrap_hf_client_find(const char *name, HfInstances *ret, HfText *error);
int __wrap_hf_client_find(const char *name, HfInstances *ret, HfText *error)
{
    (void)name;
    *ret = (HfInstances){0};
    for (; *given.scripts; given.scripts++) {
        ret->list = realloc(ret->list, (ret->n + 1) * sizeof(*ret->list));
        assert_non_null(ret->list);
        ret->list[ret->n++] = (HfInstance){.label = "\x1blabel", .bus = connect_to(*given.scripts)};
    }
    hf_text_add(error, "no instance is running");
    return ret->n > 0 ? HF_EXIT_DONE : HF_EXIT_NOT_RUNNING;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    (void)fd;
    hf_text_add_bytes(&given.logged, bytes, length);
    return (ssize_t)length;
}

int __wrap_isatty(int fd);
int __wrap_isatty(int fd)
{
    (void)fd;
    return given.terminal;
}

int __wrap_ioctl(int fd, unsigned long request, struct winsize *size);
int __wrap_ioctl(int fd, unsigned long request, struct winsize *size)
{
    (void)fd;
    (void)request;
    *size = (struct winsize){.ws_col = given.columns, .ws_row = 1};
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (; n_children > 0; n_children--) {
        kill(children[n_children - 1], SIGKILL);
        waitpid(children[n_children - 1], NULL, 0);
    }
    hf_text_clear(&given.logged);
    memset(&given, 0, sizeof(given));
    return 0;
}

static int call(HfVerb verb, HfCall how, const Reply *const *scripts)
{
    HfCommandLine line = {.verb = verb, .call = how};

    hf_text_clear(&given.logged);
    given.scripts = scripts;
    return verb == HF_VERB_UPGRADE ? hf_cli_upgrade(&line) : hf_cli_call(&line);
}

static void assert_logged(const char *text)
{
    if (!strstr(hf_text_peek(&given.logged), text))
        fail_msg("\"%s\" is not in: %s", text, hf_text_peek(&given.logged));
}

#define SCRIPTS(...) ((const Reply *const[]){__VA_ARGS__, NULL})
static const Reply done[] = {{NULL, EMPTY, "ready", "generation 2 is ready\nand more"}};
static const Reply fails[] = {{NULL, ERROR, "org.holdfast.Error.Failed", "the reason"}};
static const Reply hangs_up[] = {{NULL, HANG_UP, NULL, NULL}};
static const Reply stops[] = {{NULL, ERROR, HF_CONTROL_STOPPING, "it stops"}};

static void a_request_is_answered(void **state)
{
    (void)state;
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, SCRIPTS(done)), HF_EXIT_DONE);
    assert_logged("generation 2 is ready\n");
    assert_logged("and more\n");
    assert_null(strstr(hf_text_peek(&given.logged), "not shown"));
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){.quiet = true}, SCRIPTS(done)), HF_EXIT_DONE);
    assert_int_equal(given.logged.length, 0);
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){.take_over = true}, SCRIPTS(fails)),
                     HF_EXIT_FAILED);
    assert_logged("reload failed: the reason\n");
    assert_int_equal(call(HF_VERB_RESTART, (HfCall){0}, SCRIPTS(hangs_up)), HF_EXIT_FAILED);
    assert_logged("restart: holdfast ended before it answered; see its log\n");
    given.scripts = (const Reply *const[]){NULL};
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, (const Reply *const[]){NULL}),
                     HF_EXIT_NOT_RUNNING);
}

static void a_request_on_a_terminal(void **state)
{
    (void)state;
    static const Reply named[] = {{NULL, EMPTY, "ready", "reload: it is ready"}};

    setenv("TERM", "xterm", 1);
    given.terminal = true;
    for (given.columns = 0; given.columns < 90; given.columns += 30) {
        assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, SCRIPTS(done)), HF_EXIT_DONE);
        assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, SCRIPTS(named)), HF_EXIT_DONE);
    }
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, SCRIPTS(fails)), HF_EXIT_FAILED);
    setenv("TERM", "dumb", 1);
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){0}, SCRIPTS(done)), HF_EXIT_DONE);
    assert_logged("generation 2 is ready\n");
}

static void whoever_stops_it_need_not_be_first(void **state)
{
    (void)state;
    assert_int_equal(call(HF_VERB_STOP, (HfCall){0}, SCRIPTS(hangs_up)), HF_EXIT_FAILED);
    assert_int_equal(call(HF_VERB_STOP, (HfCall){.no_wait = true}, SCRIPTS(stops)), HF_EXIT_DONE);
    assert_int_equal(call(HF_VERB_RELOAD, (HfCall){.no_wait = true}, SCRIPTS(done)), HF_EXIT_DONE);
}

static const Reply begins[] = {{"Upgrade", NUMBER, NULL, NULL}, {NULL, HANG_UP, NULL, NULL}};
static const Reply begins_and_ends[] = {{"Upgrade", NUMBER, NULL, NULL}, {NULL, EMPTY, NULL, NULL}};
static const Reply begins_and_fails[] = {{"Upgrade", NUMBER, NULL, NULL},
                                         {NULL, ERROR, "org.holdfast.Error.Failed", "the reason"}};
static const Reply lies[] = {{NULL, WRONG, NULL, NULL}};

static void an_upgrade_ends_the_connection(void **state)
{
    (void)state;
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(begins, done)), HF_EXIT_DONE);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(begins, begins, done)),
                     HF_EXIT_DONE);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(begins_and_ends)), HF_EXIT_DONE);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){.no_wait = true}, SCRIPTS(begins)),
                     HF_EXIT_DONE);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(begins)), HF_EXIT_NOT_RUNNING);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(begins_and_fails)), HF_EXIT_FAILED);
    assert_logged("upgrade failed: the reason\n");
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(fails)), HF_EXIT_FAILED);
    assert_logged("upgrade failed: the reason\n");
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, SCRIPTS(lies)), HF_EXIT_FAILED);
    assert_int_equal(call(HF_VERB_UPGRADE, (HfCall){0}, (const Reply *const[]){NULL}),
                     HF_EXIT_NOT_RUNNING);
}

/* ---- what is read ---- */

static const Reply whole[] = {{"GetAll", PROPERTIES, NULL, NULL}, {NULL, ROWS, NULL, NULL}};
static const Reply old[] = {{"GetAll", PROPERTIES, NULL, NULL},
                            {"ListEvents", ROWS, NULL, NULL},
                            {NULL, ERROR, SD_BUS_ERROR_UNKNOWN_METHOD, "what?"}};

static void a_view_is_read(void **state)
{
    (void)state;
    const Reply *const each[] = {whole, old};

    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_VIEW HfView view = {0};
        __attribute__((cleanup(sd_bus_close_unrefp))) sd_bus *bus = connect_to(each[i]);
        assert_int_equal(hf_view_read(bus, &view), 0);
        assert_string_equal(view.name, "web?[31m");
        assert_string_equal(view.handover, "");
        assert_int_equal(view.n_replacements, 1);
        assert_int_equal(view.replacements[0].count, 2);
        assert_int_equal(view.n_events, 3);
        assert_string_equal(view.events[2].text, "a\n?b");
    }
}

static void what_is_no_view_is_refused(void **state)
{
    (void)state;
    static const Reply number_for_state[] = {{"GetAll", PROPERTIES, "State", NULL},
                                             {NULL, NO_ROWS, NULL, NULL}};
    static const Reply number_for_list[] = {{"GetAll", PROPERTIES, "Replacements", NULL},
                                            {NULL, NO_ROWS, NULL, NULL}};
    static const Reply without_state[] = {{"GetAll", PROPERTIES, "Weather", NULL},
                                          {NULL, NO_ROWS, NULL, NULL}};
    static const Reply wrong_rows[] = {{"GetAll", PROPERTIES, NULL, NULL},
                                       {NULL, WRONG, NULL, NULL}};
    static const struct {
        const Reply *replies;
        int want;
    } rows[] = {
        {fails, -EBADMSG},         {hangs_up, -ECONNRESET},    {lies, -ENXIO},
        {without_state, -EBADMSG}, {number_for_state, -ENXIO}, {number_for_list, -ENXIO},
        {wrong_rows, -ENXIO},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfView view = {0};
        __attribute__((cleanup(sd_bus_close_unrefp))) sd_bus *bus = connect_to(rows[i].replies);
        assert_int_equal(hf_view_read(bus, &view), rows[i].want);
        assert_int_equal(view.n_messages, 0);
    }
}

static void one_of_several_fails(void **state)
{
    (void)state;
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_VIEWS HfViews none = {0};
    HF_CLEANUP_VIEWS HfViews past = {0};
    bool several = false;

    given.scripts = SCRIPTS(whole, hangs_up, whole);
    assert_int_equal(hf_views_read(NULL, &views, &several), HF_EXIT_FAILED);
    assert_true(several);
    assert_int_equal(views.n, 2);
    assert_string_equal(views.views[1].name, "?label"); /* not as it calls itself */
    assert_logged("the instance ?label cannot be reached: Connection reset by peer\n");
    given.scripts = (const Reply *const[]){NULL};
    assert_int_equal(hf_views_read(NULL, &none, &several), HF_EXIT_NOT_RUNNING);
    assert_logged("no instance is running\n");
    given.scripts = (const Reply *const[]){NULL};
    assert_int_equal(hf_views_read_history(NULL, &past), HF_EXIT_NOT_RUNNING);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_request_is_answered, forget),
        cmocka_unit_test_teardown(a_request_on_a_terminal, forget),
        cmocka_unit_test_teardown(whoever_stops_it_need_not_be_first, forget),
        cmocka_unit_test_teardown(an_upgrade_ends_the_connection, forget),
        cmocka_unit_test_teardown(a_view_is_read, forget),
        cmocka_unit_test_teardown(what_is_no_view_is_refused, forget),
        cmocka_unit_test_teardown(one_of_several_fails, forget),
    };

    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
