#include "run/command.h"

#include <string.h>

#include "base/memory.h"
#include "format/quantity.h"
#include "run/environment.h"
#include "run/output.h"

#define OUTPUT_MAX (64U * 1024)

int hf_command_start(sd_event *loop, HfReaper *reaper, const char *command, const char *directory,
                     const char *const *more, uint64_t timeout, HfCaptureCallback callback,
                     void *userdata, HfCapture **ret)
{
    const char *const words[] = {"/bin/sh", "-c", command};
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_STRV char **environment = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof(words) / sizeof(*words); i++)
        r = hf_strv_append(&argv, words[i]);
    if (r >= 0)
        r = hf_environment_make(NULL, more, &environment);
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
    return hf_capture_start(loop, reaper, &spawn, OUTPUT_MAX, timeout, callback, userdata, ret);
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
