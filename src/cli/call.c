/* SPDX-License-Identifier: MIT */
/* reload, restart, rollback, stop, hold and release: one request, with progress until it is
 * answered. And upgrade. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "parts/control/names.h"

#define START_OF_LINE "\r\033[K"

/* Progress on stderr: on a terminal a line that is rewritten, else a line per event. */
typedef struct Progress {
    const char *verb;
    bool quiet;
    bool terminal;
    uint64_t begun; /* usec, CLOCK_MONOTONIC */
    char *last;     /* the event shown; owned */
    bool drained;   /* an event has said what is left alone */
} Progress;

/* Does the event's text name the verb itself? */
static bool begins_with(const char *text, const char *verb)
{
    size_t length = strlen(verb);

    return strncmp(text, verb, length) == 0 && text[length] == ':';
}

/* Shows how long it has taken; called once a second while progress->terminal. */
static void show_progress(Progress *progress)
{
    HF_CLEANUP_TEXT HfText line = {0};
    HF_CLEANUP_TEXT HfText time = {0};
    HF_CLEANUP_TEXT HfText clipped = {0};
    size_t width;
    size_t rows;
    uint64_t seconds = (hf_clock_monotonic() - progress->begun) / 1000000;

    if (!progress->terminal)
        return;
    if (!progress->last || !begins_with(progress->last, progress->verb))
        hf_text_addf(&line, "%s: ", progress->verb);
    hf_text_add(&line, progress->last ? progress->last : "waiting");
    if (seconds > 0)
        hf_text_addf(&time, "  %llu s", (unsigned long long)seconds);
    /* a line that wraps could not be rewritten */
    hf_terminal_size(STDERR_FILENO, &width, &rows);
    size_t room = width > time.length + 1 ? width - time.length - 1 : 0;
    hf_terminal_clip(hf_text_peek(&line), room, 1, "", &clipped);
    fprintf(stderr, START_OF_LINE "%s%s", hf_text_peek(&clipped), hf_text_peek(&time));
}

static void begin_progress(Progress *progress, const char *verb, bool quiet)
{
    *progress = (Progress){
        .verb = verb,
        .quiet = quiet,
        .terminal = !quiet && hf_terminal_is(STDERR_FILENO),
        .begun = hf_clock_monotonic(),
    };
    show_progress(progress);
}

static void show_event(Progress *progress, const char *text)
{
    size_t length = strcspn(text, "\n");

    if (progress->quiet)
        return;
    if (!progress->terminal) {
        hf_log_lines(LOG_INFO, NULL, text);
        return;
    }
    free(progress->last);
    progress->last = malloc(length + 1);
    if (progress->last)
        hf_text_printable(text, length, progress->last, length + 1);
    show_progress(progress);
}

/* Removes the progress line, and on success leaves one that says so. */
static void end_progress(Progress *progress, bool done)
{
    HF_CLEANUP_TEXT HfText time = {0};

    hf_text_add_time(&time, hf_clock_monotonic() - progress->begun);
    if (progress->terminal)
        fputs(START_OF_LINE, stderr);
    if (progress->terminal && done)
        fprintf(stderr, "%s: done after %s\n", progress->verb, hf_text_peek(&time));
    free(progress->last);
    *progress = (Progress){0};
}

static const char *const methods[HF_VERB_MAX_] = {
    [HF_VERB_RELOAD] = "Reload", [HF_VERB_RESTART] = "Restart", [HF_VERB_ROLLBACK] = "Rollback",
    [HF_VERB_STOP] = "Stop",     [HF_VERB_HOLD] = "Hold",       [HF_VERB_RELEASE] = "Release",
};

static const char *method_of(const HfCommandLine *line)
{
    return line->call.take_over ? "TakeOver" : methods[line->verb];
}

/* A request in progress. */
typedef struct Waiting {
    Progress progress;
    bool answered;
    sd_bus_message *answer; /* reference */
} Waiting;

static int on_reply(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Waiting *waiting = userdata;

    (void)unused;
    waiting->answered = true;
    waiting->answer = sd_bus_message_ref(message);
    return 1;
}

/* Errors with these names carry the reason for a failure. */
static bool is_failure(const char *name)
{
    return strcmp(name, "reload-failed") == 0 || strcmp(name, "start-failed") == 0;
}

static int on_event(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Waiting *waiting = userdata;
    const char *name;
    const char *cause;
    const char *text;
    uint64_t generation;

    (void)unused;
    if (sd_bus_message_read(message, "stss", &name, &generation, &cause, &text) > 0 &&
        !is_failure(name)) {
        show_event(&waiting->progress, text);
        waiting->progress.drained |= strcmp(name, "draining") == 0;
    }
    return 0;
}

/* Waits for the answer; with end, until the instance has released everything and hangs up. */
static int wait_until_answered(sd_bus *bus, Waiting *waiting, bool end)
{
    for (;;) {
        int r = sd_bus_process(bus, NULL);
        if (r < 0)
            return r;
        if (waiting->answered && !end)
            return 0;
        if (r > 0)
            continue;
        show_progress(&waiting->progress);
        r = sd_bus_wait(bus, waiting->progress.terminal ? HF_USEC_PER_SEC : UINT64_MAX);
        if (r < 0 && r != -EINTR)
            return r;
    }
}

static int send_request(sd_bus *bus, const HfCommandLine *line, Waiting *waiting)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *message = NULL;

    int r = sd_bus_message_new_method_call(bus, &message, NULL, HF_CONTROL_PATH,
                                           HF_CONTROL_INTERFACE, method_of(line));
    if (r >= 0 && line->verb == HF_VERB_HOLD)
        r = sd_bus_message_append(message, "t",
                                  line->call.hold > 0 ? line->call.hold : HF_HOLD_DEFAULT);
    if (r < 0)
        return r;
    if (!waiting) {
        r = sd_bus_message_set_expect_reply(message, 0);
        if (r >= 0)
            r = sd_bus_send(bus, message, NULL);
        return r < 0 ? r : sd_bus_flush(bus);
    }
    r = sd_bus_match_signal(bus, NULL, NULL, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event",
                            on_event, waiting);
    if (r >= 0) /* the instance's own timeouts limit it */
        r = sd_bus_call_async(bus, NULL, message, on_reply, waiting, UINT64_MAX);
    return r;
}

/* A rewritten line does not last, and the old generation may not have been asked to leave yet. */
static void show_spared(sd_bus *bus, const char *verb)
{
    HF_CLEANUP_FREE char *spared = NULL;
    char printable[LINE_MAX];

    if (sd_bus_set_method_call_timeout(bus, HF_CLIENT_TIMEOUT) < 0 ||
        sd_bus_get_property_string(bus, NULL, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Spared", NULL,
                                   &spared) < 0 ||
        !*spared)
        return;
    hf_text_printable(spared, strlen(spared), printable, sizeof(printable));
    hf_log(LOG_INFO, NULL, "%s: left alone: %s", verb, printable);
}

/* The instance ended while the request was on its way. */
static bool stopped_already(int r, const sd_bus_error *failure)
{
    return r == -ECONNRESET || r == -ENOTCONN ||
           sd_bus_error_has_name(failure, HF_CONTROL_STOPPING);
}

static int wait_for_answer(sd_bus *bus, const HfCommandLine *line)
{
    const char *verb = hf_verb_name(line->verb);
    HF_CLEANUP_TEXT HfText error = {0};
    Waiting waiting = {0};

    begin_progress(&waiting.progress, verb, line->call.quiet);
    int r = send_request(bus, line, &waiting);
    if (r >= 0)
        r = wait_until_answered(bus, &waiting, false);
    const sd_bus_error *failure = waiting.answer ? sd_bus_message_get_error(waiting.answer) : NULL;
    bool done = r >= 0 && !failure;
    if (line->verb == HF_VERB_STOP && (done || stopped_already(r, failure))) {
        wait_until_answered(bus, &waiting, true);
        done = true;
    }
    bool named = waiting.progress.drained && !waiting.progress.terminal;
    end_progress(&waiting.progress, done);
    if (done && !named && !line->call.quiet &&
        (line->verb == HF_VERB_RELOAD || line->verb == HF_VERB_RESTART ||
         line->verb == HF_VERB_ROLLBACK))
        show_spared(bus, verb);
    if (!done && sd_bus_error_has_name(failure, SD_BUS_ERROR_NO_REPLY)) /* by libsystemd */
        hf_text_addf(&error, "%s: holdfast ended before it answered; see its log", verb);
    else if (!done && failure)
        hf_text_addf(&error, "%s failed: %s", verb, failure->message);
    else if (!done)
        hf_text_addf(&error, "%s: the connection ended before the answer came: %s", verb,
                     strerror(-r));
    hf_client_log(&error);
    sd_bus_message_unref(waiting.answer);
    return done ? HF_EXIT_DONE : HF_EXIT_FAILED;
}

int hf_cli_call(const HfCommandLine *line)
{
    HF_CLEANUP_INSTANCE HfInstance instance = {0};

    int status = hf_client_connect_or_log(line->call.name, &instance);
    if (status != HF_EXIT_DONE)
        return status;
    if (!line->call.no_wait)
        return wait_for_answer(instance.bus, line);
    int r = send_request(instance.bus, line, NULL);
    if (r >= 0 || (line->verb == HF_VERB_STOP && stopped_already(r, NULL)))
        return HF_EXIT_DONE;
    hf_log(LOG_ERR, NULL, "%s: the request could not be sent: %s", hf_verb_name(line->verb),
           strerror(-r));
    return HF_EXIT_FAILED;
}

#define CONNECTIONS_MAX 8 /* a successful upgrade ends one */

typedef struct Upgrade {
    const char *name;
    HfInstance instance;
    sd_bus_error failure;
} Upgrade;

static void upgrade_clear(Upgrade *upgrade)
{
    hf_instance_clear(&upgrade->instance);
    sd_bus_error_free(&upgrade->failure);
}

static int connect_again(Upgrade *upgrade)
{
    hf_instance_clear(&upgrade->instance);
    sd_bus_error_free(&upgrade->failure);
    return hf_client_connect_or_log(upgrade->name, &upgrade->instance);
}

static int request_upgrade(Upgrade *upgrade, uint64_t *ret_id)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;

    int r = sd_bus_call_method(upgrade->instance.bus, NULL, HF_CONTROL_PATH, HF_CONTROL_INTERFACE,
                               "Upgrade", &upgrade->failure, &reply, NULL);
    return r < 0 ? r : sd_bus_message_read(reply, "t", ret_id);
}

/* Waits as long as the replacements in progress take. */
static int ask_for_result(Upgrade *upgrade, uint64_t id)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *message = NULL;

    int r = sd_bus_message_new_method_call(upgrade->instance.bus, &message, NULL, HF_CONTROL_PATH,
                                           HF_CONTROL_INTERFACE, "UpgradeResult");
    if (r >= 0)
        r = sd_bus_message_append(message, "t", id);
    return r < 0 ? r
                 : sd_bus_call(upgrade->instance.bus, message, UINT64_MAX, &upgrade->failure, NULL);
}

/* The old program's connections end with it; the new one answers on the same socket. */
static int await_result(Upgrade *upgrade, uint64_t id, int *ret_status)
{
    int r = ask_for_result(upgrade, id);

    for (int i = 1; r < 0 && i < CONNECTIONS_MAX; i++) {
        if (sd_bus_error_is_set(&upgrade->failure) && r != -ECONNRESET && r != -ENOTCONN)
            break;
        *ret_status = connect_again(upgrade);
        if (*ret_status != HF_EXIT_DONE)
            return -ENOTCONN;
        r = ask_for_result(upgrade, id);
    }
    return r;
}

int hf_cli_upgrade(const HfCommandLine *line)
{
    __attribute__((cleanup(upgrade_clear))) Upgrade upgrade = {.name = line->call.name};
    HF_CLEANUP_TEXT HfText error = {0};
    uint64_t id;

    int status = hf_client_connect_or_log(upgrade.name, &upgrade.instance);
    if (status != HF_EXIT_DONE)
        return status;
    int r = request_upgrade(&upgrade, &id);
    if (r >= 0 && !line->call.no_wait)
        r = await_result(&upgrade, id, &status);
    if (r >= 0 || status != HF_EXIT_DONE)
        return status;
    hf_text_addf(&error, "upgrade failed: %s",
                 sd_bus_error_is_set(&upgrade.failure) ? upgrade.failure.message : strerror(-r));
    hf_client_log(&error);
    return HF_EXIT_FAILED;
}
