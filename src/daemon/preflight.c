#include "daemon/preflight.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/command.h"

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

static void on_captured(const HfCaptured *captured, void *userdata)
{
    HfPreflight *preflight = userdata;
    HF_CLEANUP_TEXT HfText error = {0};
    HfPreflightCallback callback = preflight->callback;
    void *callback_data = preflight->userdata;
    bool passed = hf_command_succeeded(captured);

    preflight->capture = NULL;
    if (!passed)
        hf_command_explain("the preflight", captured, preflight->timeout, &error);
    hf_preflight_abort(preflight);
    callback(passed ? 0 : -EBADMSG, hf_text_peek(&error), callback_data);
}

int hf_preflight_start(sd_event *loop, HfReaper *reaper, const char *command, const HfPlan *plan,
                       uint64_t timeout, HfPreflightCallback callback, void *userdata,
                       HfPreflight **ret)
{
    HfPreflight *preflight = calloc(1, sizeof(*preflight));
    if (!preflight)
        return -ENOMEM;
    *preflight = (HfPreflight){.timeout = timeout, .callback = callback, .userdata = userdata};
    int r = hf_command_start(loop, reaper, command, plan->directory, NULL, timeout, on_captured,
                             preflight, &preflight->capture);
    if (r < 0) {
        hf_preflight_abort(preflight);
        return r;
    }
    *ret = preflight;
    return 0;
}
