#include "parts/probe/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/reach.h"
#include "parts/probe/fastcgi_request.h"
#include "parts/probe/tcp_request.h"
#include "run/scoreboard.h"

struct HfProber {
    HfProberQuestion question;
    HfFastcgiRequestRun *ask;
    HfTcpRequest *knock;
    HfText text; /* what is known to be wrong */
    HfProberCallback callback;
    void *userdata;
};

HfProber *hf_prober_abort(HfProber *checkup)
{
    if (!checkup)
        return NULL;
    hf_fastcgi_request_abort(checkup->ask);
    hf_tcp_request_abort(checkup->knock);
    hf_text_clear(&checkup->text);
    free(checkup);
    return NULL;
}

static void finish(HfProber *checkup, HfVerdict verdict)
{
    HfProberCallback callback = checkup->callback;
    void *userdata = checkup->userdata;
    HfReading *reading = checkup->question.reading;
    HF_CLEANUP_TEXT HfText text = checkup->text;

    checkup->text = (HfText){0};
    if (reading && verdict != HF_VERDICT_SATURATED && verdict != HF_VERDICT_HUNG)
        *reading = (HfReading){0};
    hf_prober_abort(checkup);
    callback(verdict, hf_text_peek(&text), userdata);
}

/* ---- the scoreboard ---- */

/* Nobody answered in time; the scoreboard says that some are at work. */
static HfVerdict compare(HfProber *checkup, const HfScoreboard *status)
{
    HfReading *reading = checkup->question.reading;
    HfReading last = *reading;

    if (status->active == 0) {
        hf_text_add(&checkup->text, ", though no worker is busy");
        return HF_VERDICT_FAILED;
    }
    *reading = (HfReading){.known = true, .accepted = status->accepted};
    hf_text_addf(&checkup->text, ", %llu of %llu workers busy", (unsigned long long)status->active,
                 (unsigned long long)status->active + status->idle);
    return last.known && last.accepted == status->accepted ? HF_VERDICT_HUNG : HF_VERDICT_SATURATED;
}

static void on_status(int r, const HfFastcgiAnswer *answer, const char *error, void *userdata)
{
    HfProber *checkup = userdata;
    HF_CLEANUP_TEXT HfText why = {0};
    HfScoreboard status;

    checkup->ask = NULL;
    if (r < 0)
        hf_text_add(&why, error);
    else
        r = hf_fastcgi_request_judge(answer, &why);
    if (r >= 0)
        r = checkup->question.generation->plan->adapter->scoreboard(answer->body,
                                                                    answer->body_length, &status);
    if (r >= 0) {
        finish(checkup, compare(checkup, &status));
        return;
    }
    hf_text_addf(&checkup->text, "; its status page: %s",
                 why.length > 0 ? hf_text_peek(&why) : "it is not understood");
    finish(checkup, HF_VERDICT_FAILED);
}

/* Returns whether it was asked. */
static bool ask_status(HfProber *checkup)
{
    const HfProberQuestion *question = &checkup->question;
    const HfPlan *plan = question->generation->plan;
    size_t pool = plan->wanted[question->listener].pool;
    struct sockaddr_storage address;
    socklen_t length;

    if (!question->reading || hf_scoreboard_find(question->generation, pool, &address, &length) < 0)
        return false;
    const HfFastcgiRequest request = {.uri = plan->pools[pool].status_path};
    return hf_fastcgi_request_start(question->loop, (const struct sockaddr *)&address, length,
                                    &request, question->timeout, on_status, checkup,
                                    &checkup->ask) >= 0;
}

/* ---- the listener itself ---- */

static void on_answer(int r, const HfFastcgiAnswer *answer, const char *error, void *userdata)
{
    HfProber *checkup = userdata;
    bool busy = r == -ETIMEDOUT || r == -EAGAIN;

    checkup->ask = NULL;
    hf_text_addf(&checkup->text, "%s: ", checkup->question.page);
    if (r < 0) {
        hf_text_add(&checkup->text, error);
        if (!busy || !ask_status(checkup))
            finish(checkup, HF_VERDICT_FAILED);
        return;
    }
    r = hf_fastcgi_request_judge(answer, &checkup->text);
    if (r >= 0)
        hf_text_clear(&checkup->text);
    finish(checkup, r < 0 ? HF_VERDICT_FAILED : HF_VERDICT_HEALTHY);
}

static void on_knock(const char *error, void *userdata)
{
    HfProber *checkup = userdata;

    checkup->knock = NULL;
    if (error)
        hf_text_add(&checkup->text, error);
    finish(checkup, error ? HF_VERDICT_FAILED : HF_VERDICT_HEALTHY);
}

static int ask_page(HfProber *checkup, int fd)
{
    const HfFastcgiRequest request = {.uri = checkup->question.page};
    struct sockaddr_storage address;
    socklen_t length;

    int r = hf_socket_reach(fd, &address, &length);
    if (r < 0)
        return r;
    return hf_fastcgi_request_start(checkup->question.loop, (const struct sockaddr *)&address,
                                    length, &request, checkup->question.timeout, on_answer, checkup,
                                    &checkup->ask);
}

int hf_prober_start(const HfProberQuestion *question, HfProberCallback callback, void *userdata,
                    HfProber **ret)
{
    int fd = question->generation->plan->listeners[question->listener]->fd;
    HfProber *checkup = calloc(1, sizeof(*checkup));

    if (!checkup)
        return -ENOMEM;
    *checkup = (HfProber){.question = *question, .callback = callback, .userdata = userdata};
    int r = question->page ? ask_page(checkup, fd)
                           : hf_tcp_request_start(question->loop, fd, question->timeout, on_knock,
                                                  checkup, &checkup->knock);
    if (r < 0) {
        hf_prober_abort(checkup);
        return r;
    }
    *ret = checkup;
    return 0;
}
