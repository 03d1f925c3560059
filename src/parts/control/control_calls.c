/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

static const char too_many[] = "too many requests are waiting already; try again later";

static void drop_call(HfControl *control, HfControlCall **link)
{
    HfControlCall *call = *link;

    *link = call->next;
    control->n_calls--;
    sd_bus_message_unref(call->message);
    free(call);
}

bool hf_control_has_call(const HfControl *control, const sd_bus *bus)
{
    for (const HfControlCall *call = control->calls; call; call = call->next)
        if (sd_bus_message_get_bus(call->message) == bus)
            return true;
    return false;
}

void hf_control_forget_calls(HfControl *control, const sd_bus *bus)
{
    for (HfControlCall **link = &control->calls; *link;) {
        if (sd_bus_message_get_bus((*link)->message) == bus)
            drop_call(control, link);
        else
            link = &(*link)->next;
    }
}

static int keep_call(HfControl *control, uint64_t id, sd_bus_message *message)
{
    HfControlCall *call = control->n_calls < HF_MACHINE_REQUESTS ? malloc(sizeof(*call)) : NULL;

    if (!call)
        return -EBUSY;
    *call = (HfControlCall){control->calls, id, sd_bus_message_ref(message)};
    control->calls = call;
    control->n_calls++;
    return 0;
}

int hf_control_keep(HfControl *control, uint64_t id, sd_bus_message *message)
{
    int r = keep_call(control, id, message);

    if (r < 0)
        sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY, "%s", too_many);
    return r;
}

sd_bus_message *hf_control_take(HfControl *control, uint64_t id)
{
    HfControlCall **link = &control->calls;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    if (!*link)
        return NULL;
    sd_bus_message *message = sd_bus_message_ref((*link)->message);
    drop_call(control, link);
    return message;
}

int hf_control_request(HfControl *control, HfRequestKind kind, sd_bus_message *message)
{
    HfEvent event = {.type = HF_EVENT_REQUEST, .request = kind};
    int wanted = sd_bus_message_get_expect_reply(message);

    if (wanted) {
        if (keep_call(control, control->last_id + 1, message) < 0)
            return sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY, "%s", too_many);
        event.id = ++control->last_id;
    }
    hf_supervisor_post(control->supervisor, &event);
    return 1;
}

static const char not_parked[] =
    "there is nothing to roll back to: no generation is parked (--park=TIME keeps the one before a "
    "reload for so long, until the next one starts)";

/* D-Bus strings must be UTF-8. */
static int reply_failure(sd_bus_message *message, const char *text)
{
    char printable[HF_CONTROL_TEXT_MAX + 1];

    hf_text_printable_lines(text, printable, sizeof(printable));
    return sd_bus_reply_method_errorf(message, HF_CONTROL_FAILED, "%s", printable);
}

static int reply(sd_bus_message *message, HfOutcome outcome, const char *text)
{
    switch (outcome) {
    case HF_OUTCOME_DONE:
        return sd_bus_reply_method_return(message, NULL);
    case HF_OUTCOME_FAILED:
        return reply_failure(message, text);
    case HF_OUTCOME_STOPPING:
        return sd_bus_reply_method_errorf(message, HF_CONTROL_STOPPING, "holdfast is stopping");
    case HF_OUTCOME_BUSY:
        return sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY, "%s", too_many);
    case HF_OUTCOME_NOT_PARKED:
        return sd_bus_reply_method_errorf(message, HF_CONTROL_FAILED, "%s", not_parked);
    case HF_OUTCOME_MAX_:
        break;
    }
    return 0;
}

/* ---- results that are fetched later ---- */

static void keep_result(HfControl *control, uint64_t id, HfOutcome outcome, const char *text)
{
    HfControlResult *result = &control->results[control->next_result];

    control->next_result = (control->next_result + 1) % HF_CONTROL_RESULTS;
    result->id = id;
    result->outcome = outcome;
    hf_string_set(&result->text, text); /* without memory the outcome alone must do */
}

void hf_control_forget_results(HfControl *control)
{
    for (size_t i = 0; i < HF_CONTROL_RESULTS; i++)
        free(control->results[i].text);
}

static bool waits(const HfMachine *machine, uint64_t id)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id == id)
            return true;
    return false;
}

int hf_control_await(HfControl *control, uint64_t id, sd_bus_message *message)
{
    for (size_t i = 0; i < HF_CONTROL_RESULTS; i++) {
        const HfControlResult *result = &control->results[i];
        if (id != 0 && result->id == id)
            return reply(message, result->outcome, result->text ? result->text : "");
    }
    if (id == 0 || !waits(&control->supervisor->machine, id))
        return sd_bus_reply_method_errorf(
            message, HF_CONTROL_FAILED,
            "the result is unknown: holdfast ended and was started again meanwhile; see its log");
    if (keep_call(control, id, message) < 0)
        return sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY, "%s", too_many);
    return 1;
}

void hf_control_hang_up(sd_bus_message *message)
{
    /* The loop drops the client: it may be in the middle of its message. */
    (void)shutdown(sd_bus_get_fd(sd_bus_message_get_bus(message)), SHUT_RDWR);
}

void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text)
{
    HfControlCall **link = &control->calls;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    if (!*link) { /* the caller has left, or will come back */
        keep_result(control, id, outcome, text);
        return;
    }
    int r = reply((*link)->message, outcome, text);
    if (r < 0) {
        hf_log(LOG_WARNING, &(HfLogFields){.error = r},
               "an answer could not be sent, its caller sees the connection end");
        hf_control_hang_up((*link)->message);
    }
    drop_call(control, link);
}
