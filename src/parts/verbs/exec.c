/* SPDX-License-Identifier: MIT */
#include "parts/verbs/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "kernel/process.h"
#include "run/activated.h"
#include "run/plan.h"
#include "run/prepare.h"
#include "run/runtime.h"

typedef struct Now {
    sd_event *event;
    int result;
    HfPlan *plan;
    HfText *error;
} Now;

static void on_now(int r, HfPlan *plan, const char *error, void *userdata)
{
    Now *now = userdata;

    now->result = r;
    now->plan = plan;
    if (r < 0)
        hf_text_add(now->error, error);
    sd_event_exit(now->event, 0);
}

int hf_plan_now(const HfSettings *settings, const char *aliases, const HfTrialStep *trial,
                HfPlan **ret, HfText *error)
{
    HF_CLEANUP_LOOP HfLoop loop = {0};
    HfPrepare *prepare;

    int r = hf_loop_open(&loop);
    Now now = {.event = loop.event, .error = error};
    if (r >= 0) {
        const HfPrepareQuestion question = {
            .loop = loop.event,
            .reaper = loop.reaper,
            .settings = settings,
            .aliases = aliases,
            .trial = trial,
        };
        r = hf_prepare_start(&question, on_now, &now, &prepare);
    }
    if (r >= 0)
        r = sd_event_loop(loop.event);
    if (r >= 0)
        r = now.result;
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "the start cannot be prepared: %s", strerror(-r));
    if (r < 0)
        return r;
    *ret = now.plan;
    return 0;
}

/* ---- holdfast exec ---- */

/* Variables for a service that systemd supervises directly. */
static const char *const kept[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

static int make_environment(const HfPlan *plan, char ***ret)
{
    HF_CLEANUP_STRV char **own = NULL;

    int r = hf_strv_copy(plan->environment, &own);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        const char *value = getenv(kept[i]);
        HF_CLEANUP_TEXT HfText entry = {0};
        char *string;
        if (!value)
            continue;
        hf_text_addf(&entry, "%s=%s", kept[i], value);
        r = hf_text_take(&entry, &string);
        if (r >= 0)
            r = hf_strv_consume(&own, string);
        if (r < 0)
            return r;
    }
    r = hf_plan_number_environment(plan, 1, &own);
    if (r < 0)
        return r;
    return hf_environment_make(plan->placement.environment, (const char *const *)own, ret);
}

/* The overlay becomes another inherited descriptor, since nobody could remove a file. */
static int add_overlay(HfPlan *plan, int *ret_fd)
{
    HF_CLEANUP_TEXT HfText overlay = {0};
    HF_CLEANUP_TEXT HfText path = {0};

    int r = plan->adapter->overlay(plan, plan->pid_file, NULL, &overlay);
    if (r < 0)
        return r;
    hf_text_addf(&path, "/proc/self/fd/%zu", HF_HANDOFF_FIRST_FD + plan->placement.n_sources);
    r = hf_plan_overlay_arguments(plan, hf_text_peek(&path), &plan->arguments);
    if (r < 0)
        return r;
    r = hf_memfile_make("holdfast-overlay", hf_text_peek(&overlay), overlay.length);
    if (r < 0)
        return r;
    *ret_fd = r;
    return 0;
}

static int become(HfPlan *plan, HfText *error)
{
    HF_CLEANUP_STRV char **environment = NULL;
    HF_CLEANUP_FREE int *fds = calloc(plan->placement.n_sources + 1, sizeof(*fds));
    HF_CLEANUP_FD int overlay = -1;
    size_t n = 0;
    HfSpawnStage stage;

    if (!fds)
        return -ENOMEM;
    for (; n < plan->placement.n_sources; n++)
        fds[n] = hf_listener_fd(plan->listeners[plan->placement.sources[n]], 0);
    int r = make_environment(plan, &environment);
    if (r >= 0 && plan->adapter->overlay) {
        r = add_overlay(plan, &overlay);
        fds[n++] = overlay;
    }
    if (r < 0)
        return r;
    const HfSpawn spawn = {
        .program = plan->program,
        .argv = plan->arguments,
        .envp = environment,
        .listen_pid = plan->placement.listen_pid,
        .directory = plan->directory,
        .stdin_fd = plan->placement.on_stdin ? hf_listener_fd(plan->listeners[0], 0)
                    : plan->standard_input == HF_STDIN_INHERIT ? STDIN_FILENO
                                                               : -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .fds = fds,
        .n_fds = n,
    };
    r = hf_process_become(&spawn, &stage);
    hf_text_addf(error, "%s cannot be executed: %s", plan->program,
                 stage == HF_SPAWN_INTERPRETER ? HF_SPAWN_NO_INTERPRETER : strerror(-r));
    return r;
}

static int explain_nothing(HfText *error)
{
    if (hf_activated_is_anothers(error))
        return -ENOTCONN;
    hf_text_add(error,
                "no socket was passed (LISTEN_FDS is not set); start it from a .socket unit, "
                "or use holdfast run");
    return -ENOTCONN;
}

/* Nothing is bound here, which is left to the .socket unit. */
static int check_complete(const HfPlan *plan, HfListener *const *activated, size_t n, HfText *error)
{
    for (size_t i = 0; i < plan->n_wanted; i++) {
        char label[HF_ADDRESS_TEXT_MAX];
        if (hf_listener_find(activated, n, &plan->wanted[i].spec))
            continue;
        hf_address_format(&plan->wanted[i].spec.address, label);
        hf_text_addf(
            error,
            "the service listens at %s, but no such socket was passed; add ListenStream=%s "
            "to the .socket unit",
            label, label);
        return -EADDRNOTAVAIL;
    }
    return 0;
}

static int translate(const HfSettings *settings, const HfRuntime *runtime,
                     HfListener *const *activated, size_t n, HfText *error)
{
    HfPlan *plan = NULL;

    int r = hf_plan_now(settings, runtime->aliases, NULL, &plan, error);
    if (r >= 0 && n == 0 && !settings->listens_nowhere)
        r = explain_nothing(error);
    if (r >= 0)
        r = hf_activated_want(activated, n, settings, plan, error);
    if (r >= 0)
        r = check_complete(plan, activated, n, error);
    if (r >= 0)
        r = hf_plan_bind(plan, activated, n, false, NULL, NULL, error);
    if (r >= 0)
        r = hf_activated_check(activated, n, plan, error);
    if (r >= 0)
        r = become(plan, error);
    hf_plan_unref(plan);
    return r;
}

int hf_exec(const HfCommandLine *line)
{
    const HfSettings *settings = &line->settings;
    HF_CLEANUP_TEXT HfText error = {0};
    HF_CLEANUP_FREE char *name = NULL;
    HfRuntime runtime = {.lock = -1};
    HfListener **activated = NULL;
    size_t n = 0;
    HfNotes notes = {0}; /* from a holdfast's fd store, of no use here */

    int r = hf_name_of_instance(settings, &name);
    if (r >= 0)
        r = hf_runtime_name(name, &runtime);
    if (r >= 0)
        r = hf_activated_take(&activated, &n, &notes, &error);
    if (r >= 0)
        r = translate(settings, &runtime, activated, n, &error);
    hf_listener_array_clear(&activated, &n);
    hf_notes_clear(&notes, true);
    hf_runtime_release(&runtime);
    if (error.length == 0)
        hf_text_addf(&error, "the service cannot be executed: %s", strerror(-r));
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return HF_EXIT_FAILED;
}
