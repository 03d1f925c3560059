/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"
#include "socket_helpers.h"

#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "kernel/credentials.h"
#include "kernel/file.h"
#include "loop/capture.h"
#include "loop/names.h"
#include "loop/reaper.h"

#define LONG (60 * HF_USEC_PER_SEC)

static void on_answered(void *userdata)
{
    sd_event_exit(userdata, 0);
}

/* Asks, and returns what asking says. */
static int ask_names(HfNames *names, uint64_t timeout)
{
    HfLoop loop = {0};

    assert_int_equal(hf_loop_open(&loop), 0);
    int r = hf_names_ask(names, loop.event, loop.reaper, timeout, on_answered, loop.event);
    if (r == 0)
        assert_int_equal(sd_event_loop(loop.event), 0);
    hf_loop_close(&loop);
    return r;
}

static HfNames *new_names(void)
{
    HfNames *names = NULL;

    assert_int_equal(hf_names_new(&names), 0);
    return names;
}

static void nothing_is_asked_for_numbers_and_paths(void **state)
{
    HfListenerSpec spec;
    HfNames *names = new_names();

    (void)state;
    hf_listener_spec_init(&spec);
    assert_int_equal(hf_address_parse("127.0.0.1:9000", &spec.address), 0);
    assert_int_equal(hf_names_want_listener(names, &spec, true), 0);
    assert_int_equal(ask_names(names, LONG), 1);
    assert_null(hf_names_free(names));
    assert_null(hf_names_free(NULL));
}

static void accounts_and_hosts_as_the_services_say(void **state)
{
    static char owner[] = "daemon", group[] = "0", users[] = "root, no-such-user,daemon";
    static char groups[] = "daemon,no-such-group";
    HfListenerSpec spec;
    HfNames *names = new_names();
    struct sockaddr_storage addresses[4];
    unsigned lengths[4];
    size_t fds = count_fds();
    uid_t uid = 77;
    gid_t gid = 77;

    (void)state;
    hf_listener_spec_init(&spec);
    assert_int_equal(hf_address_parse("localhost:9000", &spec.address), 0);
    spec.owner = owner;
    spec.group = group;
    spec.acl_users = users;
    spec.acl_groups = groups;
    assert_int_equal(hf_names_want_listener(names, &spec, true), 0);
    assert_int_equal(ask_names(names, LONG), 0);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(ask_names(names, LONG), 1); /* nothing is left */

    assert_int_equal(hf_names_user(names, "daemon", &uid, &gid), 0);
    assert_int_equal(uid, getpwnam("daemon")->pw_uid);
    assert_int_equal(gid, getpwnam("daemon")->pw_gid);
    assert_int_equal(hf_names_user(names, "root", &uid, NULL), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(hf_names_user(names, "no-such-user", &uid, &gid), -ENOENT);
    assert_int_equal(hf_names_group(names, "daemon", &gid), 0);
    assert_int_equal(gid, getgrnam("daemon")->gr_gid);
    assert_int_equal(hf_names_group(names, "0", &gid), 0);
    assert_int_equal(gid, 0);
    assert_int_equal(hf_names_group(names, "no-such-group", &gid), -ENOENT);

    int n = hf_names_host(names, "localhost", 9000, addresses, lengths, 4);
    assert_true(n > 0);
    assert_true(addresses[0].ss_family == AF_INET || addresses[0].ss_family == AF_INET6);
    assert_int_equal(((struct sockaddr_in *)&addresses[0])->sin_port, htons(9000));
    hf_names_free(names);
}

static void a_service_gets_groups_and_environment(void **state)
{
    static char user[] = "daemon", group[] = "root";
    const HfSettings settings = {.user = user, .group = group};
    HfCredentials expected = HF_CREDENTIALS_NONE;
    HfCredentials found = HF_CREDENTIALS_NONE;
    HfNames *names = new_names();
    gid_t gid;

    (void)state;
    found.capabilities = 5;
    found.no_new_privileges = true;
    assert_int_equal(hf_credentials_set_user(&expected, user), 0);
    assert_int_equal(hf_names_want_service(names, &settings), 0);
    assert_int_equal(ask_names(names, LONG), 0);
    assert_int_equal(hf_names_service_user(names, &found, user), 0);
    assert_int_equal(hf_names_group(names, group, &gid), 0);
    assert_true(found.has_user && found.has_group && found.no_new_privileges);
    assert_int_equal(found.capabilities, 5);
    assert_int_equal(found.uid, expected.uid);
    assert_int_equal(found.gid, expected.gid);
    assert_int_equal(found.n_groups, expected.n_groups);
    assert_memory_equal(found.groups, expected.groups, found.n_groups * sizeof(gid_t));
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(found.environment[i], expected.environment[i]);
    hf_credentials_clear(&found);
    hf_credentials_clear(&expected);
    hf_names_free(names);
}

static void without_names_the_services_are_asked(void **state)
{
    struct sockaddr_storage address;
    unsigned length;
    HfCredentials found = HF_CREDENTIALS_NONE;
    uid_t uid;
    gid_t gid;

    (void)state;
    assert_int_equal(hf_names_user(NULL, "root", &uid, &gid), 0);
    assert_int_equal(hf_names_group(NULL, "root", &gid), 0);
    assert_int_equal(hf_names_host(NULL, "localhost", 1, &address, &length, 1), 1);
    assert_int_equal(hf_names_service_user(NULL, &found, "root"), 0);
    hf_credentials_clear(&found);
}

/* One child does for all that a service without names needs. */
static void a_program_is_found_and_tried_at_once(void **state)
{
    HfNames *names = new_names();
    HF_CLEANUP_FREE char *program = NULL;
    HF_CLEANUP_FREE char *root = NULL;

    (void)state;
    assert_int_equal(hf_names_want_files(names, "sh", "/tmp", "/usr/.."), 0);
    assert_int_equal(ask_names(names, LONG), 0);
    assert_int_equal(hf_names_program(names, "sh", "/tmp", &program), 0);
    assert_int_equal(program[0], '/');
    assert_int_equal(hf_names_real_path(names, "/usr/..", &root), 0);
    assert_string_equal(root, "/");
    assert_int_equal(hf_names_want_open(names, program, X_OK), 0);
    assert_int_equal(hf_names_want_open(names, "/tmp", X_OK), 0);
    assert_int_equal(ask_names(names, LONG), 1);
    assert_true(hf_names_open(names, program, X_OK));
    assert_true(hf_names_open(names, "/tmp", X_OK));

    assert_int_equal(hf_names_want_open(names, program, R_OK), 0);
    assert_true(ask_names(names, LONG) >= 0);
    assert_true(hf_names_open(names, program, R_OK));
    hf_names_free(names);
}

static void files_at_hand_are_looked_at_without_a_child(void **state)
{
    HfNames *names = new_names();
    HF_CLEANUP_FREE char *program = NULL;
    const bool near = access("/bin/sh", X_OK) == 0 && hf_file_is_near("/bin/sh");

    (void)state;
    assert_int_equal(hf_names_want_files(names, "/bin/sh", NULL, NULL), 0);
    assert_int_equal(ask_names(names, LONG), near ? 1 : 0);
    assert_int_equal(hf_names_program(names, "/bin/sh", NULL, &program), 0);
    assert_string_equal(program, "/bin/sh");
    assert_true(hf_names_open(names, program, X_OK));
    assert_int_equal(hf_names_want_open(names, "/proc/self/status", R_OK), 0); /* no disk */
    assert_int_equal(ask_names(names, LONG), 0);
    assert_true(hf_names_open(names, "/proc/self/status", R_OK));
    hf_names_free(names);
}

static void freed_while_it_is_asked(void **state)
{
    static char user[] = "daemon";
    const HfSettings settings = {.user = user};
    HfNames *names = new_names();
    size_t fds = count_fds();
    HfLoop loop = {0};

    (void)state;
    assert_int_equal(hf_loop_open(&loop), 0);
    assert_int_equal(hf_names_want_service(names, &settings), 0);
    assert_int_equal(hf_names_ask(names, loop.event, loop.reaper, LONG, on_answered, loop.event),
                     0);
    hf_names_free(names);
    hf_loop_close(&loop);
    assert_int_equal(count_fds(), fds);
}

/* ---- a function in a child ---- */

typedef struct Seen {
    sd_event *loop;
    HfCaptured captured;
    char output[64];
} Seen;

static void on_captured(const HfCaptured *captured, void *userdata)
{
    Seen *seen = userdata;

    seen->captured = *captured;
    snprintf(seen->output, sizeof(seen->output), "%s", captured->output);
    sd_event_exit(seen->loop, 0);
}

static void capture_call(void (*function)(int, void *), void *argument, uint64_t timeout, Seen *ret)
{
    HfLoop loop = {0};
    HfCapture *capture;

    assert_int_equal(hf_loop_open(&loop), 0);
    ret->loop = loop.event;
    assert_int_equal(hf_capture_call(loop.event, loop.reaper, function, argument, 1024, timeout,
                                     on_captured, ret, &capture),
                     0);
    assert_int_equal(sd_event_loop(loop.event), 0);
    hf_loop_close(&loop);
}

/* What it has open beside the standard descriptors and its own. */
static void tell_descriptors(int fd, void *userdata)
{
    for (int i = 3; i < 64; i++)
        if (i != fd && fcntl(i, F_GETFD) >= 0)
            dprintf(fd, "%d ", i);
    dprintf(fd, "%s", (const char *)userdata);
}

static void wait_for_ever(int fd, void *userdata)
{
    (void)userdata;
    dprintf(fd, "begun");
    for (;;)
        pause();
}

static void a_child_has_one_descriptor_and_ends(void **state)
{
    static char word[] = "done";
    Seen seen = {0};
    int extra = open("/dev/null", O_RDONLY);

    (void)state;
    capture_call(tell_descriptors, word, LONG, &seen);
    close(extra);
    assert_string_equal(seen.output, "done");
    assert_int_equal(seen.captured.status.si_code, CLD_EXITED);
    assert_false(seen.captured.timed_out);
}

static void a_child_that_does_not_end_is_killed(void **state)
{
    Seen seen = {0};

    (void)state;
    capture_call(wait_for_ever, NULL, 200 * HF_USEC_PER_MSEC, &seen);
    assert_true(seen.captured.timed_out);
    assert_string_equal(seen.output, "begun");
    assert_int_equal(seen.captured.status.si_status, SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_for_numbers_and_paths),
        cmocka_unit_test(accounts_and_hosts_as_the_services_say),
        cmocka_unit_test(a_service_gets_groups_and_environment),
        cmocka_unit_test(without_names_the_services_are_asked),
        cmocka_unit_test(a_program_is_found_and_tried_at_once),
        cmocka_unit_test(files_at_hand_are_looked_at_without_a_child),
        cmocka_unit_test(freed_while_it_is_asked),
        cmocka_unit_test(a_child_has_one_descriptor_and_ends),
        cmocka_unit_test(a_child_that_does_not_end_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
