#include "daemon/preflight.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/human.h"
#include "daemon/environment.h"

#define OUTPUT_MAX (64U * 1024)
#define SHOWN_MAX  2048 /* bytes of the end of its output that people are shown */

struct HfPreflight {
    HfCapture *capture;
    uint64_t timeout;
    HfPreflightCallback callback;
    void *userdata;
};

HfPreflight *hf_preflight_abort(HfPreflight *preflight)
{
    if (!preflight)
        return NULL;
    hf_capture_abort(preflight->capture);
    free(preflight);
    return NULL;
}

static void explain(const HfPreflight *preflight, const HfCaptured *captured, HfText *error)
{
    if (captured->timed_out) {
        hf_text_add(error, "the preflight did not finish in ");
        hf_text_add_time(error, preflight->timeout);
    } else if (captured->status.si_code == CLD_EXITED) {
        hf_text_addf(error, "the preflight exited with status %d", captured->status.si_status);
    } else {
        hf_text_addf(error, "the preflight was killed by signal %d", captured->status.si_status);
    }
    size_t skip = captured->length > SHOWN_MAX ? captured->length - SHOWN_MAX : 0;
    if (captured->length > 0)
        hf_text_addf(error, ":\n%s", captured->output + skip);
}

static void on_captured(const HfCaptured *captured, void *userdata)
{
    HfPreflight *preflight = userdata;
    HF_CLEANUP_TEXT HfText error = {0};
    HfPreflightCallback callback = preflight->callback;
    void *callback_data = preflight->userdata;
    bool passed = !captured->timed_out && captured->status.si_code == CLD_EXITED &&
                  captured->status.si_status == 0;

    preflight->capture = NULL;
    if (!passed)
        explain(preflight, captured, &error);
    hf_preflight_abort(preflight);
    callback(passed ? 0 : -EBADMSG, hf_text_peek(&error), callback_data);
}

int hf_preflight_start(sd_event *loop, HfReaper *reaper, const char *command, const HfPlan *plan,
                       uint64_t timeout, HfPreflightCallback callback, void *userdata,
                       HfPreflight **ret)
{
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_STRV char **environment = NULL;
    HfSpawnStage stage;

    int r = hf_strv_append(&argv, "/bin/sh");
    if (r >= 0)
        r = hf_strv_append(&argv, "-c");
    if (r >= 0)
        r = hf_strv_append(&argv, command);
    if (r >= 0)
        r = hf_environment_make(NULL, NULL, &environment);
    if (r < 0)
        return r;
    HfPreflight *preflight = calloc(1, sizeof(*preflight));
    if (!preflight)
        return -ENOMEM;
    *preflight = (HfPreflight){.timeout = timeout, .callback = callback, .userdata = userdata};
    const HfSpawn spawn = {
        .program = argv[0],
        .argv = argv,
        .envp = environment,
        .directory = plan->directory,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .session = true,
    };
    r = hf_capture_start(loop, reaper, &spawn, OUTPUT_MAX, timeout, on_captured, preflight,
                         &preflight->capture, &stage);
    if (r < 0) {
        hf_preflight_abort(preflight);
        return r;
    }
    *ret = preflight;
    return 0;
}
