/* SPDX-License-Identifier: MIT */
#include "parts/fallback/fallback_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "kernel/privilege.h"
#include "kernel/socket.h"
#include "run/supervisor.h"

#define RETRY_AFTER_SECONDS 10
#define PATIENCE_MSEC       1000
#define FIRST_LISTENER      3 /* HfSpawn's first */
#define FASTCGI             'f'
#define OTHER               'o'

/* ---- the helper ---- */

/* Words of the command line, after HF_ANSWERER_OPTION. */
typedef enum Word {
    WORD_PARENT = 2,
    WORD_RETRY_AFTER,
    WORD_CONNECTION,
    WORD_GRACE,
    WORD_KINDS, /* FASTCGI or OTHER for each listener */
    WORD_MAX_,
} Word;

static int make_arguments(const HfFallbackRequest *request, char ***ret)
{
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_TEXT HfText kinds = {0};
    const uint64_t numbers[] = {(uint64_t)getpid(), request->retry_after_seconds,
                                request->limits.connection, request->limits.grace};

    for (size_t i = 0; i < request->n; i++)
        hf_text_addf(&kinds, "%c", request->fastcgi[i] ? FASTCGI : OTHER);
    int r = hf_strv_append(&argv, "holdfast");
    if (r >= 0)
        r = hf_strv_append(&argv, HF_ANSWERER_OPTION);
    for (size_t i = 0; r >= 0 && i < sizeof(numbers) / sizeof(*numbers); i++)
        r = hf_strv_addf(&argv, "%llu", (unsigned long long)numbers[i]);
    if (r >= 0)
        r = hf_strv_take(&argv, &kinds);
    if (r < 0)
        return r;
    assert(hf_strv_length(argv) == WORD_MAX_);
    *ret = HF_STEAL(argv);
    return 0;
}

int hf_fallback_start(const HfFallbackRequest *request, HfProcess *ret)
{
    HF_CLEANUP_STRV char **argv = NULL;
    int fds[HF_ANSWERER_LISTENERS_MAX + 1];

    assert(request->n > 0);
    if (request->n > HF_ANSWERER_LISTENERS_MAX)
        return -E2BIG;
    int r = make_arguments(request, &argv);
    if (r < 0)
        return r;
    memcpy(fds, request->fds, request->n * sizeof(*fds));
    fds[request->n] = request->released_fd;
    return hf_process_spawn_helper(argv, -1, fds, request->n + (request->released_fd >= 0), ret);
}

typedef struct Task {
    HfFallbackRequest request;
    pid_t parent;
    int fds[HF_ANSWERER_LISTENERS_MAX];
    bool fastcgi[HF_ANSWERER_LISTENERS_MAX];
} Task;

static int parse_kinds(const char *kinds, Task *task)
{
    size_t n = strlen(kinds);

    if (n == 0 || n > HF_ANSWERER_LISTENERS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (kinds[i] != FASTCGI && kinds[i] != OTHER)
            return -EINVAL;
        task->fds[i] = FIRST_LISTENER + (int)i;
        task->fastcgi[i] = kinds[i] == FASTCGI;
        if (hf_socket_verify(task->fds[i]) < 0)
            return -EINVAL;
    }
    task->request.n = n;
    int released = FIRST_LISTENER + (int)n;
    task->request.released_fd = fcntl(released, F_GETFD) < 0 ? -1 : released;
    return 0;
}

static int parse_arguments(int argc, char **argv, Task *task)
{
    uint64_t parent;
    uint64_t retry_after;

    if (argc != WORD_MAX_ || hf_parse_uint(argv[WORD_PARENT], INT32_MAX, &parent) < 0 ||
        hf_parse_uint(argv[WORD_RETRY_AFTER], UINT32_MAX, &retry_after) < 0 ||
        hf_parse_uint(argv[WORD_CONNECTION], HF_USEC_MAX, &task->request.limits.connection) < 0 ||
        hf_parse_uint(argv[WORD_GRACE], HF_USEC_MAX, &task->request.limits.grace) < 0 ||
        parse_kinds(argv[WORD_KINDS], task) < 0)
        return -EINVAL;
    task->parent = (pid_t)parent;
    task->request.retry_after_seconds = (unsigned)retry_after;
    task->request.fds = task->fds;
    task->request.fastcgi = task->fastcgi;
    return 0;
}

int hf_fallback_main(int argc, char **argv)
{
    Task task = {0};

    if (argc > HF_CARRIER_TARGETS && strcmp(argv[WORD_PARENT], HF_CARRIER_WORD) == 0)
        return hf_carrier_main(argc, argv);
    if (parse_arguments(argc, argv, &task) < 0) {
        hf_log(LOG_ERR, NULL, HF_ANSWERER_OPTION " is for holdfast's own use");
        return 2;
    }
    HF_CLEANUP_FD int stop_fd = -1;
    int r = hf_helper_begin(task.parent, 0, &stop_fd); /* it reads from strangers */
    if (r == -ESRCH)
        return EXIT_SUCCESS;
    hf_privilege_confine(false);
    if (r >= 0)
        r = hf_fallback_serve(&task.request, stop_fd);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r},
               "no answer can be given in the outage, so clients wait");
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- one answerer, gone before its listeners are needed ---- */

static void forget_answerer(HfAnswerer *answerer)
{
    answerer->released = hf_fd_close(answerer->released);
    hf_process_clear(&answerer->process);
}

static void answerer_gone(HfAnswerer *answerer)
{
    forget_answerer(answerer);
    answerer->gone(answerer->userdata);
}

static void on_exit_of_answerer(const siginfo_t *info, void *userdata)
{
    (void)info;
    hf_log(LOG_ERR, NULL, "the answerer ended by itself; connections wait in the queue");
    answerer_gone(userdata);
}

/* That of connections that are held has their sides alone. */
static bool is_answered(const HfAnswerer *answerer, const HfListener *listener, unsigned side)
{
    bool held = side == HF_SIDE_HELD && hf_listener_is_held(listener);

    return listener->fds[side] >= 0 && held == answerer->held && listener->bound.type == 0 &&
           !hf_listener_is_anothers(listener);
}

static int start_answerer(HfAnswerer *answerer)
{
    const HfPlan *plan = answerer->supervisor->current;
    HF_CLEANUP_FD int released = -1;
    int ends[2];
    HF_CLEANUP_FREE int *fds = calloc(plan->n_listeners * HF_SIDES + 1, sizeof(*fds));
    HF_CLEANUP_FREE bool *fastcgi = calloc(plan->n_listeners * HF_SIDES + 1, sizeof(*fastcgi));
    size_t n = 0;

    if (!fds || !fastcgi)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners * HF_SIDES; i++) {
        fds[n] = plan->listeners[i / HF_SIDES]->fds[i % HF_SIDES];
        fastcgi[n] = plan->adapter->fastcgi || plan->handoff->fastcgi;
        n += is_answered(answerer, plan->listeners[i / HF_SIDES], (unsigned)(i % HF_SIDES));
    }
    if (n == 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    answerer->released = ends[0];
    released = ends[1];
    const HfFallbackRequest request = {
        .fds = fds,
        .fastcgi = fastcgi,
        .n = n < HF_ANSWERER_LISTENERS_MAX ? n : HF_ANSWERER_LISTENERS_MAX,
        .released_fd = released,
        .retry_after_seconds = RETRY_AFTER_SECONDS,
        .limits = HF_ANSWERER_LIMITS,
    };
    int r = hf_fallback_start(&request, &answerer->process);
    if (r < 0)
        return r;
    r = hf_reaper_watch(answerer->supervisor->reaper, answerer->process.pid, on_exit_of_answerer,
                        answerer);
    if (r < 0)
        hf_process_signal(answerer->process.pidfd, SIGKILL);
    return r;
}

void hf_answerer_begin(HfAnswerer *answerer)
{
    int r = start_answerer(answerer);
    if (r < 0) {
        hf_log(LOG_ERR, &(HfLogFields){.error = r},
               "the answerer cannot be started; connections wait in the queue");
        answerer_gone(answerer);
    }
}

/* Nothing is served at its sides meanwhile, so the loop may wait: otherwise the answerer could
 * still accept a connection meant for the next generation. */
static bool has_closed_listeners(const HfAnswerer *answerer)
{
    return hf_fallback_wait(answerer->released, 0, PATIENCE_MSEC);
}

void hf_answerer_end(HfAnswerer *answerer)
{
    if (answerer->process.pid <= 0)
        return;
    hf_process_signal(answerer->process.pidfd, SIGTERM);
    if (!has_closed_listeners(answerer)) {
        hf_log(LOG_WARNING, NULL, "the answerer does not close the listeners, and is killed");
        hf_process_signal(answerer->process.pidfd, SIGKILL);
        has_closed_listeners(answerer);
    }
    hf_reaper_forget(answerer->supervisor->reaper, answerer->process.pid);
    hf_process_clear(&answerer->dismissed);
    answerer->dismissed = answerer->process;
    answerer->process = HF_PROCESS_NONE;
    forget_answerer(answerer);
}

void hf_answerer_free(HfAnswerer *answerer)
{
    hf_helper_await(&answerer->dismissed);
}
