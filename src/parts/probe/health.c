#include "parts/probe/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "parts/probe/prober.h"
#include "run/command.h"

#define AT_ONCE_MAX 64      /* listeners that are asked at the same time */
#define HUNG_MAX    1000000 /* probes */

typedef struct Part {
    HfHealth *health;
    HfProber *checkup; /* NULL: not begun, or over */
    size_t listener;
} Part;

struct HfHealth {
    sd_event *loop;
    HfReaper *reaper;
    const char *name;
    HfHealthCallback callback;
    void *userdata;

    const HfGeneration *generation; /* under way, borrowed; NULL: none is */
    HfProbe probe;                  /* what is asked, owned */
    uint64_t timeout;               /* usec */
    Part *parts;                    /* one for each listener that serves */
    size_t n_parts;
    size_t next; /* that is to begin */
    size_t running;
    HfCapture *command;
    HfVerdict verdict; /* the worst so far */
    HfText text;       /* on that */

    uint64_t number; /* the generation that readings are of */
    HfReading *readings;
};

static void end(HfHealth *health)
{
    for (size_t i = 0; i < health->n_parts; i++)
        hf_prober_abort(health->parts[i].checkup);
    free(health->parts);
    health->parts = NULL;
    health->n_parts = health->next = health->running = 0;
    health->command = hf_capture_abort(health->command);
    health->generation = NULL;
}

static void finish(HfHealth *health)
{
    unsigned slot = health->generation->slot;

    end(health);
    health->callback(slot, health->verdict, hf_text_peek(&health->text), health->userdata);
}

/* An own shortage is no fault of the service. */
static void excuse(const HfHealth *health, int r)
{
    const HfLogFields fields = {.generation = health->generation->number, .error = r};

    hf_log(LOG_WARNING, &fields, "generation %llu cannot be probed",
           (unsigned long long)health->generation->number);
}

/* ---- by asking its listeners ---- */

static void begin_parts(HfHealth *health);

static void on_checkup(HfVerdict verdict, const char *text, void *userdata)
{
    Part *part = userdata;
    HfHealth *health = part->health;
    const HfListener *listener = health->generation->plan->listeners[part->listener];

    part->checkup = NULL;
    health->running--;
    if (verdict > health->verdict) {
        health->verdict = verdict;
        hf_text_clear(&health->text);
        if (health->n_parts > 1)
            hf_text_addf(&health->text, "%s: ", listener->label);
        hf_text_add(&health->text, text);
    }
    begin_parts(health);
    if (health->running == 0)
        finish(health);
}

static void begin_parts(HfHealth *health)
{
    const HfPlan *plan = health->generation->plan;

    while (health->next < health->n_parts && health->running < AT_ONCE_MAX) {
        Part *part = &health->parts[health->next++];
        const HfProberQuestion question = {
            .loop = health->loop,
            .page = health->probe.kind == HF_PROBE_FASTCGI ? health->probe.what : NULL,
            .timeout = health->timeout,
            .generation = health->generation,
            .listener = part->listener,
            .reading = plan->probed ? &health->readings[plan->wanted[part->listener].pool] : NULL,
        };
        int r = hf_prober_start(&question, on_checkup, part, &part->checkup);
        if (r < 0)
            excuse(health, r);
        else
            health->running++;
    }
}

static int make_parts(HfHealth *health)
{
    const HfPlan *plan = health->generation->plan;

    health->parts = calloc(plan->n_listeners + 1, sizeof(*health->parts));
    if (!health->parts)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (!plan->wanted[i].status)
            health->parts[health->n_parts++] = (Part){.health = health, .listener = i};
    if (health->number == health->generation->number)
        return 0;
    free(health->readings);
    health->readings = calloc(hf_strv_length(plan->pools) + 1, sizeof(*health->readings));
    if (!health->readings)
        return -ENOMEM;
    health->number = health->generation->number;
    return 0;
}

/* ---- by a command ---- */

static void on_command(const HfCaptured *captured, void *userdata)
{
    HfHealth *health = userdata;

    health->command = NULL;
    if (!hf_command_succeeded(captured)) {
        health->verdict = HF_VERDICT_FAILED;
        hf_command_explain("the command", captured, health->timeout, &health->text);
    }
    finish(health);
}

static int begin_command(HfHealth *health)
{
    const HfGeneration *generation = health->generation;
    HF_CLEANUP_TEXT HfText name = {0};
    HF_CLEANUP_TEXT HfText number = {0};
    HF_CLEANUP_TEXT HfText pid = {0};

    hf_text_addf(&name, "HOLDFAST_NAME=%s", health->name);
    hf_text_addf(&number, "HOLDFAST_GENERATION=%llu", (unsigned long long)generation->number);
    hf_text_addf(&pid, "HOLDFAST_MAINPID=%d", (int)generation->main.pid);
    const char *const more[] = {hf_text_peek(&name), hf_text_peek(&number), hf_text_peek(&pid),
                                NULL};
    return hf_command_start(health->loop, health->reaper, health->probe.what,
                            generation->plan->directory, more, health->timeout, on_command, health,
                            &health->command);
}

/* ---- the whole ---- */

void hf_health_probe(HfHealth *health, const HfSettings *settings, const HfGeneration *generation)
{
    end(health);
    health->generation = generation;
    health->timeout = settings->probe_timeout;
    health->probe.kind = settings->probe.kind;
    health->verdict = HF_VERDICT_HEALTHY;
    hf_text_clear(&health->text);
    int r = hf_string_set(&health->probe.what, settings->probe.what);
    if (r >= 0)
        r = health->probe.kind == HF_PROBE_EXEC ? begin_command(health) : make_parts(health);
    if (r < 0)
        excuse(health, r);
    else
        begin_parts(health);
    if (health->running == 0 && !health->command)
        finish(health);
}

void hf_health_leave(HfHealth *health, unsigned slot)
{
    if (health->generation && health->generation->slot == slot)
        end(health);
}

int hf_health_new(sd_event *loop, HfReaper *reaper, const char *name, HfHealthCallback callback,
                  void *userdata, HfHealth **ret)
{
    HfHealth *health = calloc(1, sizeof(*health));
    if (!health)
        return -ENOMEM;
    *health = (HfHealth){
        .loop = loop,
        .reaper = reaper,
        .name = name,
        .callback = callback,
        .userdata = userdata,
    };
    *ret = health;
    return 0;
}

HfHealth *hf_health_free(HfHealth *health)
{
    if (!health)
        return NULL;
    end(health);
    hf_text_clear(&health->text);
    free(health->probe.what);
    free(health->readings);
    free(health);
    return NULL;
}

unsigned hf_health_hung_probes(const HfSettings *settings)
{
    uint64_t each = settings->probe_every + settings->probe_timeout;

    if (settings->probe_hung_after == HF_USEC_INFINITY)
        return 0;
    uint64_t n = settings->probe_hung_after / each + (settings->probe_hung_after % each > 0);
    return (unsigned)(n < HUNG_MAX ? n : HUNG_MAX);
}
