#include "run/loop.h"

#include <errno.h>
#include <signal.h>

static int mask_sigchld(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return sigprocmask(how, &set, NULL) < 0 ? -errno : 0;
}

int hf_loop_open(HfLoop *ret)
{
    HF_CLEANUP_LOOP HfLoop loop = {0};

    int r = mask_sigchld(SIG_BLOCK);
    if (r >= 0)
        r = sd_event_new(&loop.event);
    if (r >= 0)
        r = hf_reaper_new(loop.event, &loop.reaper);
    if (r < 0)
        return r;
    *ret = loop;
    loop = (HfLoop){0};
    return 0;
}

void hf_loop_close(HfLoop *loop)
{
    if (!loop->event)
        return;
    hf_reaper_free(loop->reaper);
    sd_event_unref(loop->event);
    *loop = (HfLoop){0};
    mask_sigchld(SIG_UNBLOCK);
}
