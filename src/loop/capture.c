/* SPDX-License-Identifier: MIT */
#include "loop/capture.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "loop/output.h"
#include "loop/reaper.h"

#define COMMAND_OUTPUT_MAX (64U * 1024)    /* bytes */
#define DEATH_TIME         HF_USEC_PER_SEC /* for a killed one to die */

struct HfCapture {
    HfReaper *reaper;
    HfProcess process;
    int outcome; /* descriptor with the outcome of its execution; -1: nothing is executed */
    HfOutput *output;
    sd_event_source *timer;
    bool timed_out;
    HfCaptureCallback callback;
    void *userdata;
};

static void capture_free(HfCapture *capture)
{
    sd_event_source_disable_unref(capture->timer);
    hf_output_free(capture->output);
    hf_process_clear(&capture->process);
    hf_fd_close(capture->outcome);
    free(capture);
}

/* Kills its whole group, such as a php-fpm that a script started. It has not been reaped, so the
 * group id cannot be reused. */
static void kill_child(const HfCapture *capture)
{
    kill(-capture->process.pid, SIGKILL);
}

static void capture_end(HfCapture *capture, const siginfo_t *info);

/* A child that hangs in a silent file system cannot be killed until that answers: it is left to the
 * reaper. */
static int on_capture_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfCapture *capture = userdata;

    (void)usec;
    if (capture->timed_out) {
        hf_reaper_forget(capture->reaper, capture->process.pid);
        capture_end(capture, &(siginfo_t){.si_code = CLD_KILLED, .si_status = SIGKILL});
        return 0;
    }
    capture->timed_out = true;
    kill_child(capture);
    sd_event_source_set_time_relative(source, DEATH_TIME);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Takes only what is in the pipe now: a grandchild may hold it open for ever. */
static void capture_end(HfCapture *capture, const siginfo_t *info)
{
    HfSpawnStage stage;

    HfOutput *output = HF_STEAL(capture->output);
    hf_output_read(output);
    HfCaptured captured = {
        .status = *info,
        .error = capture->outcome >= 0 ? hf_process_outcome(capture->outcome, &stage) : 0,
        .timed_out = capture->timed_out,
        .truncated = output->truncated || output->text.failed,
        .output = hf_text_peek(&output->text),
        .length = output->text.length,
    };
    HfCaptureCallback callback = capture->callback;
    void *callback_data = capture->userdata;
    capture_free(capture);
    callback(&captured, callback_data);
    hf_output_free(output);
}

static void on_exit_of_child(const siginfo_t *info, void *userdata)
{
    capture_end(userdata, info);
}

/* writing: the child's end. */
static int capture_new(sd_event *loop, HfReaper *reaper, size_t maximum, uint64_t timeout,
                       HfCaptureCallback callback, void *userdata, HfCapture **ret,
                       int *ret_writing)
{
    HfCapture *capture = hf_allocate(1, sizeof(*capture));

    if (!capture)
        return -ENOMEM;
    *capture = (HfCapture){
        .reaper = reaper,
        .process = HF_PROCESS_NONE,
        .outcome = -1,
        .callback = callback,
        .userdata = userdata,
    };
    int r = hf_output_open(loop, maximum, &capture->output, ret_writing);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &capture->timer, CLOCK_MONOTONIC, timeout, 0,
                                       on_capture_timeout, capture);
    if (r < 0) {
        capture_free(capture);
        return r;
    }
    *ret = capture;
    return 0;
}

/* r: result of starting the child; on failure frees capture. */
static int capture_watch(HfCapture *capture, int r, HfCapture **ret)
{
    if (r >= 0) {
        r = hf_reaper_watch(capture->reaper, capture->process.pid, on_exit_of_child, capture);
        if (r < 0)
            kill_child(capture);
    }
    if (r < 0) {
        capture_free(capture);
        return r;
    }
    *ret = capture;
    return 0;
}

int hf_capture_start(sd_event *loop, HfReaper *reaper, const HfSpawn *spawn, size_t maximum,
                     uint64_t timeout, HfCaptureCallback callback, void *userdata, HfCapture **ret)
{
    HF_CLEANUP_FD int writing = -1;
    HfSpawn piped = *spawn;
    HfCapture *capture;

    assert(spawn->session);
    int r = capture_new(loop, reaper, maximum, timeout, callback, userdata, &capture, &writing);
    if (r < 0)
        return r;
    piped.stdout_fd = writing;
    piped.stderr_fd = writing;
    return capture_watch(capture, hf_process_begin(&piped, &capture->process, &capture->outcome),
                         ret);
}

int hf_capture_call(sd_event *loop, HfReaper *reaper, void (*function)(int fd, void *userdata),
                    void *argument, size_t maximum, uint64_t timeout, HfCaptureCallback callback,
                    void *userdata, HfCapture **ret)
{
    HF_CLEANUP_FD int writing = -1;
    HfCapture *capture;

    int r = capture_new(loop, reaper, maximum, timeout, callback, userdata, &capture, &writing);
    return r < 0 ? r
                 : capture_watch(capture,
                                 hf_process_call(function, writing, argument, &capture->process),
                                 ret);
}

pid_t hf_capture_session(const HfCapture *capture)
{
    return capture->process.pid;
}

HfCapture *hf_capture_abort(HfCapture *capture)
{
    if (!capture)
        return NULL;
    kill_child(capture);
    hf_reaper_killed(capture->reaper, &capture->process);
    capture_free(capture);
    return NULL;
}

typedef struct Now {
    sd_event *event;
    int result;
    HfText *output;
} Now;

static void on_now(const HfCaptured *captured, void *userdata)
{
    Now *now = userdata;
    bool done = captured->status.si_code == CLD_EXITED && captured->status.si_status == 0;

    now->result = done ? 0 : -EREMOTEIO;
    hf_text_add_bytes(now->output, captured->output, captured->length);
    sd_event_exit(now->event, 0);
}

int hf_capture_now(const HfSpawn *spawn, size_t maximum, uint64_t timeout, HfText *output)
{
    HF_CLEANUP_LOOP HfLoop loop = {0};
    HfCapture *capture;

    int r = hf_loop_open(&loop);
    Now now = {.event = loop.event, .output = output};
    if (r >= 0)
        r = hf_capture_start(loop.event, loop.reaper, spawn, maximum, timeout, on_now, &now,
                             &capture);
    if (r >= 0)
        r = sd_event_loop(loop.event);
    return r < 0 ? r : now.result;
}

/* ---- a shell command ---- */

int hf_command_start(sd_event *loop, HfReaper *reaper, const char *command, const char *directory,
                     char *const *environment, uint64_t timeout, HfCaptureCallback callback,
                     void *userdata, HfCapture **ret)
{
    const char *const words[] = {"/bin/sh", "-c", command};
    HF_CLEANUP_STRV char **argv = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof(words) / sizeof(*words); i++)
        r = hf_strv_append(&argv, words[i]);
    if (r < 0)
        return r;
    const HfSpawn spawn = {
        .program = argv[0],
        .argv = argv,
        .envp = environment,
        .directory = directory,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .session = true,
    };
    return hf_capture_start(loop, reaper, &spawn, COMMAND_OUTPUT_MAX, timeout, callback, userdata,
                            ret);
}

bool hf_command_succeeded(const HfCaptured *captured)
{
    return !captured->timed_out && captured->status.si_code == CLD_EXITED &&
           captured->status.si_status == 0;
}

void hf_command_explain(const char *what, const HfCaptured *captured, uint64_t timeout,
                        HfText *text)
{
    if (captured->error < 0) {
        hf_text_addf(text, "%s cannot be run: %s", what, strerror(-captured->error));
        return;
    }
    if (captured->timed_out) {
        hf_text_addf(text, "%s did not finish in ", what);
        hf_text_add_time(text, timeout);
    } else if (captured->status.si_code == CLD_EXITED) {
        hf_text_addf(text, "%s exited with status %d", what, captured->status.si_status);
    } else {
        hf_text_addf(text, "%s was killed by signal %d", what, captured->status.si_status);
    }
    hf_output_show(captured->output, captured->length, text);
}
