#include "parts/probe/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "parts/probe/prober.h"
#include "run/command.h"
#include "run/supervisor.h"

#define AT_ONCE_MAX 64      /* listeners that are asked at the same time */
#define HUNG_MAX    1000000 /* probes */
#define DOUBLINGS   6       /* 64 times as many failures */

typedef struct HfHealth HfHealth;

typedef struct Part {
    HfHealth *health;
    HfProber *checkup; /* NULL: not begun, or over */
    size_t listener;
} Part;

struct HfHealth {
    HfSupervisor *supervisor;

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
    hf_supervisor_probed(health->supervisor, slot, health->verdict, hf_text_peek(&health->text));
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
            .loop = health->supervisor->loop,
            .page = health->probe.kind == HF_PROBE_FASTCGI ? health->probe.what : NULL,
            .timeout = health->timeout,
            .generation = health->generation,
            .listener = part->listener,
            .reading = hf_plan_is_probed(plan) ? &health->readings[plan->wanted[part->listener].pool] : NULL,
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
    health->readings = calloc(plan->n_pools + 1, sizeof(*health->readings));
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

    hf_text_addf(&name, "HOLDFAST_NAME=%s", health->supervisor->name);
    hf_text_addf(&number, "HOLDFAST_GENERATION=%llu", (unsigned long long)generation->number);
    hf_text_addf(&pid, "HOLDFAST_MAINPID=%d", (int)generation->main.pid);
    const char *const more[] = {hf_text_peek(&name), hf_text_peek(&number), hf_text_peek(&pid),
                                NULL};
    return hf_command_start(health->supervisor->loop, health->supervisor->reaper,
                            health->probe.what, generation->plan->directory, more, health->timeout,
                            on_command, health, &health->command);
}

/* ---- the whole ---- */

/* In place of one that is under way. Ends in one PROBED, perhaps at once, unless it is left before;
 * the generation may not go before that. */
static void begin_probe(HfHealth *health, const HfGeneration *generation)
{
    const HfSettings *settings = health->supervisor->settings;

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

static int health_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfHealth *health = calloc(1, sizeof(*health));

    (void)error;
    if (!health)
        return -ENOMEM;
    health->supervisor = supervisor;
    *ret = health;
    return 0;
}

static void health_performed(void *state, const HfAction *action)
{
    HfHealth *health = state;
    bool leaves = action->type == HF_ACTION_SIGNAL || action->type == HF_ACTION_FORGET;

    if (action->type == HF_ACTION_PROBE)
        begin_probe(health, health->supervisor->generations[action->slot]);
    else if (leaves && health->generation && health->generation->slot == action->slot)
        end(health);
}

static void health_let_go(void *state)
{
    end(state);
}

static void health_free(void *state)
{
    HfHealth *health = state;

    end(health);
    hf_text_clear(&health->text);
    free(health->probe.what);
    free(health->readings);
    free(health);
}

/* How many probes in a row that find it hung last as long as --probe-hung-after; 0: however many.
 */
static unsigned count_hung_probes(const HfSettings *settings)
{
    uint64_t each = settings->probe_every + settings->probe_timeout;

    if (settings->probe_hung_after == HF_USEC_INFINITY)
        return 0;
    uint64_t n = settings->probe_hung_after / each + (settings->probe_hung_after % each > 0);
    return (unsigned)(n < HUNG_MAX ? n : HUNG_MAX);
}

static void health_limit(const HfSettings *settings, HfMachineLimits *limits)
{
    limits->probe_every = settings->probe.kind == HF_PROBE_NONE ? 0 : settings->probe_every;
    limits->probe_failures = (unsigned)settings->probe_failures;
    limits->probe_hung = count_hung_probes(settings);
    limits->probe_doublings = DOUBLINGS;
}

const HfPart hf_part_probe = {
    .name = "probe",
    .limit = health_limit,
    .begin = health_begin,
    .performed = health_performed,
    .let_go = health_let_go,
    .free = health_free,
};
