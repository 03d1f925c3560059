/* SPDX-License-Identifier: MIT */
#include "parts/events/events.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "loop/capture.h"
#include "run/plan.h"

#define WAITING_MAX 64 /* more than there are names */

/* An event in the queue. */
typedef struct Waiting {
    HfNotice notice; /* owns its text */
    unsigned times;
} Waiting;

struct HfHooks {
    HfSupervisor *supervisor;
    Waiting *waiting; /* oldest first, each name once */
    size_t n_waiting;
    size_t capacity;
    HfCapture *running;
    char running_for[HF_NOTICE_NAME_MAX + 1];
    uint64_t timeout; /* for the running command */
    bool held;        /* until an upgrade has succeeded or failed */
    sd_event_source *next;
    HfHooksCallback finished;
    void *userdata;
    sd_event_source *deadline;
};

static Waiting shift(HfHooks *hooks)
{
    Waiting first = hooks->waiting[0];

    hooks->n_waiting--;
    memmove(hooks->waiting, hooks->waiting + 1, hooks->n_waiting * sizeof(*hooks->waiting));
    return first;
}

static int make_environment(const HfHooks *hooks, const Waiting *waiting, char ***ret)
{
    const HfNotice *notice = &waiting->notice;
    HF_CLEANUP_STRV char **list = NULL;
    const struct {
        const char *key;
        const char *text;
    } texts[] = {
        {"EVENT", notice->name},
        {"NAME", hooks->supervisor->name},
        {"CAUSE", notice->cause},
        {"TEXT", notice->text},
    };
    const struct {
        const char *key;
        unsigned long long number;
    } numbers[] = {
        {"GENERATION", notice->generation},
        {"TIME", notice->realtime / HF_USEC_PER_SEC},
        {"REPEATS", waiting->times - 1},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof(texts) / sizeof(*texts); i++)
        r = hf_strv_addf(&list, "HOLDFAST_%s=%s", texts[i].key, texts[i].text);
    for (size_t i = 0; r >= 0 && i < sizeof(numbers) / sizeof(*numbers); i++)
        r = hf_strv_addf(&list, "HOLDFAST_%s=%llu", numbers[i].key, numbers[i].number);
    return r < 0 ? r : hf_environment_make(NULL, (const char *const *)list, ret);
}

static void run_next(HfHooks *hooks)
{
    if (!hooks->held && (hooks->n_waiting > 0 || hooks->finished))
        sd_event_source_set_enabled(hooks->next, SD_EVENT_ONESHOT);
}

static void on_done(const HfCaptured *captured, void *userdata)
{
    HfHooks *hooks = userdata;
    HF_CLEANUP_TEXT HfText text = {0};

    hooks->running = NULL;
    if (!hf_command_succeeded(captured)) {
        hf_command_explain("the command", captured, hooks->timeout, &text);
        hf_log(LOG_WARNING, NULL, "--on-event, %s:", hooks->running_for);
        hf_log_lines(LOG_WARNING, NULL, hf_text_peek(&text));
    }
    if (hooks->held)
        hf_supervisor_post(hooks->supervisor, &(HfEvent){.type = HF_EVENT_UPGRADE_TESTED});
    run_next(hooks);
}

static void start(HfHooks *hooks, const Waiting *waiting)
{
    const HfSettings *settings = hooks->supervisor->settings;
    HF_CLEANUP_STRV char **environment = NULL;

    if (!settings->on_event) { /* removed by a reload since */
        run_next(hooks);
        return;
    }
    snprintf(hooks->running_for, sizeof(hooks->running_for), "%s", waiting->notice.name);
    hooks->timeout = settings->on_event_timeout;
    int r = make_environment(hooks, waiting, &environment);
    if (r >= 0)
        r = hf_command_start(hooks->supervisor->loop, hooks->supervisor->reaper, settings->on_event,
                             NULL, environment, hooks->timeout, on_done, hooks, &hooks->running);
    if (r < 0) {
        hf_log(LOG_WARNING, &(HfLogFields){.error = r},
               "the command for the event %s cannot be run", waiting->notice.name);
        run_next(hooks);
    }
}

static int on_next(sd_event_source *source, void *userdata)
{
    HfHooks *hooks = userdata;

    (void)source;
    if (hooks->running || hooks->held)
        return 0;
    if (hooks->n_waiting > 0) {
        Waiting waiting = shift(hooks);
        start(hooks, &waiting);
        free(waiting.notice.text);
    } else if (hooks->finished) {
        HfHooksCallback finished = HF_STEAL(hooks->finished);
        finished(hooks->userdata);
    }
    return 0;
}

/* The ith that waits, or the one behind the last; NULL: there is no room. */
static Waiting *make_room_for(HfHooks *hooks, size_t i)
{
    return i < WAITING_MAX && hf_array_reserve(&hooks->waiting, &hooks->capacity, i + 1,
                                               sizeof(*hooks->waiting)) >= 0
               ? &hooks->waiting[i]
               : NULL;
}

static void on_notice(const HfNotice *notice, void *userdata)
{
    HfHooks *hooks = userdata;
    size_t i = 0;

    if (!hooks->supervisor->settings->on_event)
        return;
    while (i < hooks->n_waiting && strcmp(hooks->waiting[i].notice.name, notice->name) != 0)
        i++;
    Waiting *waiting = make_room_for(hooks, i);
    char *text = waiting ? strdup(notice->text) : NULL;
    if (!text) {
        hf_log(LOG_WARNING, NULL, "out of memory, no command is run for the event %s",
               notice->name);
        return;
    }
    if (i == hooks->n_waiting) {
        hooks->n_waiting++;
        waiting->times = 0;
    } else {
        free(waiting->notice.text);
    }
    waiting->notice = *notice;
    waiting->notice.text = text;
    waiting->times++;
    run_next(hooks);
}

int hf_hooks_new(HfSupervisor *supervisor, HfNotices *notices, HfHooks **ret)
{
    HfHooks *hooks = calloc(1, sizeof(*hooks));
    if (!hooks)
        return -ENOMEM;
    hooks->supervisor = supervisor;
    int r = sd_event_add_defer(supervisor->loop, &hooks->next, on_next, hooks);
    if (r >= 0) /* supervision comes first */
        r = sd_event_source_set_priority(hooks->next, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(hooks->next, SD_EVENT_OFF);
    if (r < 0) {
        hf_hooks_free(hooks);
        return r;
    }
    hf_notices_subscribe(notices, on_notice, hooks);
    *ret = hooks;
    return 0;
}

HfHooks *hf_hooks_free(HfHooks *hooks)
{
    if (!hooks)
        return NULL;
    hf_capture_abort(hooks->running);
    while (hooks->n_waiting > 0)
        free(shift(hooks).notice.text);
    sd_event_source_disable_unref(hooks->deadline);
    sd_event_source_disable_unref(hooks->next);
    free(hooks->waiting);
    free(hooks);
    return NULL;
}

pid_t hf_hooks_session(const HfHooks *hooks)
{
    return hooks->running ? hf_capture_session(hooks->running) : 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfHooks *hooks = userdata;

    (void)source;
    (void)usec;
    while (hooks->n_waiting > 0)
        free(shift(hooks).notice.text);
    hooks->running = hf_capture_abort(hooks->running);
    run_next(hooks);
    return 0;
}

int hf_hooks_finish(HfHooks *hooks, HfHooksCallback callback, void *userdata)
{
    int r = sd_event_add_time_relative(hooks->supervisor->loop, &hooks->deadline, CLOCK_MONOTONIC,
                                       hooks->supervisor->settings->on_event_timeout, 0,
                                       on_deadline, hooks);
    if (r < 0)
        return r;
    hooks->held = false;
    hooks->finished = callback;
    hooks->userdata = userdata;
    run_next(hooks);
    return 0;
}

/* ---- an upgrade ---- */

bool hf_hooks_hold(HfHooks *hooks)
{
    hooks->held = true;
    return hooks->running != NULL;
}

void hf_hooks_release(HfHooks *hooks)
{
    hooks->held = false;
    run_next(hooks);
}

#define EVENT "event"
#define EVENT_TEXT                                                                                 \
    "%s %llu %s %d %llu %u\n%s" /* name, generation, cause, level, time, times, text */

int hf_hooks_captured(const HfHooks *hooks, HfNotes *notes)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < hooks->n_waiting; i++) {
        const HfNotice *notice = &hooks->waiting[i].notice;
        HF_CLEANUP_TEXT HfText text = {0};
        hf_text_addf(&text, EVENT_TEXT, notice->name, (unsigned long long)notice->generation,
                     *notice->cause ? notice->cause : "-", notice->level,
                     (unsigned long long)notice->realtime, hooks->waiting[i].times, notice->text);
        r = hf_notes_add(notes, EVENT, hf_text_peek(&text), -1);
    }
    return r;
}

/* Lines in another format are skipped. */
static bool read_event(const char *text, Waiting *ret)
{
    char name[HF_NOTICE_NAME_MAX + 1];
    char cause[32];
    char words[4][21];
    uint64_t generation;
    uint64_t level;
    uint64_t realtime;
    uint64_t times;
    const char *newline = strchr(text, '\n');

    if (!newline || sscanf(text, "%31s %20s %31s %20s %20s %20s", name, words[0], cause, words[1],
                           words[2], words[3]) != 6)
        return false;
    int why = hf_cause_value(cause);
    if (hf_parse_uint(words[0], UINT64_MAX, &generation) < 0 ||
        hf_parse_uint(words[1], LOG_DEBUG, &level) < 0 ||
        hf_parse_uint(words[2], UINT64_MAX, &realtime) < 0 ||
        hf_parse_uint(words[3], UINT_MAX, &times) < 0 || times == 0)
        return false;
    ret->times = (unsigned)times;
    ret->notice = (HfNotice){
        .realtime = realtime,
        .level = (int)level,
        .generation = generation,
        .cause = why >= 0 ? hf_cause_name((HfCause)why) : "",
        .text = strdup(newline + 1),
    };
    snprintf(ret->notice.name, sizeof(ret->notice.name), "%s", name);
    return ret->notice.text != NULL;
}

int hf_hooks_claimed(HfHooks *hooks)
{
    const HfNotes *notes = &hooks->supervisor->notes;

    for (size_t i = 0; hooks->supervisor->first == HF_EVENT_RESUME && i < notes->n; i++) {
        bool event = strcmp(notes->list[i].key, EVENT) == 0 && notes->list[i].text;
        Waiting *waiting = event ? make_room_for(hooks, hooks->n_waiting) : NULL;
        if (waiting && read_event(notes->list[i].text, waiting))
            hooks->n_waiting++;
    }
    run_next(hooks);
    return 0;
}
