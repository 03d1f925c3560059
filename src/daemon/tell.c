#include "daemon/tell.h"

#include <systemd/sd-daemon.h>

void hf_tell(HfSupervisor *supervisor, const HfAction *action)
{
    if (action->report == HF_REPORT_STOPPING)
        sd_notify(0, "STOPPING=1");
    if (action->report != HF_REPORT_READY)
        return;
    sd_notifyf(0, "%sSTATUS=generation %llu active", supervisor->announced ? "" : "READY=1\n",
               (unsigned long long)action->number);
    supervisor->announced = true;
}
