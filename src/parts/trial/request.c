#include "parts/trial/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parts/probe/fastcgi_request.h"
#include "run/command.h"

struct HfRequest {
    sd_event *loop;
    HfReaper *reaper;
    HfRequestQuestion question;
    const HfAddress *const *addresses;
    size_t n;
    size_t next; /* the one that is being asked */
    HfFastcgiRequestRun *ask;
    HfCapture *command;
    HfRequestCallback callback;
    void *userdata;
};

HfRequest *hf_request_abort(HfRequest *trial)
{
    if (!trial)
        return NULL;
    hf_fastcgi_request_abort(trial->ask);
    hf_capture_abort(trial->command);
    free(trial);
    return NULL;
}

static void finish(HfRequest *trial, int r, const char *error)
{
    HfRequestCallback callback = trial->callback;
    void *userdata = trial->userdata;
    size_t asked = trial->next;

    hf_request_abort(trial);
    callback(r, asked, error, userdata);
}

static int ask_next(HfRequest *trial);

static void judged(HfRequest *trial, int r, const char *why)
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
    HfRequest *trial = userdata;
    HF_CLEANUP_TEXT HfText why = {0};

    trial->ask = NULL;
    if (r >= 0)
        r = hf_fastcgi_request_judge(answer, &why);
    judged(trial, r, why.length > 0 ? hf_text_peek(&why) : error);
}

static void on_command(const HfCaptured *captured, void *userdata)
{
    HfRequest *trial = userdata;
    HF_CLEANUP_TEXT HfText why = {0};

    trial->command = NULL;
    bool good = hf_command_succeeded(captured);
    if (!good)
        hf_command_explain("the command", captured, trial->question.timeout, &why);
    judged(trial, good ? 0 : -EREMOTEIO, hf_text_peek(&why));
}

static int ask_fastcgi(HfRequest *trial, const HfAddress *address)
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
    return hf_fastcgi_request_start(trial->loop, (const struct sockaddr *)&sockaddr, length,
                                    &request, trial->question.timeout, on_answer, trial,
                                    &trial->ask);
}

static int run_command(HfRequest *trial, const HfAddress *address)
{
    HF_CLEANUP_TEXT HfText entry = {0};

    hf_text_addf(&entry, "HOLDFAST_CANARY_ADDRESS=unix:%s", address->name);
    const char *const more[] = {hf_text_peek(&entry), NULL};
    return hf_command_start(trial->loop, trial->reaper, trial->question.probe->what,
                            trial->question.directory, more, trial->question.timeout, on_command,
                            trial, &trial->command);
}

static int ask_next(HfRequest *trial)
{
    const HfAddress *address = trial->addresses[trial->next];

    return trial->question.probe->kind == HF_PROBE_EXEC ? run_command(trial, address)
                                                        : ask_fastcgi(trial, address);
}

int hf_request_start(sd_event *loop, HfReaper *reaper, const HfRequestQuestion *question,
                     const HfAddress *const *addresses, size_t n, HfRequestCallback callback,
                     void *userdata, HfRequest **ret)
{
    assert(n > 0);
    HfRequest *trial = calloc(1, sizeof(*trial));
    if (!trial)
        return -ENOMEM;
    *trial = (HfRequest){
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
        hf_request_abort(trial);
        return r;
    }
    *ret = trial;
    return 0;
}
