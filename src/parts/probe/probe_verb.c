#include "parts/probe/probe_verb.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "parts/probe/fastcgi_request.h"
#include "run/resolved_listener.h"

typedef struct Answered {
    sd_event *loop;
    int result;
    HfText *why;
} Answered;

static void on_answer(int r, const HfFastcgiAnswer *answer, const char *error, void *userdata)
{
    Answered *answered = userdata;

    answered->result = r;
    hf_text_add(answered->why, error);
    if (answer)
        answered->result = hf_fastcgi_request_judge(answer, answered->why);
    sd_event_exit(answered->loop, 0);
}

static int ask_one(const HfProbing *probing, const HfResolvedListener *target, int i, HfText *why)
{
    Answered answered = {.why = why};
    const HfFastcgiRequest request = {.uri = probing->fastcgi, .document_root = probing->root};
    HfFastcgiRequestRun *ask;

    int r = sd_event_new(&answered.loop);
    if (r < 0)
        return r;
    r = hf_fastcgi_request_start(answered.loop, (const struct sockaddr *)&target->addresses[i],
                                 target->lengths[i], probing->fastcgi ? &request : NULL,
                                 probing->timeout, on_answer, &answered, &ask);
    if (r >= 0)
        r = sd_event_loop(answered.loop);
    sd_event_unref(answered.loop);
    return r < 0 ? r : answered.result;
}

static bool try_next(int r)
{
    return r == -ECONNREFUSED || r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT || r == -ENETUNREACH ||
           r == -EHOSTUNREACH;
}

/* Returns 0, or negative errno with one line in why. */
static int ask_each(const HfProbing *probing, HfText *why)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    HfListenerSpec spec;
    HF_CLEANUP_TEXT HfText reason = {0};

    hf_listener_spec_init(&spec);
    spec.address = probing->address;
    int r = hf_resolved_listener_find(&spec, &target, why);
    if (r < 0)
        return r;
    for (int i = 0; i < target.n; i++) {
        hf_text_clear(&reason);
        r = ask_one(probing, &target, i, &reason);
        if (r >= 0)
            return 0;
        if (!try_next(r))
            break;
    }
    hf_text_addf(why, "%s is not well: %s", target.label,
                 reason.length > 0 ? hf_text_peek(&reason) : strerror(-r));
    return r;
}

int hf_probe(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText why = {0};

    if (ask_each(&line->probing, &why) >= 0)
        return HF_EXIT_DONE;
    hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&why));
    return HF_EXIT_FAILED;
}
