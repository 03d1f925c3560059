/* SPDX-License-Identifier: MIT */
#include "run/pid_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/file.h"
#include "kernel/process.h"

#define PID_BYTES 32

static bool names_us(const char *path)
{
    HF_CLEANUP_FREE char *text = NULL;
    HF_CLEANUP_TEXT HfText own = {0};
    size_t length;

    if (hf_file_read(path, PID_BYTES, &text, &length) < 0)
        return false;
    hf_text_addf(&own, "%d\n", (int)getpid());
    return strcmp(text, hf_text_peek(&own)) == 0;
}

void hf_pid_file_remove(HfSupervisor *supervisor)
{
    if (supervisor->pid_file && names_us(supervisor->pid_file))
        unlink(supervisor->pid_file);
    free(supervisor->pid_file);
    supervisor->pid_file = NULL;
}

/* A pid file names one process: a stop or reload by way of it reaches only one of them. */
static void warn_of_twin(const char *path)
{
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;
    uint64_t pid;

    if (hf_file_read(path, PID_BYTES, &text, &length) < 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    if (hf_parse_uint(text, INT32_MAX, &pid) < 0 || (pid_t)pid == getpid() ||
        !hf_process_runs_ours((pid_t)pid))
        return;
    hf_log(
        LOG_WARNING, NULL,
        "the pid file %s is also that of another holdfast that runs (pid %d): it holds the pid of "
        "this one from now on; give each instance one of its own (pid =)",
        path, (int)pid);
}

void hf_pid_file_write(HfSupervisor *supervisor, const HfPlan *plan)
{
    const char *path = plan->pid_file;
    HF_CLEANUP_TEXT HfText text = {0};

    if (supervisor->pid_file && (!path || strcmp(path, supervisor->pid_file) != 0))
        hf_pid_file_remove(supervisor);
    if (!path || (supervisor->pid_file && names_us(path)))
        return;
    warn_of_twin(path);
    hf_text_addf(&text, "%d\n", (int)getpid());
    int r = hf_file_write(path, hf_text_peek(&text), text.length, 0644);
    if (r >= 0)
        r = hf_string_set(&supervisor->pid_file, path);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "the pid file %s cannot be written, going on without it",
               path);
    }
}
