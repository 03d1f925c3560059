#include "run/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/memfile.h"
#include "kernel/process.h"
#include "run/capture.h"
#include "run/environment.h"
#include "run/loop.h"
#include "run/service_credentials.h"

struct HfPrepare {
    HfPrepareQuestion question;
    HfPlan *plan;
    HfDiscovery discovery;
    char *base; /* what relative paths are relative to */
    HfCapture *capture;
    void *trial; /* under way */
    sd_event_source *deferred;
    HfPrepareCallback callback;
    void *userdata;
};

HfPrepare *hf_prepare_abort(HfPrepare *prepare)
{
    if (!prepare)
        return NULL;
    sd_event_source_disable_unref(prepare->deferred);
    hf_capture_abort(prepare->capture);
    if (prepare->trial)
        prepare->question.trial->abort(prepare->trial);
    free(prepare->base);
    hf_plan_unref(prepare->plan);
    free(prepare);
    return NULL;
}

static void finish(HfPrepare *prepare, int r, const char *error)
{
    HfPrepareCallback callback = prepare->callback;
    void *userdata = prepare->userdata;
    HfPlan *plan = r >= 0 ? HF_STEAL(prepare->plan) : NULL;

    hf_prepare_abort(prepare);
    callback(r, plan, error, userdata);
}

static void on_tried(int r, const char *error, void *userdata)
{
    HfPrepare *prepare = userdata;

    prepare->trial = NULL;
    finish(prepare, r, error);
}

/* The plan stands; what is left is the user's own opinion. */
static void go_on(HfPrepare *prepare)
{
    const HfPrepareQuestion *question = &prepare->question;
    HF_CLEANUP_TEXT HfText error = {0};

    int r = !question->trial ? 1
                             : question->trial->start(question, prepare->plan, on_tried, prepare,
                                                      &prepare->trial, &error);
    if (r != 0)
        finish(prepare, r, hf_text_peek(&error));
}

static void discover(HfPrepare *prepare, const HfAnswer *answer);

static void on_answer(const HfCaptured *captured, void *userdata)
{
    HfPrepare *prepare = userdata;
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
    discover(prepare, &answer);
}

static int put_question(HfPrepare *prepare, const HfQuestion *question)
{
    const HfPlan *plan = prepare->plan;
    HF_CLEANUP_STRV char **environment = NULL;
    HfSpawnStage stage;

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
        .credentials = &plan->credentials,
    };
    return hf_capture_start(prepare->question.loop, prepare->question.reaper, &spawn,
                            question->most, prepare->question.settings->ready_timeout, on_answer,
                            prepare, &prepare->capture, &stage);
}

/* Goes on as the adapter says, until it waits for an answer or has ended. */
static void discover(HfPrepare *prepare, const HfAnswer *answer)
{
    HfPlan *plan = prepare->plan;
    HF_CLEANUP_TEXT HfText error = {0};
    int r;

    do {
        HF_CLEANUP_QUESTION HfQuestion question = {0};
        r = plan->adapter->discover(&prepare->discovery, answer, &question, &error);
        answer = NULL;
        if (prepare->discovery.note)
            hf_log(LOG_NOTICE, NULL, "%s", prepare->discovery.note);
        prepare->discovery.note = NULL;
        if (r == HF_STEP_BIND && prepare->question.bind) {
            int bound = prepare->question.bind(plan, &error, prepare->question.binder);
            r = bound < 0 ? bound : r;
        } else if (r == HF_STEP_ASK) {
            int asked = put_question(prepare, &question);
            r = asked < 0 ? asked : r;
        }
    } while (r == HF_STEP_BIND);
    if (r < 0 && error.length == 0)
        hf_text_addf(&error, "the start cannot be prepared: %s", strerror(-r));
    if (r < 0)
        finish(prepare, r, hf_text_peek(&error));
    else if (r == HF_STEP_DONE)
        go_on(prepare);
}

static int find_program(const HfSettings *settings, char **ret, HfText *error)
{
    const char *command = settings->command[0];

    int r = hf_process_find(command, getenv("PATH"), settings->directory, ret);
    if (r == -ENOENT && strchr(command, '/'))
        hf_text_addf(error, "there is no program %s; check the path", command);
    else if (r == -ENOENT)
        hf_text_addf(error, "the program %s was not found in PATH; install it, or give its path",
                     command);
    else if (r == -EACCES)
        hf_text_addf(error, "%s is not executable; check its mode and its directories'", command);
    else if (r < 0)
        hf_text_addf(error, "%s cannot be run: %s", command, strerror(-r));
    return r;
}

static int stop_signal_of(const HfSettings *settings)
{
    static const int numbers[] = {
        [HF_STOP_SIGNAL_TERM] = SIGTERM, [HF_STOP_SIGNAL_QUIT] = SIGQUIT,
        [HF_STOP_SIGNAL_INT] = SIGINT,   [HF_STOP_SIGNAL_HUP] = SIGHUP,
        [HF_STOP_SIGNAL_USR1] = SIGUSR1, [HF_STOP_SIGNAL_USR2] = SIGUSR2,
    };
    _Static_assert(sizeof(numbers) / sizeof(*numbers) == HF_STOP_SIGNAL_MAX_, "each signal");

    if (settings->stop_signal != HF_STOP_SIGNAL_AUTO)
        return numbers[settings->stop_signal];
    return hf_adapter_of(settings)->stop_signal;
}

static int make_environment(HfPlan *plan, const HfSettings *settings)
{
    int r = hf_strv_copy(plan->credentials.environment, &plan->environment);

    for (char *const *entry = settings->environment; r >= 0 && entry && *entry; entry++)
        r = hf_strv_set(&plan->environment, *entry);
    return r;
}

static int plan_start(HfPrepare *prepare, HfText *error)
{
    const HfSettings *settings = prepare->question.settings;

    int r = hf_plan_new(&prepare->plan);
    if (r < 0)
        return r;
    HfPlan *plan = prepare->plan;
    plan->adapter = hf_adapter_of(settings);
    plan->handoff = hf_handoff_of(settings);
    plan->drain_timeout = settings->drain_timeout;
    plan->readiness = settings->readiness;
    plan->ready_delay = settings->ready_delay;
    plan->stop_signal = stop_signal_of(settings);
    plan->kill_mode = settings->kill_mode;
    plan->reopen_signal = plan->adapter->reopen_signal;
    r = find_program(settings, &plan->program, error);
    if (r < 0)
        return r;
    if (plan->readiness == HF_READINESS_LOG)
        r = hf_string_set(&plan->ready_text, settings->ready_text);
    if (r >= 0)
        r = hf_service_credentials_find(settings, &plan->credentials, error);
    if (r >= 0)
        r = make_environment(plan, settings);
    if (r >= 0)
        r = hf_string_set(&plan->directory, settings->directory);
    if (r < 0)
        return r;
    prepare->base = settings->directory ? strdup(settings->directory) : get_current_dir_name();
    if (!prepare->base) /* deleted, perhaps: only what is relative to it cannot be found */
        prepare->base = strdup("/proc/self/cwd");
    if (!prepare->base)
        return -ENOMEM;
    prepare->discovery = (HfDiscovery){
        .settings = settings,
        .base = prepare->base,
        .aliases = prepare->question.aliases,
        .plan = plan,
    };
    return 0;
}

static int on_deferred(sd_event_source *source, void *userdata)
{
    HfPrepare *prepare = userdata;
    HF_CLEANUP_TEXT HfText error = {0};

    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    int r = plan_start(prepare, &error);
    if (r < 0 && error.length == 0)
        hf_text_addf(&error, "the start cannot be prepared: %s", strerror(-r));
    if (r < 0)
        finish(prepare, r, hf_text_peek(&error));
    else
        discover(prepare, NULL);
    return 0;
}

int hf_prepare_start(const HfPrepareQuestion *question, HfPrepareCallback callback, void *userdata,
                     HfPrepare **ret)
{
    HfPrepare *prepare = calloc(1, sizeof(*prepare));
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

int hf_prepare_now(const HfSettings *settings, const char *aliases, const HfTrialStep *trial,
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
