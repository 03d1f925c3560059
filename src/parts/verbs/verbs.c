/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "kernel/process.h"
#include "loop/capture.h"
#include "loop/resolved_listener.h"
#include "parts.h"
#include "run/activated.h"
#include "run/listener.h"
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

/* Makes a plan from settings, unbound, in a loop of its own. trial: NULL: none. Returns 0 and the
 * plan, or negative errno and error. */
static int plan_now(const HfSettings *settings, const char *aliases, const HfTrialStep *trial,
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
        if (value && hf_strv_addf(&own, "%s=%s", kept[i], value) < 0)
            return -ENOMEM;
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

    int r = plan_now(settings, runtime->aliases, NULL, &plan, error);
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

/* Translates the sockets passed by systemd, and becomes the service. Does not return on success.
 * Returns the exit status; the reason has been logged. */
static int execute(const HfCommandLine *line)
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

/* ---- holdfast check ---- */

#define INFORMATION_MAX (4U * 1024 * 1024)
#define OWN_FILES       32 /* descriptors of holdfast, or a small service, besides listeners */

static void print_listener(const HfPlan *plan, size_t i, HfText *report)
{
    const HfListenerSpec *spec = &plan->wanted[i].spec;
    char label[HF_ADDRESS_TEXT_MAX];

    hf_address_format(&spec->address, label);
    hf_text_addf(report, "  %s", label);
    if (spec->name)
        hf_text_addf(report, "  name=%s", spec->name);
    if (spec->backlog == HF_BACKLOG_MAXIMUM)
        hf_text_addf(report, "  backlog=max");
    else
        hf_text_addf(report, "  backlog=%d", spec->backlog);
    if (spec->mode != HF_MODE_UNSET)
        hf_text_addf(report, "  mode=%04o", spec->mode);
    const struct {
        const char *name;
        const char *value;
    } rights[] = {{"owner", spec->owner},
                  {"group", spec->group},
                  {"acl-users", spec->acl_users},
                  {"acl-groups", spec->acl_groups}};
    for (size_t j = 0; j < sizeof(rights) / sizeof(*rights); j++)
        if (rights[j].value)
            hf_text_addf(report, "  %s=%s", rights[j].name, rights[j].value);
    hf_text_add(report, "\n");
}

static void print_handoff(const HfPlan *plan, HfText *report)
{
    hf_text_addf(report, "Handoff: %s\n", plan->handoff->name);
    if (plan->placement.on_stdin)
        hf_text_add(report, "  standard input is the listener\n");
    for (char *const *entry = plan->placement.environment; entry && *entry; entry++)
        hf_text_addf(report, "  %s\n", *entry);
    if (plan->placement.listen_pid)
        hf_text_add(report, "  LISTEN_PID=(pid of the service)\n");
}

static void print_overlay(const HfPlan *plan, const HfRuntime *runtime, HfText *report)
{
    HF_CLEANUP_FREE char *pid_file = NULL;
    HF_CLEANUP_FREE char *statuses = NULL;
    HF_CLEANUP_TEXT HfText overlay = {0};

    if (hf_runtime_file(runtime, 1, "pid", &pid_file) < 0 ||
        hf_runtime_statuses(runtime, 1, &statuses) < 0 ||
        plan->adapter->overlay(plan, pid_file, statuses, &overlay) < 0)
        return;
    hf_text_add(report, "Overlay:\n");
    const char *line = hf_text_peek(&overlay);
    while (*line) {
        size_t length = strcspn(line, "\n");
        hf_text_addf(report, "  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

/* The memory limit (php.ini's) that this program reports with these options: "128M", "-1". Owned;
 * NULL if it reports none. */
static char *ask_memory_limit(const HfPlan *plan, uint64_t timeout)
{
    const HfAdapter *adapter = plan->adapter;
    HF_CLEANUP_TEXT HfText output = {0};
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_STRV char **environment = NULL;

    if (!adapter->limit_arguments || hf_strv_copy(plan->arguments, &argv) < 0)
        return NULL;
    for (const char *const *more = adapter->limit_arguments; *more; more++)
        if (hf_strv_append(&argv, *more) < 0)
            return NULL;
    if (hf_environment_make(plan->environment, NULL, &environment) < 0)
        return NULL;
    const HfSpawn spawn = {
        .program = plan->program,
        .argv = argv,
        .envp = environment,
        .directory = plan->directory,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .session = true,
        .credentials = &plan->credentials,
    };
    if (hf_capture_now(&spawn, INFORMATION_MAX, timeout, &output) < 0)
        return NULL;
    const char *found = strstr(hf_text_peek(&output), adapter->limit_key);
    if (!found)
        return NULL;
    found += strlen(adapter->limit_key);
    return strndup(found, strcspn(found, " \n"));
}

/* A reload doubles it, as two generations run. */
static void print_peak(const HfPlan *plan, uint64_t timeout, HfText *report)
{
    HF_CLEANUP_FREE char *fallback = ask_memory_limit(plan, timeout);
    uint64_t memory = 0;
    bool limited = true;

    for (size_t i = 0; i < plan->n_pools; i++) {
        const HfPlanPool *pool = &plan->pools[i];
        const char *limit = pool->memory_limit[0] ? pool->memory_limit : fallback;
        uint64_t bytes;
        if (!limit || hf_parse_bytes(limit, &bytes) < 0 ||
            __builtin_mul_overflow(bytes, pool->workers * 2, &bytes) ||
            __builtin_add_overflow(memory, bytes, &memory))
            limited = false;
    }
    hf_text_addf(report, "Peak during a reload: %llu workers, two generations of %llu",
                 (unsigned long long)plan->peak_workers * 2,
                 (unsigned long long)plan->peak_workers);
    if (limited) {
        hf_text_add(report, "; ");
        hf_text_add_bytes_of(report, memory);
        hf_text_add(report, " if each reaches its memory_limit\n");
    } else {
        hf_text_add(report, "; memory has no limit (memory_limit)\n");
    }
}

/* Finds two names for one address, which the kernel would refuse only when run binds them. */
static int find_twins(const HfPlan *plan, HfText *report)
{
    HfResolvedListener *places = hf_allocate(plan->n_wanted, sizeof(*places));
    int n = 0;

    for (size_t i = 0; places && i < plan->n_wanted; i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        if (hf_resolved_listener_find(&plan->wanted[i].spec, &places[i], &error) < 0)
            continue; /* reported by its probe */
        for (size_t j = 0; j < i; j++) {
            HfPlaces how = places[j].n > 0 ? hf_resolved_listener_compare(&places[j], &places[i])
                                           : HF_PLACES_APART;
            if (how == HF_PLACES_APART)
                continue;
            hf_text_addf(report, "Problem: %s and %s %s\n", places[j].label, places[i].label,
                         how == HF_PLACES_SAME
                             ? "are the same place; drop one"
                             : "overlap; drop one, or give [::] the key ipv6-only=yes");
            n++;
        }
    }
    for (size_t i = 0; places && i < plan->n_wanted; i++)
        hf_resolved_listener_clear(&places[i]);
    free(places);
    return n;
}

/* holdfast needs a descriptor for each side of a listener, the service one for each listener. */
static int check_files(const HfPlan *plan, const HfSettings *settings, HfText *report)
{
    bool sides = settings->handover == HF_HANDOVER_AUTO || settings->handover == HF_HANDOVER_SWITCH;
    size_t passed = plan->placement.n_sources + OWN_FILES;
    size_t needed = plan->n_wanted + OWN_FILES;
    struct rlimit limit;

    for (size_t i = 0; sides && i < plan->n_wanted; i++)
        needed += hf_listener_one_side(&plan->wanted[i].spec.address) == NULL;
    needed = needed > passed ? needed : passed;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (needed > limit.rlim_max) {
        hf_text_addf(report,
                     "Problem: %zu listeners need more open files than the hard limit of %llu "
                     "allows, %zu%s; raise it (LimitNOFILE= of a unit, ulimit -n, RLIMIT_NOFILE)\n",
                     plan->n_wanted, (unsigned long long)limit.rlim_max, needed,
                     sides ? " with two sockets for each" : "");
        return 1;
    }
    if (passed > limit.rlim_cur)
        hf_text_addf(report,
                     "Note: the service is passed more listeners (%zu) than its soft limit of open "
                     "files (%llu) allows; its limit is raised by as many\n",
                     plan->n_wanted, (unsigned long long)limit.rlim_cur);
    return 0;
}

/* Notes about settings of the pools that are used, or become visible. */
static void print_notes(const HfPlan *plan, const HfSettings *settings, HfText *report)
{
    bool pages =
        settings->probe.kind == HF_PROBE_FASTCGI || settings->canary.kind == HF_PROBE_FASTCGI;
    bool pings =
        settings->probe.kind == HF_PROBE_FASTCGI && strcmp(settings->probe.what, HF_PLAN_PING) == 0;
    size_t shown = 0;

    for (size_t i = 0; i < plan->n_pools; i++) {
        const HfPlanPool *pool = &plan->pools[i];
        shown += pool->shows_environment;
        if (pages && pool->closed)
            hf_text_addf(report,
                         "Note: [%s] listen.allowed_clients lets nobody in from this machine, so "
                         "the probe only connects, as --probe=tcp does; add 127.0.0.1\n",
                         pool->name);
        else if (pings && pool->ping_path)
            hf_text_addf(report, "Note: [%s] has a ping.path of its own, %s, which is used\n",
                         pool->name, pool->ping_path);
    }
    if (shown > 0)
        hf_text_addf(
            report,
            "Note: clear_env = no in %zu pool%s, whose scripts see what holdfast adds, too: "
            "FPM_SOCKETS, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES and NOTIFY_SOCKET\n",
            shown, shown == 1 ? "" : "s");
}

/* Predicts the handover without binding anything. Returns the number of problems. */
static int print_handover(HfPlan *plan, const HfSettings *settings, HfText *report)
{
    bool shares = settings->handover == HF_HANDOVER_GENTLE ||
                  settings->handover == HF_HANDOVER_AT_ONCE || plan->n_wanted == 0;
    const char *why = NULL;
    char label[HF_ADDRESS_TEXT_MAX];

    for (size_t i = 0; !shares && !why && i < plan->n_wanted; i++) {
        why = hf_listener_one_side(&plan->wanted[i].spec.address);
        hf_address_format(&plan->wanted[i].spec.address, label);
    }
    if (why && settings->handover == HF_HANDOVER_SWITCH) {
        hf_text_addf(report, "Problem: --handover=switch is not possible: %s has one side, %s\n",
                     label, why);
        return 1;
    }
    bool gentle = plan->adapter->retires && settings->handover != HF_HANDOVER_AT_ONCE;
    plan->switches = !shares && !why;
    hf_text_addf(report, "Handover: %s",
                 hf_handover_name(plan->switches ? HF_HANDOVER_SWITCH
                                  : gentle       ? HF_HANDOVER_GENTLE
                                                 : HF_HANDOVER_AT_ONCE));
    if (why)
        hf_text_addf(report, "; %s has one side, %s", label, why);
    hf_text_add(report, "\n");
    return 0;
}

static int find_problems(HfPlan *plan, const HfSettings *settings, HfText *report)
{
    HF_CLEANUP_TEXT HfText nothing = {0};
    int n = check_files(plan, settings, report) + find_twins(plan, report);

    if (hf_activated_want(NULL, 0, settings, plan, &nothing) < 0) {
        hf_text_addf(
            report,
            "Problem: %s; those that a .socket unit passes are not seen here, name them, too\n",
            hf_text_peek(&nothing));
        n++;
    }
    for (size_t i = 0; i < plan->n_wanted; i++) {
        HF_CLEANUP_TEXT HfText problem = {0};
        if (hf_resolved_listener_probe(&plan->wanted[i].spec, &problem) >= 0)
            continue;
        hf_text_addf(report, "Problem: %s\n", hf_text_peek(&problem));
        n++;
    }
    return n;
}

static int print_plan(HfPlan *plan, const HfRuntime *runtime, const HfSettings *settings,
                      const HfPart *const *parts, HfText *report, HfText *error)
{
    int r = hf_plan_place(plan, error);
    if (r < 0)
        return r;
    hf_text_addf(report, "Service: %s (%s)\n", plan->program, plan->adapter->name);
    hf_text_addf(report, "Listeners: %zu\n", plan->n_wanted);
    for (size_t i = 0; i < plan->n_wanted; i++)
        print_listener(plan, i, report);
    print_handoff(plan, report);
    int n = print_handover(plan, settings, report);
    if (plan->adapter->overlay)
        print_overlay(plan, runtime, report);
    print_notes(plan, settings, report);
    if (plan->n_pools > 0)
        print_peak(plan, settings->ready_timeout, report);
    for (size_t i = 0; parts[i]; i++)
        if (parts[i]->describe)
            parts[i]->describe(plan, settings, report);
    n += find_problems(plan, settings, report);
    if (n == 0)
        hf_text_add(report, "No problem found.\n");
    return n;
}

/* Returns the number of problems, or negative errno with them in error. */
static int write_report(const HfSettings *settings, const HfPart *const *parts, HfText *report,
                        HfText *error)
{
    HF_CLEANUP_FREE char *name = NULL;
    HfRuntime runtime = {.lock = -1};
    HfPlan *plan = NULL;

    int r = hf_name_of_instance(settings, &name);
    if (r >= 0)
        r = hf_runtime_name(name, &runtime);
    if (r >= 0)
        r = plan_now(settings, runtime.aliases, hf_parts_trial(parts), &plan, error);
    if (r >= 0)
        r = print_plan(plan, &runtime, settings, parts, report, error);
    hf_plan_unref(plan);
    hf_runtime_release(&runtime);
    return r;
}

static int check(const HfCommandLine *line, const HfPart *const *parts)
{
    HF_CLEANUP_TEXT HfText report = {0};
    HF_CLEANUP_TEXT HfText error = {0};

    int problems = write_report(&line->settings, parts, &report, &error);
    if (hf_log_output(&report) < 0)
        return HF_EXIT_FAILED;
    if (problems < 0 && error.length == 0) /* no memory, even for a reason */
        hf_log(LOG_ERR, NULL, "%s", strerror(error.failed ? ENOMEM : -problems));
    else if (problems < 0)
        hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return problems == 0 ? HF_EXIT_DONE : HF_EXIT_FAILED;
}

static int verbs_verb(const HfCommandLine *line, const HfPart *const *parts)
{
    if (line->verb == HF_VERB_EXEC)
        return execute(line);
    return line->verb == HF_VERB_CHECK ? check(line, parts) : -1;
}

const HfPart hf_part_verbs = {.name = "verbs", .verb = verbs_verb};
