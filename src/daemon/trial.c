#include "daemon/trial.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ask.h"
#include "daemon/command.h"

struct HfTrial {
    sd_event *loop;
    HfReaper *reaper;
    HfTrialQuestion question;
    const HfAddress *const *addresses;
    size_t n;
    size_t next; /* the one that is being asked */
    HfAsk *ask;
    HfCapture *command;
    HfTrialCallback callback;
    void *userdata;
};

HfTrial *hf_trial_abort(HfTrial *trial)
{
    if (!trial)
        return NULL;
    hf_ask_abort(trial->ask);
    hf_capture_abort(trial->command);
    free(trial);
    return NULL;
}

static void finish(HfTrial *trial, int r, const char *error)
{
    HfTrialCallback callback = trial->callback;
    void *userdata = trial->userdata;
    size_t asked = trial->next;

    hf_trial_abort(trial);
    callback(r, asked, error, userdata);
}

static int ask_next(HfTrial *trial);

static void judged(HfTrial *trial, int r, const char *why)
{
    if (r >= 0 && ++trial->next < trial->n) {
        r = ask_next(trial);
        if (r >= 0)
            return;
        why = strerror(-r);
    }
    finish(trial, r, why);
}

static void on_answer(int r, const HfFastcgiAnswer *answer, const char *error, void *userdata)
{
    HfTrial *trial = userdata;
    HF_CLEANUP_TEXT HfText why = {0};

    trial->ask = NULL;
    if (r >= 0)
        r = hf_ask_judge(answer, &why);
    judged(trial, r, why.length > 0 ? hf_text_peek(&why) : error);
}

static void on_command(const HfCaptured *captured, void *userdata)
{
    HfTrial *trial = userdata;
    HF_CLEANUP_TEXT HfText why = {0};

    trial->command = NULL;
    bool good = hf_command_succeeded(captured);
    if (!good)
        hf_command_explain("the command", captured, trial->question.timeout, &why);
    judged(trial, good ? 0 : -EREMOTEIO, hf_text_peek(&why));
}

static int ask_fastcgi(HfTrial *trial, const HfAddress *address)
{
    const HfFastcgiRequest request = {
        .uri = trial->question.probe->what,
        .document_root = trial->question.root,
    };
    struct sockaddr_storage sockaddr;
    socklen_t length;

    int r = hf_address_to_sockaddr(address, &sockaddr, &length);
    if (r < 0)
        return r;
    return hf_ask_start(trial->loop, (const struct sockaddr *)&sockaddr, length, &request,
                        trial->question.timeout, on_answer, trial, &trial->ask);
}

static int run_command(HfTrial *trial, const HfAddress *address)
{
    HF_CLEANUP_TEXT HfText entry = {0};

    hf_text_addf(&entry, "HOLDFAST_CANARY_ADDRESS=unix:%s", address->name);
    const char *const more[] = {hf_text_peek(&entry), NULL};
    return hf_command_start(trial->loop, trial->reaper, trial->question.probe->what,
                            trial->question.directory, more, trial->question.timeout, on_command,
                            trial, &trial->command);
}

static int ask_next(HfTrial *trial)
{
    const HfAddress *address = trial->addresses[trial->next];

    return trial->question.probe->kind == HF_PROBE_EXEC ? run_command(trial, address)
                                                        : ask_fastcgi(trial, address);
}

int hf_trial_start(sd_event *loop, HfReaper *reaper, const HfTrialQuestion *question,
                   const HfAddress *const *addresses, size_t n, HfTrialCallback callback,
                   void *userdata, HfTrial **ret)
{
    assert(n > 0);
    HfTrial *trial = calloc(1, sizeof(*trial));
    if (!trial)
        return -ENOMEM;
    *trial = (HfTrial){
        .loop = loop,
        .reaper = reaper,
        .question = *question,
        .addresses = addresses,
        .n = n,
        .callback = callback,
        .userdata = userdata,
    };
    int r = ask_next(trial);
    if (r < 0) {
        hf_trial_abort(trial);
        return r;
    }
    *ret = trial;
    return 0;
}
