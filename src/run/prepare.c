/* SPDX-License-Identifier: MIT */
#include "run/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/file.h"
#include "kernel/process.h"
#include "loop/capture.h"
#include "loop/names.h"
#include "run/plan.h"

/* The adapter's last result. */
typedef enum Found {
    FOUND_NOTHING,
    FOUND_LISTENERS, /* they can be bound now */
    FOUND_ALL,
} Found;

struct HfPrepare {
    HfPrepareQuestion question;
    size_t step; /* current */
    HfPlan *plan;
    HfNames *names; /* until the plan has them */
    HfDiscovery discovery;
    Found found;
    char *base; /* relative paths are resolved from it */
    HfCapture *capture;
    void *trial; /* in progress */
    sd_event_source *deferred;
    HfPrepareCallback callback;
    void *userdata;
};

/* One step of the list. */
typedef struct Step {
    /* Returns 0 when it continues in the loop, until prepare_continue or prepare_failed is called;
     * 1 when it is done; or negative errno, perhaps with one or more lines in error. */
    int (*start)(HfPrepare *prepare, HfText *error);
    void (*abort)(HfPrepare *prepare); /* aborts what start began; NULL: nothing to abort */
} Step;

static int ask_for_user(HfPrepare *prepare, HfText *error);
static int begin_plan(HfPrepare *prepare, HfText *error);
static int ask_for_pools(HfPrepare *prepare, HfText *error);
static int ask_for_names(HfPrepare *prepare, HfText *error);
static int bind_plan(HfPrepare *prepare, HfText *error);
static int ask_for_verdict(HfPrepare *prepare, HfText *error);
static int try_plan(HfPrepare *prepare, HfText *error);
static void abort_names(HfPrepare *prepare);
static void abort_question(HfPrepare *prepare);
static void abort_trial(HfPrepare *prepare);

static const Step steps[] = {
    {ask_for_user, abort_names},       /* and group of the service, and its program */
    {begin_plan, NULL},                /* what the settings alone say */
    {ask_for_pools, abort_question},   /* and so its listeners */
    {ask_for_names, abort_names},      /* hosts, and owners of sockets */
    {bind_plan, NULL},                 /* before the test, so that a failure leaves no trace */
    {ask_for_verdict, abort_question}, /* of the service about its configuration */
    {try_plan, abort_trial},           /* the user's own checks */
};
#define N_STEPS (sizeof(steps) / sizeof(*steps))

HfPrepare *hf_prepare_abort(HfPrepare *prepare)
{
    if (!prepare)
        return NULL;
    sd_event_source_disable_unref(prepare->deferred);
    if (prepare->step < N_STEPS && steps[prepare->step].abort)
        steps[prepare->step].abort(prepare);
    hf_names_free(prepare->names);
    hf_text_clear(&prepare->discovery.earlier);
    free(prepare->base);
    hf_plan_unref(prepare->plan);
    free(prepare);
    return NULL;
}

/* Frees prepare before the callback. */
static void prepare_end(HfPrepare *prepare, int r, const char *error)
{
    HfPrepareCallback callback = prepare->callback;
    void *userdata = prepare->userdata;
    HfPlan *plan = r >= 0 ? HF_STEAL(prepare->plan) : NULL;

    hf_prepare_abort(prepare);
    callback(r, plan, error, userdata);
}

static void prepare_failed(HfPrepare *prepare, int r, HfText *error)
{
    if (error->length == 0)
        hf_text_addf(error, "the start cannot be prepared: %s", strerror(-r));
    prepare_end(prepare, r, hf_text_peek(error));
}

/* Runs steps from the current one on, until one continues in the loop. */
static void prepare_run(HfPrepare *prepare)
{
    HF_CLEANUP_TEXT HfText error = {0};
    int r = 1;

    while (prepare->step < N_STEPS && (r = steps[prepare->step].start(prepare, &error)) > 0)
        prepare->step++;
    if (r < 0)
        prepare_failed(prepare, r, &error);
    else if (r > 0)
        prepare_end(prepare, 0, "");
}

/* A step that continued in the loop is done. */
static void prepare_continue(HfPrepare *prepare)
{
    prepare->step++;
    prepare_run(prepare);
}

/* ---- names ---- */

static void on_names(void *userdata)
{
    prepare_continue(userdata);
}

static void abort_names(HfPrepare *prepare)
{
    prepare->names = hf_names_free(prepare->names);
}

static int put_names(HfPrepare *prepare)
{
    const HfPrepareQuestion *question = &prepare->question;

    return hf_names_ask(prepare->names, question->loop, question->reaper,
                        question->settings->ready_timeout, on_names, prepare);
}

static int ask_for_user(HfPrepare *prepare, HfText *error)
{
    const HfSettings *settings = prepare->question.settings;
    const char *root = settings->document_root ? settings->document_root : settings->directory;

    (void)error;
    int r = hf_names_new(&prepare->names);
    if (r >= 0)
        r = hf_names_want_files(prepare->names, settings->command[hf_adapter_first_word(settings)],
                                settings->directory, root);
    if (r >= 0)
        r = hf_names_want_service(prepare->names, settings);
    return r < 0 ? r : put_names(prepare);
}

/* The host of a held listener is not looked up again, so the resolver cannot move or block it. */
static int ask_for_names(HfPrepare *prepare, HfText *error)
{
    const HfPlan *current = prepare->question.current;
    HfPlan *plan = prepare->plan;

    (void)error;
    int r = hf_names_want_open(prepare->names, plan->program, X_OK);
    if (r >= 0 && plan->directory)
        r = hf_names_want_open(prepare->names, plan->directory, X_OK);
    if (r >= 0 && plan->include)
        r = hf_names_want_open(prepare->names, plan->include, R_OK);
    for (size_t i = 0; r >= 0 && i < plan->n_wanted; i++) {
        const HfListenerSpec *spec = &plan->wanted[i].spec;
        bool held = current && hf_listener_find(current->listeners, current->n_listeners, spec);
        r = hf_names_want_listener(prepare->names, spec, !held);
    }
    return r < 0 ? r : put_names(prepare);
}

/* A silent file would also block each child that comes after, and those cannot be killed. */
static int check_files(const HfPrepare *prepare, HfText *error)
{
    const char *silent = hf_names_silent(prepare->names);

    if (!silent)
        return 0;
    hf_text_addf(error, "%s cannot be looked at: its file system does not answer", silent);
    return -ETIMEDOUT;
}

static void give_names(HfPrepare *prepare)
{
    HfPlan *plan = prepare->plan;

    plan->names = HF_STEAL(prepare->names);
    for (size_t i = 0; i < plan->n_wanted; i++)
        plan->wanted[i].spec.names = plan->names;
}

static int bind_plan(HfPrepare *prepare, HfText *error)
{
    const HfPrepareQuestion *question = &prepare->question;

    int r = check_files(prepare, error);
    if (r < 0)
        return r;
    give_names(prepare);
    if (prepare->found != FOUND_LISTENERS || !question->bind)
        return 1;
    r = question->bind(prepare->plan, error, question->binder);
    return r < 0 ? r : 1;
}

/* ---- questions to the service ---- */

static int discover(HfPrepare *prepare, const HfAnswer *answer, HfText *error);

static void on_answer(const HfCaptured *captured, void *userdata)
{
    HfPrepare *prepare = userdata;
    HF_CLEANUP_TEXT HfText error = {0};
    bool exited = captured->status.si_code == CLD_EXITED;
    const HfAnswer answer = {
        .timed_out = captured->timed_out,
        .truncated = captured->truncated,
        .signal = exited ? 0 : captured->status.si_status,
        .status = exited ? captured->status.si_status : 0,
        .output = captured->output,
        .length = captured->length,
    };

    prepare->capture = NULL;
    int r = captured->error < 0 ? captured->error : discover(prepare, &answer, &error);
    if (r < 0)
        prepare_failed(prepare, r, &error);
    else if (r > 0)
        prepare_continue(prepare);
}

static void abort_question(HfPrepare *prepare)
{
    prepare->capture = hf_capture_abort(prepare->capture);
}

int hf_prepare_put(sd_event *loop, HfReaper *reaper, const HfPlan *plan, HfQuestion *question,
                   bool yields, uint64_t timeout, HfCaptureCallback callback, void *userdata,
                   HfCapture **ret)
{
    HF_CLEANUP_STRV char **environment = NULL;

    if (question->call)
        return hf_capture_call(loop, reaper, question->call, &question->input, question->most,
                               timeout, callback, userdata, ret);
    int r = hf_environment_make(plan->environment, NULL, &environment);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int file =
        hf_memfile_make("holdfast-overlay", hf_text_peek(&question->input), question->input.length);
    if (file < 0)
        return file;
    const HfSpawn spawn = {
        .program = plan->program,
        .argv = question->arguments,
        .envp = environment,
        .directory = plan->directory,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .fds = &file,
        .n_fds = 1,
        .session = true,
        .yields = yields,
        .credentials = &plan->credentials,
    };
    return hf_capture_start(loop, reaper, &spawn, question->most, timeout, callback, userdata, ret);
}

/* Beside a serving generation the child gets only spare processor time. */
static int put_question(HfPrepare *prepare, HfQuestion *question)
{
    const HfPrepareQuestion *asked = &prepare->question;

    return hf_prepare_put(asked->loop, asked->reaper, prepare->plan, question, asked->beside,
                          asked->settings->ready_timeout, on_answer, prepare, &prepare->capture);
}

/* Continues the discovery. Returns as the start of a step. */
static int discover(HfPrepare *prepare, const HfAnswer *answer, HfText *error)
{
    HF_CLEANUP_QUESTION HfQuestion question = {0};

    int r = prepare->plan->adapter->discover(&prepare->discovery, answer, &question, error);
    if (prepare->discovery.note)
        hf_log(LOG_NOTICE, NULL, "%s", prepare->discovery.note);
    prepare->discovery.note = NULL;
    if (r < 0)
        return r;
    if (r == HF_STEP_ASK)
        return put_question(prepare, &question);
    prepare->found = r == HF_STEP_BIND ? FOUND_LISTENERS : FOUND_ALL;
    return 1;
}

static int ask_for_pools(HfPrepare *prepare, HfText *error)
{
    return discover(prepare, NULL, error);
}

static int ask_for_verdict(HfPrepare *prepare, HfText *error)
{
    HfPlan *plan = prepare->plan;

    if (prepare->found == FOUND_ALL)
        return 1;
    /* On the standby side a start does no harm, so it serves as the verdict. */
    plan->unproven = prepare->question.beside && !prepare->question.in_place && plan->switches &&
                     plan->adapter->verdict;
    return plan->unproven ? 1 : discover(prepare, NULL, error);
}

/* ---- the user's own checks ---- */

static void on_tried(int r, const char *error, void *userdata)
{
    HfPrepare *prepare = userdata;

    prepare->trial = NULL;
    if (r < 0)
        prepare_end(prepare, r, error);
    else
        prepare_continue(prepare);
}

static int try_plan(HfPrepare *prepare, HfText *error)
{
    const HfPrepareQuestion *question = &prepare->question;

    return !question->trial ? 1
                            : question->trial->start(question, prepare->plan, on_tried, prepare,
                                                     &prepare->trial, error);
}

static void abort_trial(HfPrepare *prepare)
{
    if (prepare->trial)
        prepare->question.trial->abort(prepare->trial);
}

static int begin_plan(HfPrepare *prepare, HfText *error)
{
    const HfSettings *settings = prepare->question.settings;

    int r = check_files(prepare, error);
    if (r < 0)
        return r;
    r = hf_plan_of_settings(settings, prepare->names, &prepare->plan, error);
    if (r < 0)
        return r;
    prepare->base = settings->directory ? strdup(settings->directory) : get_current_dir_name();
    if (!prepare->base) /* deleted, perhaps: only relative paths need it */
        prepare->base = strdup("/proc/self/cwd");
    if (!prepare->base)
        return -ENOMEM;
    prepare->discovery = (HfDiscovery){
        .settings = settings,
        .first = hf_adapter_first_word(settings),
        .program = hf_adapter_program_word(settings),
        .base = prepare->base,
        .aliases = prepare->question.aliases,
        .plan = prepare->plan,
    };
    return 1;
}

static int on_deferred(sd_event_source *source, void *userdata)
{
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    prepare_run(userdata);
    return 0;
}

int hf_prepare_start(const HfPrepareQuestion *question, HfPrepareCallback callback, void *userdata,
                     HfPrepare **ret)
{
    HfPrepare *prepare = hf_allocate(1, sizeof(*prepare));
    if (!prepare)
        return -ENOMEM;
    prepare->question = *question;
    prepare->callback = callback;
    prepare->userdata = userdata;
    int r = sd_event_add_defer(question->loop, &prepare->deferred, on_deferred, prepare);
    if (r < 0) {
        hf_prepare_abort(prepare);
        return r;
    }
    *ret = prepare;
    return 0;
}
