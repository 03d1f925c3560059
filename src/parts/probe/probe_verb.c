/* SPDX-License-Identifier: MIT */
#include "parts/probe/probe_verb.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "loop/reaper.h"
#include "loop/resolved_listener.h"
#include "parts/probe/request.h"

typedef struct Asked {
    sd_event *loop;
    int result;
    HfText *why;
} Asked;

static void on_reply(const HfReply *reply, void *userdata)
{
    Asked *asked = userdata;

    asked->result = reply->result;
    hf_text_add(asked->why, reply->error);
    sd_event_exit(asked->loop, 0);
}

static int ask_one(const HfCommandLine *line, const HfResolvedListener *resolved, int i,
                   HfText *why)
{
    HF_CLEANUP_LOOP HfLoop loop = {0};
    HfRequest *request;

    int r = hf_loop_open(&loop);
    if (r < 0)
        return r;
    Asked asked = {.loop = loop.event, .why = why};
    const HfRequestSpec question = {
        .kind = line->settings.probe.kind,
        .what = line->settings.probe.what,
        .root = line->probing.root,
        .headers = (const char *const *)line->settings.http_headers,
        .reaper = loop.reaper,
        .timeout = line->probing.timeout,
    };
    r = hf_request_start(loop.event, &question, (const struct sockaddr *)&resolved->addresses[i],
                         resolved->lengths[i], on_reply, &asked, &request);
    if (r >= 0)
        r = sd_event_loop(loop.event);
    return r < 0 ? r : asked.result;
}

static bool try_next(int r)
{
    return r == -ECONNREFUSED || r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT || r == -ENETUNREACH ||
           r == -EHOSTUNREACH;
}

/* Returns 0, or negative errno with one line in why. */
static int ask_each(const HfCommandLine *line, HfText *why)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    HfListenerSpec spec;
    HF_CLEANUP_TEXT HfText reason = {0};

    hf_listener_spec_init(&spec);
    spec.address = line->probing.address;
    int r = hf_resolved_listener_find(&spec, &resolved, why);
    if (r < 0)
        return r;
    for (int i = 0; i < resolved.n; i++) {
        hf_text_clear(&reason);
        r = ask_one(line, &resolved, i, &reason);
        if (r >= 0)
            return 0;
        if (!try_next(r))
            break;
    }
    hf_text_addf(why, "%s is unhealthy: %s", resolved.label,
                 reason.length > 0 ? hf_text_peek(&reason) : strerror(-r));
    return r;
}

int hf_probe(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText why = {0};

    if (ask_each(line, &why) >= 0)
        return HF_EXIT_DONE;
    hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&why));
    return HF_EXIT_FAILED;
}
