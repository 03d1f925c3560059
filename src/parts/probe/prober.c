/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/socket.h"
#include "loop/reaper.h"
#include "loop/resolved_listener.h"
#include "parts.h"
#include "parts/probe/figures.h"
#include "parts/probe/request.h"
#include "run/inputs.h"
#include "run/supervisor.h"

/* ---- holdfast probe ---- */

typedef struct Asked {
    sd_event *loop;
    int result;
    HfText *why;
} Asked;

static void on_reply_once(const HfReply *reply, void *userdata)
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
                         resolved->lengths[i], on_reply_once, &asked, &request);
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

/* Returns the exit status; the reason why the address is unhealthy has been logged. If a host has
 * several addresses, or only a port is given, it tries the next one when nobody can be reached. */
static int probe_once(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText why = {0};

    if (ask_each(line, &why) >= 0)
        return HF_EXIT_DONE;
    hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&why));
    return HF_EXIT_FAILED;
}

/* ---- the prober ---- */

#define AT_ONCE_MAX 64      /* listeners asked at the same time */
#define HUNG_MAX    1000000 /* probes */
#define DOUBLINGS   6       /* up to 64 times as many failures */

typedef struct Prober Prober;

/* What the last probes found out about a pool. */
typedef struct Reading {
    bool known;
    uint64_t accepted; /* requests, while all workers were busy */
} Reading;

/* One listener, or the one command: does it answer, and if not, is it only busy? */
typedef struct Inquiry {
    Prober *prober;
    HfRequest *request; /* NULL: not begun, or over */
    size_t listener;    /* of the plan */
    Reading *reading;   /* of its pool; NULL: it has no status page */
    HfText text;        /* what is wrong, as far as known */
} Inquiry;

struct Prober {
    HfSupervisor *supervisor;

    const HfGeneration *generation; /* being probed, borrowed; NULL: none */
    HfProbe probe;                  /* the question, owned, as are the headers */
    char **headers;
    uint64_t timeout; /* usec */
    Inquiry *inquiries;
    size_t n_inquiries;
    size_t next; /* the next to begin */
    size_t running;
    HfVerdict verdict; /* the worst so far */
    HfText text;       /* about the verdict */

    uint64_t number; /* of the generation that the readings are about */
    Reading *readings;
};

static void prober_stop(Prober *prober)
{
    for (size_t i = 0; i < prober->n_inquiries; i++) {
        hf_request_abort(prober->inquiries[i].request);
        hf_text_clear(&prober->inquiries[i].text);
    }
    free(prober->inquiries);
    prober->inquiries = NULL;
    prober->n_inquiries = prober->next = prober->running = 0;
    prober->generation = NULL;
}

static void prober_end(Prober *prober)
{
    HfSupervisor *supervisor = prober->supervisor;
    unsigned slot = prober->generation->slot;

    prober_stop(prober);
    if (hf_string_set(&supervisor->unhealthy, hf_text_peek(&prober->text)) < 0)
        hf_string_set(&supervisor->unhealthy, NULL);
    hf_supervisor_post(supervisor,
                       &(HfEvent){.type = HF_EVENT_PROBED,
                                  .slot = slot,
                                  .number = supervisor->machine.generations[slot].number,
                                  .verdict = prober->verdict});
}

/* Running short ourselves is not the service's fault. */
static void excuse(const Prober *prober, int r)
{
    const HfLogFields fields = {.generation = prober->generation->number, .error = r};

    hf_log(LOG_WARNING, &fields, "generation %llu cannot be probed",
           (unsigned long long)prober->generation->number);
}

static void begin_inquiries(Prober *prober);

static void end_inquiry(Inquiry *inquiry, HfVerdict verdict)
{
    Prober *prober = inquiry->prober;
    const HfPlan *plan = prober->generation->plan;

    if (inquiry->reading && verdict != HF_VERDICT_SATURATED && verdict != HF_VERDICT_HUNG)
        *inquiry->reading = (Reading){0};
    prober->running--;
    if (verdict > prober->verdict) {
        prober->verdict = verdict;
        hf_text_clear(&prober->text);
        if (prober->n_inquiries > 1)
            hf_text_addf(&prober->text, "%s: ", plan->listeners[inquiry->listener]->label);
        hf_text_add(&prober->text, hf_text_peek(&inquiry->text));
    }
    begin_inquiries(prober);
    if (prober->running == 0)
        prober_end(prober);
}

/* ---- the status page ---- */

/* Nobody answered in time, but the status page shows active workers. */
static HfVerdict compare_reading(Inquiry *inquiry, const HfScoreboard *status)
{
    const Reading last = *inquiry->reading;

    if (status->active == 0) {
        hf_text_add(&inquiry->text, ", though no worker is busy");
        return HF_VERDICT_FAILED;
    }
    *inquiry->reading = (Reading){.known = true, .accepted = status->accepted};
    hf_text_addf(&inquiry->text, ", %llu of %llu workers busy", (unsigned long long)status->active,
                 (unsigned long long)status->active + status->idle);
    return last.known && last.accepted == status->accepted ? HF_VERDICT_HUNG : HF_VERDICT_SATURATED;
}

static void on_scoreboard(const HfReply *reply, void *userdata)
{
    Inquiry *inquiry = userdata;
    const HfAdapter *adapter = inquiry->prober->generation->plan->adapter;
    HfScoreboard status;

    inquiry->request = NULL;
    if (reply->result >= 0 && adapter->scoreboard(reply->body, reply->length, &status) >= 0) {
        end_inquiry(inquiry, compare_reading(inquiry, &status));
        return;
    }
    hf_text_addf(&inquiry->text, "; its status page: %s",
                 reply->result < 0 ? reply->error : "it cannot be parsed");
    end_inquiry(inquiry, HF_VERDICT_FAILED);
}

/* Returns whether the question was sent. */
static bool ask_scoreboard(Inquiry *inquiry)
{
    Prober *prober = inquiry->prober;
    const HfPlan *plan = prober->generation->plan;
    size_t pool = (size_t)plan->wanted[inquiry->listener].pool;
    HfReach reach;

    if (!inquiry->reading || hf_figures_find_page(plan, prober->generation->statuses, pool,
                                                  prober->generation->side, &reach) < 0)
        return false;
    const HfRequestSpec question = {
        .kind = HF_PROBE_FASTCGI,
        .what = plan->pools[pool].status_path,
        .reach = &reach,
        .timeout = prober->timeout,
    };
    return hf_request_start(prober->supervisor->loop, &question,
                            (const struct sockaddr *)&reach.address, reach.length, on_scoreboard,
                            inquiry, &inquiry->request) >= 0;
}

/* ---- the service itself ---- */

static void on_reply(const HfReply *reply, void *userdata)
{
    Inquiry *inquiry = userdata;
    const HfProbe *probe = &inquiry->prober->probe;
    bool busy = probe->kind == HF_PROBE_FASTCGI &&
                (reply->result == -ETIMEDOUT || reply->result == -EAGAIN);

    inquiry->request = NULL;
    if (reply->result >= 0) {
        end_inquiry(inquiry, HF_VERDICT_HEALTHY);
        return;
    }
    if (probe->kind == HF_PROBE_FASTCGI || probe->kind == HF_PROBE_HTTP)
        hf_text_addf(&inquiry->text, "%s: ", probe->what);
    hf_text_add(&inquiry->text, reply->error);
    if (!busy || !ask_scoreboard(inquiry))
        end_inquiry(inquiry, HF_VERDICT_FAILED);
}

static int ask_listener(Inquiry *inquiry)
{
    Prober *prober = inquiry->prober;
    const HfListener *listener = prober->generation->plan->listeners[inquiry->listener];
    unsigned side = prober->generation->side;
    HfReach reach;

    const HfProbe probe = hf_plan_probe(prober->generation->plan, inquiry->listener,
                                        &listener->bound, &prober->probe);
    int r = hf_listener_reach(listener, side, &reach);
    const HfRequestSpec question = {
        .kind = probe.kind,
        .what = probe.what,
        .root = prober->supervisor->settings->document_root,
        .headers = (const char *const *)prober->headers,
        .reach = &reach,
        .listener = hf_listener_fd(listener, side),
        .timeout = prober->timeout,
    };
    return r < 0 ? r
                 : hf_request_start(prober->supervisor->loop, &question,
                                    (const struct sockaddr *)&reach.address, reach.length, on_reply,
                                    inquiry, &inquiry->request);
}

static int run_command(Inquiry *inquiry)
{
    Prober *prober = inquiry->prober;
    const HfGeneration *generation = prober->generation;
    HF_CLEANUP_TEXT HfText name = {0};
    HF_CLEANUP_TEXT HfText number = {0};
    HF_CLEANUP_TEXT HfText pid = {0};

    hf_text_addf(&name, "HOLDFAST_NAME=%s", prober->supervisor->name);
    hf_text_addf(&number, "HOLDFAST_GENERATION=%llu", (unsigned long long)generation->number);
    hf_text_addf(&pid, "HOLDFAST_MAINPID=%d", (int)generation->main.pid);
    const char *const more[] = {hf_text_peek(&name), hf_text_peek(&number), hf_text_peek(&pid),
                                NULL};
    const HfRequestSpec question = {
        .kind = HF_PROBE_EXEC,
        .what = prober->probe.what,
        .reaper = prober->supervisor->reaper,
        .directory = generation->plan->directory,
        .environment = more,
        .timeout = prober->timeout,
    };
    return hf_request_start(prober->supervisor->loop, &question, NULL, 0, on_reply, inquiry,
                            &inquiry->request);
}

static void begin_inquiries(Prober *prober)
{
    while (prober->next < prober->n_inquiries && prober->running < AT_ONCE_MAX) {
        Inquiry *inquiry = &prober->inquiries[prober->next++];
        int r = prober->probe.kind == HF_PROBE_EXEC ? run_command(inquiry) : ask_listener(inquiry);
        if (r < 0)
            excuse(prober, r);
        else
            prober->running++;
    }
}

/* Readings outlive a probe, but not their generation. */
static int make_readings(Prober *prober)
{
    const HfPlan *plan = prober->generation->plan;

    if (prober->number == prober->generation->number)
        return 0;
    free(prober->readings);
    prober->readings = calloc(plan->n_pools + 1, sizeof(*prober->readings));
    if (!prober->readings)
        return -ENOMEM;
    prober->number = prober->generation->number;
    return 0;
}

/* One for each listener that serves requests. */
static int make_inquiries(Prober *prober)
{
    const HfPlan *plan = prober->generation->plan;

    prober->inquiries = calloc(plan->n_listeners + 1, sizeof(*prober->inquiries));
    if (!prober->inquiries)
        return -ENOMEM;
    if (prober->probe.kind == HF_PROBE_NONE)
        return 0;
    if (prober->probe.kind == HF_PROBE_EXEC)
        prober->inquiries[prober->n_inquiries++] = (Inquiry){.prober = prober};
    for (size_t i = 0; prober->probe.kind != HF_PROBE_EXEC && i < plan->n_listeners; i++)
        if (!plan->wanted[i].status && plan->wanted[i].spec.address.type == 0)
            prober->inquiries[prober->n_inquiries++] = (Inquiry){
                .prober = prober,
                .listener = i,
                .reading = hf_plan_is_probed(plan) ? &prober->readings[plan->wanted[i].pool] : NULL,
            };
    return 0;
}

/* Has WATCHDOG=1 come in time? Only for a generation that was started with a watchdog. */
static void look_at_watchdog(Prober *prober)
{
    const HfGeneration *generation = prober->generation;
    uint64_t limit = generation->plan->watchdog;

    hf_inputs_last_words(prober->supervisor->inputs); /* a message that waits for us counts */
    uint64_t silence = hf_clock_monotonic() - generation->alive;
    if (limit == HF_USEC_INFINITY || silence <= limit)
        return;
    prober->verdict = HF_VERDICT_FAILED;
    if (generation->alive == 0) {
        hf_text_add(&prober->text, "it has said WATCHDOG=trigger");
        return;
    }
    hf_text_add(&prober->text, "it has not said WATCHDOG=1 for ");
    hf_text_add_time(&prober->text, silence);
    hf_text_add(&prober->text, " (--watchdog)");
}

/* Replaces a probe in progress. Ends in one PROBED, perhaps at once, unless it is cancelled first;
 * the generation must not go before that. */
static void begin_probe(Prober *prober, const HfGeneration *generation)
{
    const HfSettings *settings = prober->supervisor->settings;

    prober_stop(prober);
    prober->generation = generation;
    prober->timeout = settings->probe_timeout;
    prober->probe.kind = settings->probe.kind;
    prober->headers = hf_strv_free(prober->headers);
    prober->verdict = HF_VERDICT_HEALTHY;
    hf_text_clear(&prober->text);
    look_at_watchdog(prober);
    int r = hf_string_set(&prober->probe.what, settings->probe.what);
    if (r >= 0)
        r = hf_strv_copy(settings->http_headers, &prober->headers);
    if (r >= 0)
        r = make_readings(prober);
    if (r >= 0)
        r = make_inquiries(prober);
    if (r < 0)
        excuse(prober, r);
    else
        begin_inquiries(prober);
    if (prober->running == 0)
        prober_end(prober);
}

static void prober_performed(void *state, const HfAction *action)
{
    Prober *prober = state;
    bool leaves = action->type == HF_ACTION_SIGNAL || action->type == HF_ACTION_FORGET;

    if (action->type == HF_ACTION_PROBE)
        begin_probe(prober, prober->supervisor->generations[action->slot]);
    else if (leaves && prober->generation && prober->generation->slot == action->slot)
        prober_stop(prober);
}

static void prober_detach(void *state)
{
    prober_stop(state);
}

static void prober_clear(void *state)
{
    Prober *prober = state;

    prober_stop(prober);
    hf_text_clear(&prober->text);
    free(prober->probe.what);
    hf_strv_free(prober->headers);
    free(prober->readings);
}

/* How many probes in a row make up --probe-hung-after; 0: no number does. */
static unsigned count_hung_probes(const HfSettings *settings)
{
    uint64_t each = settings->probe_every + settings->probe_timeout;

    if (settings->probe_hung_after == HF_USEC_INFINITY)
        return 0;
    uint64_t n = settings->probe_hung_after / each + (settings->probe_hung_after % each > 0);
    return (unsigned)(n < HUNG_MAX ? n : HUNG_MAX);
}

static void prober_limit(const HfSettings *settings, HfMachineLimits *limits)
{
    bool probes = settings->probe.kind != HF_PROBE_NONE;
    bool watchdog = settings->watchdog != HF_USEC_INFINITY;

    limits->probe_every = probes ? settings->probe_every : watchdog ? settings->watchdog / 2 : 0;
    limits->probe_failures = probes ? (unsigned)settings->probe_failures : 1;
    limits->probe_hung = count_hung_probes(settings);
    limits->probe_doublings = DOUBLINGS;
}

static int probe_verb(const HfCommandLine *line, const HfPart *const *parts)
{
    (void)parts;
    return line->verb == HF_VERB_PROBE ? probe_once(line) : -1;
}

const HfPart hf_part_probe = {
    .name = "probe",
    .verb = probe_verb,
    .limit = prober_limit,
    .state_size = sizeof(Prober),
    .performed = prober_performed,
    .detach = prober_detach,
    .clear = prober_clear,
};
