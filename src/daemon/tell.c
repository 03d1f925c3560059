#include "daemon/tell.h"

#include <stdlib.h>

#include "base/log.h"
#include "sys/notifysocket.h"

/* A supervisor above that does not read its queue must not stop the one below. */
static int tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");

    return path && *path ? hf_notifysocket_send(path, text) : 0;
}

static int tell_ready(const HfSupervisor *supervisor, const HfAction *action)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "%sSTATUS=generation %llu active", supervisor->announced ? "" : "READY=1\n",
                 (unsigned long long)action->number);
    return tell(hf_text_peek(&text));
}

void hf_tell(HfSupervisor *supervisor, const HfAction *action)
{
    if (action->report == HF_REPORT_STOPPING)
        tell("STOPPING=1");
    if (action->report != HF_REPORT_READY)
        return;
    int r = tell_ready(supervisor, action);
    if (r >= 0) {
        supervisor->announced = true;
    } else if (!supervisor->announced) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "NOTIFY_SOCKET can not be told that the service is ready");
    }
}
