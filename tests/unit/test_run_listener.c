/* SPDX-License-Identifier: MIT */
/* Listeners and plans of them: each thing that is asked of memory and kernel is refused in turn,
 * and nothing is lost, held on to, or said that is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/socket.h"
#include "kernel/socket_path.h"
#include "kernel/steer.h"
#include "loop/resolved_listener.h"
#include "parts/inherit/shared_listener.h"
#include "refusal_helpers.h"
#include "run/listener.h"
#include "run/plan.h"

WRAP(int, hf_fd_raise, (int fd, int minimum), (fd, minimum), (hf_fd_close(fd), -EMFILE), EMFILE)
CALL(hf_listener_name, (int fd, struct sockaddr_storage *ret, unsigned *ret_length),
     (fd, ret, ret_length), ENOBUFS)
CALL(hf_queue_read, (int fd, HfQueue *ret), (fd, ret), ENOBUFS)
CALL(hf_socket_bind,
     (const HfSocketRequest *request, int *ret_fd, HfSocketInode *ret_inode, HfSocketStage *stage),
     (request, ret_fd, ret_inode, stage), EADDRINUSE)
CALL(hf_socket_path_inode, (const char *path, HfSocketInode *ret), (path, ret), ENOENT)
CALL(hf_socket_path_secure,
     (const char *path, const HfSocketInode *inode, const HfSocketRequest *request,
      HfSocketStage *stage),
     (path, inode, request, stage), EPERM)
CALL(hf_socket_probe, (const HfSocketRequest *request, HfSocketStage *stage), (request, stage),
     EACCES)
CALL(hf_socket_reach, (int fd, struct sockaddr_storage *ret, socklen_t *length), (fd, ret, length),
     ENOBUFS)
CALL(hf_socket_secure,
     (const HfSocketRequest *request, const HfSocketInode *inode, HfSocketStage *stage),
     (request, inode, stage), EPERM)
CALL(hf_socket_shut_down, (int fd), (fd), ENOTCONN)
CALL(hf_socket_type, (int fd), (fd), ENOTSOCK)
CALL(hf_socket_verify, (int fd), (fd), EINVAL)
WRAP(int, hf_steer_find_hidden,
     (const char *path, const HfSocketInode *inode, char ret[static HF_LISTENER_PATH_MAX]),
     (path, inode, ret), (ret[0] = '\0', -ENOENT), ENOENT)
CALL(hf_steer_name_hidden, (const char *path, unsigned n, char ret[static HF_LISTENER_PATH_MAX]),
     (path, n, ret), ENAMETOOLONG)
CALL(hf_steer_pair_path,
     (int fd, const char *path, const char *hidden, int *ret_fd, HfSocketInode *ret),
     (fd, path, hidden, ret_fd, ret), EADDRINUSE)
CALL(hf_steer_pair_tcp, (int fd, unsigned index, unsigned n, int *ret_fd), (fd, index, n, ret_fd),
     EADDRINUSE)
CALL(hf_steer_path, (const char *path, const char *hidden, const HfSocketInode *inode),
     (path, hidden, inode), ENOENT)
CALL(hf_steer_tcp, (int fd, unsigned index, unsigned other), (fd, index, other), ENOMEM)
CALL(hf_socket_somaxconn, (void), (), 1)
WRAP(bool, hf_socket_can_have, (const HfSocketRequest *request), (request), false, 0)
WRAP(bool, hf_steer_noted, (int fd, bool *ret_current, unsigned *ret_index),
     (fd, ret_current, ret_index), false, 0)

static HfListenerSpec specs[2]; /* a TCP address and a path */

static void name_address(HfListenerSpec *spec, const char *address)
{
    hf_listener_spec_init(spec);
    assert_int_equal(hf_address_parse(address, &spec->address), 0);
}

static int set_up(void **state)
{
    char path[64];

    (void)state;
    strcpy(directory, "/tmp/holdfast-unit-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/held", directory);
    name_address(&specs[0], "127.0.0.1:1");
    specs[0].address.port = 0; /* any */
    name_address(&specs[1], path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void change_specs(HfListener *held)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfListenerSpec spec;

    if (hf_listener_spec_copy(&held->spec, &spec) < 0)
        return;
    spec.backlog = 7;
    if (hf_address_is_path(&spec.address)) {
        spec.mode = 0600;
        (void)hf_string_set(&spec.owner, "root");
    }
    int r = hf_listener_respecify(held, &spec, true, &error);
    assert_true(r <= 0);
    hf_listener_spec_clear(&spec);
}

static void live(HfListener *held)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfReach reach;
    HfQueue queue;

    hf_listener_pair(held, 0);
    assert_true(hf_listener_has_sides(held) == (held->one_side == NULL));
    for (unsigned side = 0; side < 3; side++) {
        int r = hf_listener_open_side(held, side, &error);
        assert_true(r == 0 || error.length > 0 || error.failed);
        (void)hf_listener_reach(held, side, &reach);
        bool can = hf_listener_can_switch(held, side);
        unsigned before = held->side;
        r = can ? hf_listener_steer(held, side) : -1;
        assert_true(r == 0 || held->side == before);
        (void)hf_listener_queue(held, side, &queue);
    }
    change_specs(held);
    hf_listener_raise_backlog(held, true);
    hf_listener_raise_backlog(held, false);
    assert_true(hf_listener_can_be_released(held) || refused);
    (void)hf_listener_is_lost(held);
}

static void a_listener_lives(void)
{
    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HfListener *held = NULL;
        int probed = hf_resolved_listener_probe(&specs[i], &error);
        assert_true(probed <= 0 && (probed == 0 || refused));
        int r = hf_listener_bind(&specs[i], false, &held, &error);
        assert_true(r == 0 || refused);
        if (r == 0)
            live(held);
        if (r == 0 && i == 0)
            (void)hf_listener_release(held);
        hf_listener_unref(held);
    }
}

static void whatever_is_refused_a_listener_lives(void **state)
{
    (void)state;
    refuse_each(a_listener_lives);
}

/* As systemd passes it, and as it is taken from another holdfast. */
static void one_is_received_and_taken(void)
{
    HfListener *bound = NULL;
    HF_CLEANUP_TEXT HfText error = {0};

    for (size_t i = 0; i < 2; i++) {
        if (hf_listener_bind(&specs[i], true, &bound, &error) < 0)
            continue;
        hf_listener_pair(bound, 0);
        HfListener *activated = NULL;
        int copy = dup(bound->fds[0]);
        if (hf_listener_receive(copy, i ? "name" : NULL, &activated) < 0)
            close(copy);
        else
            hf_listener_raise_backlog(activated, true);
        hf_listener_unref(activated);

        HfListener *taken = NULL;
        if (hf_listener_take(dup(bound->fds[0]), &specs[i], &taken) == 0) {
            for (unsigned side = 1; side < HF_SIDES; side++)
                if (bound->fds[side] >= 0)
                    (void)hf_shared_listener_add_side(taken, dup(bound->fds[side]),
                                                      bound->places[side], &bound->inodes[side]);
            hf_listener_claim(taken);
            hf_listener_renumber(taken, 1);
            (void)hf_shared_listener_retake(taken);
            if (hf_listener_open_side(bound, 1, &error) == 0)
                (void)hf_listener_steer(bound, 1);
            (void)hf_shared_listener_retake(taken);
        }
        hf_listener_unref(taken);
        hf_listener_unref(bound);
        bound = NULL;
    }
}

static void whatever_is_refused_one_is_taken(void **state)
{
    (void)state;
    refuse_each(one_is_received_and_taken);
}

/* More sides than there may be, and what is no socket. */
static void what_cannot_be_taken(void **state)
{
    (void)state;
    HfListener *held = NULL;
    HfText error = {0};
    int pair[2];

    assert_int_equal(hf_listener_bind(&specs[0], false, &held, &error), 0);
    for (unsigned i = 1; i < HF_SIDES; i++)
        assert_int_equal(
            hf_shared_listener_add_side(held, dup(held->fds[0]), i, &(HfSocketInode){0}), 0);
    assert_int_equal(
        hf_shared_listener_add_side(held, dup(held->fds[0]), HF_SIDES, &(HfSocketInode){0}),
        -E2BIG);
    hf_listener_unref(held);
    assert_int_equal(pipe(pair), 0);
    assert_true(hf_listener_receive(pair[0], NULL, &held) < 0);
    close(pair[0]);
    close(pair[1]);
}

/* ---- plans ---- */

static int find_nowhere(const HfListenerSpec *spec, HfListener **ret, void *userdata)
{
    (void)spec;
    (void)ret;
    (void)userdata;
    return -ENOENT;
}

static int make_plan(HfPlan **ret)
{
    HfSettings settings;

    hf_settings_init(&settings);
    settings.command = (char *[]){(char[]){"/bin/true"}, NULL};
    HF_CLEANUP_TEXT HfText error = {0};
    int r = hf_plan_of_settings(&settings, NULL, ret, &error);
    for (size_t i = 0; r >= 0 && i < 2; i++)
        r = hf_plan_want(*ret, &specs[i], NULL);
    return r;
}

static void plans_share_listeners(void)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfPlan *first = NULL;
    HfPlan *second = NULL;

    int r = make_plan(&first);
    if (r >= 0)
        r = hf_plan_bind(first, NULL, 0, false, find_nowhere, NULL, &error);
    if (r >= 0)
        r = hf_plan_pair(first, HF_HANDOVER_AUTO, 0, &error);
    if (r >= 0)
        r = make_plan(&second);
    if (r >= 0)
        r = hf_plan_bind(second, first->listeners, first->n_listeners, true, find_nowhere, NULL,
                         &error);
    if (r >= 0)
        r = hf_plan_pair(second, HF_HANDOVER_SWITCH, 0, &error);
    assert_true(r == 0 || refused);
    if (r >= 0) {
        HfHeldSockets sockets = {0};
        assert_ptr_equal(first->listeners[1], second->listeners[1]);
        hf_plan_apply(second, true);
        (void)hf_listener_identify(second->listeners, second->n_listeners, &sockets);
        hf_held_sockets_clear(&sockets);
    }
    hf_plan_unref(first);
    hf_plan_unref(second);
}

static void whatever_is_refused_plans_share_listeners(void **state)
{
    (void)state;
    refuse_each(plans_share_listeners);
}

/* A path that was removed is bound anew, and two names for one place are refused. */
static void what_is_lost_is_not_used_again(void **state)
{
    (void)state;
    HfText error = {0};
    HfPlan *plan = NULL;
    HfPlan *next = NULL;

    assert_int_equal(make_plan(&plan), 0);
    assert_int_equal(hf_plan_bind(plan, NULL, 0, false, NULL, NULL, &error), 0);
    unlink(specs[1].address.name);
    assert_true(hf_listener_is_lost(plan->listeners[1]));
    assert_int_equal(make_plan(&next), 0);
    assert_int_equal(hf_plan_bind(next, plan->listeners, 2, false, NULL, NULL, &error), 0);
    assert_ptr_equal(plan->listeners[0], next->listeners[0]);
    assert_ptr_not_equal(plan->listeners[1], next->listeners[1]);
    hf_plan_unref(plan);
    plan = NULL;
    assert_int_equal(make_plan(&plan), 0);
    assert_int_equal(hf_plan_want(plan, &specs[1], NULL), 0); /* twice */
    assert_int_equal(hf_plan_bind(plan, next->listeners, 2, false, NULL, NULL, &error), -EEXIST);
    assert_non_null(strstr(hf_text_peek(&error), "are the same place; drop one"));
    hf_text_clear(&error);
    hf_plan_unref(plan);
    hf_plan_unref(next);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_refused_a_listener_lives),
        cmocka_unit_test(whatever_is_refused_one_is_taken),
        cmocka_unit_test(what_cannot_be_taken),
        cmocka_unit_test(whatever_is_refused_plans_share_listeners),
        cmocka_unit_test(what_is_lost_is_not_used_again),
    };

    hf_log_setup(NULL, LOG_EMERG, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
