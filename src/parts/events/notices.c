/* SPDX-License-Identifier: MIT */
#include "parts/events/events.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#define SPARED_MOST 8 /* spared processes that are named */

/* ---- memory ---- */

static void remember(HfNotices *notices, const HfNotice *notice)
{
    bool full = notices->n == HF_NOTICES_KEPT;
    char *text = NULL;

    if (full || hf_array_reserve(&notices->kept, &notices->capacity, notices->n + 1,
                                 sizeof(*notices->kept)) >= 0)
        text = strdup(notice->text);
    if (!text) /* without memory, status has a gap */
        return;
    if (full) {
        free(notices->kept[notices->first].text);
        notices->first = (notices->first + 1) % HF_NOTICES_KEPT;
        notices->n--;
    }
    HfNotice *kept = &notices->kept[(notices->first + notices->n++) % HF_NOTICES_KEPT];
    *kept = *notice;
    kept->text = text;
}

void hf_notices_clear(HfNotices *notices)
{
    for (size_t i = 0; i < notices->n; i++)
        free(notices->kept[i].text);
    free(notices->kept);
    *notices = (HfNotices){0};
}

void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata)
{
    assert(notices->n_subscribers < HF_NOTICE_SUBSCRIBERS);
    notices->subscribers[notices->n_subscribers].callback = callback;
    notices->subscribers[notices->n_subscribers].userdata = userdata;
    notices->n_subscribers++;
}

void hf_notices_publish(HfNotices *notices, const HfNoticeKind *kind, uint64_t generation,
                        const char *cause, const char *text)
{
    char printable[HF_NOTICE_TEXT_MAX + 1];
    HfNotice notice = {
        .realtime = hf_clock_realtime(),
        .level = kind->level,
        .generation = generation,
        .cause = cause,
        .text = printable,
    };
    const HfLogFields fields = {.generation = generation, .message_id = kind->message_id};

    snprintf(notice.name, sizeof(notice.name), "%s", kind->name);
    hf_log_lines(kind->level, &fields, text);
    hf_text_printable_lines(text, printable, sizeof(printable));
    remember(notices, &notice);
    for (size_t i = 0; i < notices->n_subscribers; i++)
        notices->subscribers[i].callback(&notice, notices->subscribers[i].userdata);
}

const HfNotice *hf_notices_get(const HfNotices *notices, size_t n)
{
    assert(n < notices->n);
    return &notices->kept[(notices->first + n) % HF_NOTICES_KEPT];
}

/* ---- the machine's reports ---- */

/* The texts; %g is the report's generation, the other letters are those of add_letter. Without an
 * id: for the log only; without a text: published by the part that knows more. */
static const struct {
    int level;
    const char *message_id;
    const char *words;
} reports[] = {
    [HF_REPORT_READY] = {LOG_INFO, "a3dede929bc6431fa1ea73b93af92376", "%r"},
    [HF_REPORT_CRASHED] = {LOG_ERR, "ec393e524be9464880d12709c909e761", "%g crashed: %p %e%n"},
    [HF_REPORT_START_FAILED] = {LOG_ERR, "0b21f3e404084381970c6bd643f22cea", "%F"},
    [HF_REPORT_RELOAD_FAILED] = {LOG_ERR, "cf1050a026974ac9ab1a0b68256a06fb", "%F"},
    [HF_REPORT_RETRY] = {LOG_WARNING, "4918b7e806c44dd285f9b8ebe81a7709",
                         "%w; the next start is tried within %t"},
    [HF_REPORT_DRAINING] = {LOG_INFO, "46de44fb7be148fbb65032758220d327", "%g is draining%s"},
    [HF_REPORT_HURRIED] = {LOG_WARNING, "67ef927215fe40aeaaeb01d1394c6ad1",
                           "%g is still there, it is sent %k"},
    [HF_REPORT_GONE] = {LOG_INFO, "11ca7690b4c64cb4b7caedd18335b52a", "%g is gone"},
    [HF_REPORT_WAITING] = {LOG_WARNING, "16913f72726744cc962e7feec3a70484",
                           "the replacement waits: too many generations are still draining"},
    [HF_REPORT_STOPPING] = {LOG_INFO, "85fd3a98d22f44f18993f2eb24a6dd6e",
                            "stopping: every generation finishes its requests"},
    [HF_REPORT_OUTAGE] = {LOG_CRIT, "6912fb32b52145d6a79fa5cf56b22c8e",
                          "outage: no generation has been ready for %t; clients are told that the "
                          "service is unavailable"},
    [HF_REPORT_RECOVERED] = {LOG_NOTICE, "bc331d41f585447793b2cbfa35068ede",
                             "recovered: %g serves"},
    [HF_REPORT_HEALTHY] = {LOG_NOTICE, "c8fb33f256c4413f893ea67b232d7439",
                           "%g answers its probe again"},
    [HF_REPORT_SATURATED] = {LOG_WARNING, "72b5adf38317463892605b4ce49cedd8",
                             "%g is saturated, which is no reason to replace it: %x"},
    [HF_REPORT_HUNG] = {LOG_WARNING, "3d5c4a50bfbf4d458b532c945ec286ef",
                        "%g hangs, no request has finished since the last probe: %x"},
    [HF_REPORT_UNHEALTHY] = {LOG_WARNING, "0b3d619321684e508b60bd7adec26f6f", "%g %u"},
    [HF_REPORT_PARKED] = {LOG_INFO, "7ae085d340554da58e80bab63dd90234",
                          "%g is parked for %t: `holdfast rollback` returns to it"},
    [HF_REPORT_ROLLED_BACK] = {LOG_NOTICE, "e35630b384354e689e46ce043a2b3b24",
                               "rolled back: %g serves again, with its settings"},
    [HF_REPORT_LEAVING] = {LOG_WARNING, "dc0466f43be1475b9180cd7f37d04d9b",
                           "%g leaves by itself (STOPPING=1)%n"},
    [HF_REPORT_RESUMED] = {LOG_WARNING, "2f753abb6065486eaced21e366f637c3",
                           "%g serves again: its successor was lost"},
    [HF_REPORT_UPGRADED] = {LOG_NOTICE, "84447a1389754170b719883424fe457c",
                            "upgrade: this is holdfast " HF_VERSION
                            ", with every socket and generation"},
    [HF_REPORT_UPGRADE_FAILED] = {LOG_ERR, "14decfd2b3ea40db82730436cd463bbb",
                                  "upgrade failed: %f; holdfast " HF_VERSION " goes on"},
    [HF_REPORT_ADOPTED] = {LOG_WARNING, "26e9cd8013f24fcb8dff41c5c3b8d1bf",
                           "the previous holdfast died; this one continues with %o"},
    [HF_REPORT_DELAYED] = {LOG_NOTICE, NULL,
                           "asked to stop: the service goes on for %t (--stop-delay), unless asked "
                           "again"},
    [HF_REPORT_SERVICE_ENDED] = {LOG_NOTICE, NULL,
                                 "the service has ended by itself: it %e; holdfast ends with "
                                 "status %d (--exit-with-service)"},
    [HF_REPORT_TAKEOVER_FAILED] = {LOG_ERR, NULL, NULL},
};
_Static_assert(sizeof(reports) / sizeof(*reports) == HF_REPORT_MAX_, "words for each report");

typedef unsigned long long Number;

static void add_ready(const HfGeneration *generation, const HfAction *action, HfText *text)
{
    size_t n = generation->plan->n_listeners;

    if (action->cause != HF_CAUSE_START && action->cause != HF_CAUSE_CRASH)
        hf_text_addf(text, "%s: generation %llu is active", hf_cause_name(action->cause),
                     (Number)action->number);
    else
        hf_text_addf(text, "generation %llu is ready", (Number)action->number);
    hf_text_addf(text, ": %s, pid %d, %zu listener%s", generation->plan->program,
                 (int)generation->main.pid, n, n == 1 ? "" : "s");
}

/* The reason, and what goes on nevertheless, on a line of its own after a service's words. */
static void add_failure(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    const char *reason = supervisor->failure ? supervisor->failure : "out of memory";
    const char *separator = strchr(reason, '\n') ? "\n" : "; ";

    const char *what = action->cause == HF_CAUSE_CRASH    ? "the start after a crash"
                       : action->cause == HF_CAUSE_HEALTH ? "the replacement of what is unhealthy"
                                                          : hf_cause_name(action->cause);
    if (action->number == 0 && supervisor->current)
        hf_text_addf(text, "%s failed: ", what);
    hf_text_add(text, reason);
    if (action->number == 0 && supervisor->machine.phase == HF_PHASE_STARTING)
        hf_text_addf(text, "%sthe service is started with the settings in force", separator);
    else if ((action->number > 0 || supervisor->current) && !hf_machine_stops(&supervisor->machine))
        hf_text_addf(text, "%s%s", separator,
                     hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE) >= 0
                         ? "the old generation goes on serving"
                         : "connections wait in the queue");
}

static void add_adopted(const HfSupervisor *supervisor, HfText *text)
{
    unsigned n = HF_MACHINE_SLOTS - hf_machine_count(&supervisor->machine, HF_STAGE_EMPTY);
    size_t listeners = supervisor->current ? supervisor->current->n_listeners : 0;

    hf_text_addf(text, "%u generation%s, %zu listener%s", n, n == 1 ? "" : "s", listeners,
                 listeners == 1 ? "" : "s");
}

static void add_unhealthy(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    if (action->doubted)
        hf_text_addf(text,
                     "is not replaced yet: that did not help last time, so the probe itself may be "
                     "wrong; it now takes %d failed probes in a row",
                     action->status);
    else
        hf_text_addf(text, "failed its probe (%d in a row): %s", action->status,
                     supervisor->unhealthy ? supervisor->unhealthy : "");
}

/* What follows a loss. If a settling generation serves again, another notice says so. */
static void add_next(const HfSupervisor *supervisor, const HfAction *action, HfText *text)
{
    int active = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    if (active >= 0 && (unsigned)active == action->slot)
        hf_text_add(text, "; its workers serve on until the next one is ready");
    else if (active < 0 && !hf_machine_stops(&supervisor->machine))
        hf_text_add(text, "; the next one is started");
}

/* While no generation has its main process. */
static void add_who_serves(const HfSupervisor *supervisor, HfText *text)
{
    int left = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    if (left < 0)
        hf_text_add(text, "no generation serves");
    else
        hf_text_addf(text, "the workers of generation %llu serve on without their main process",
                     (Number)supervisor->machine.generations[left].number);
}

static void add_end(const HfGeneration *generation, HfText *text)
{
    if (!generation || generation->late || generation->failure)
        hf_text_add(text, "did not start");
    else
        hf_generation_explain_status(generation, text);
}

typedef struct Sparing {
    const HfGeneration *generation;
    HfHeldSockets sockets;
    HfSparedVisit visit;
    void *userdata;
} Sparing;

static int describe_spared(HfProcess *process, void *userdata)
{
    const Sparing *sparing = userdata;
    HF_CLEANUP_NAMES HfProcessNames names = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    size_t which;

    hf_process_names_add(&names, process->pid);
    hf_text_add(&text, hf_process_names_text(&names));
    if (hf_process_holds(process->pid, &sparing->sockets, &which) > 0)
        hf_text_addf(&text, ", which holds %s", sparing->generation->listeners[which]->label);
    sparing->visit(process->pid, hf_text_peek(&text), sparing->userdata);
    return 0;
}

void hf_notices_visit_spared(const HfGeneration *generation, HfSparedVisit visit, void *userdata)
{
    Sparing sparing = {.generation = generation, .visit = visit, .userdata = userdata};
    HF_CLEANUP_FREE int *fds = hf_generation_sockets(generation);

    if (fds)
        (void)hf_held_sockets_identify(fds, generation->plan->n_listeners, &sparing.sockets);
    (void)hf_members_visit_spared(&generation->members, describe_spared, &sparing);
    hf_held_sockets_clear(&sparing.sockets);
}

typedef struct Naming {
    HfText *text;
    size_t n;
} Naming;

static void name_spared(pid_t pid, const char *text, void *userdata)
{
    Naming *naming = userdata;

    (void)pid;
    if (naming->n++ < SPARED_MOST)
        hf_text_addf(naming->text, "%s%s", naming->n > 1 ? ", " : "; it leaves alone: ", text);
}

/* Appends to a sentence which processes are spared when it leaves, and what they hold; nothing if
 * there are none. */
static void add_spared(const HfGeneration *generation, HfText *text)
{
    Naming naming = {.text = text};

    hf_notices_visit_spared(generation, name_spared, &naming);
    if (naming.n > SPARED_MOST)
        hf_text_addf(text, " and %zu more", naming.n - SPARED_MOST);
}

static void add_letter(const HfSupervisor *supervisor, const HfAction *action, char letter,
                       HfText *text)
{
    const HfGeneration *generation = supervisor->generations[action->slot];

    switch (letter) {
    case 'g':
        hf_text_addf(text, "generation %llu", (Number)action->number);
        break;
    case 'r':
        add_ready(generation, action, text);
        break;
    case 'p':
        hf_text_add(text, generation->plan->program);
        break;
    case 'e': /* how it ended */
        add_end(generation, text);
        break;
    case 'n':
        add_next(supervisor, action, text);
        break;
    case 'F':
        add_failure(supervisor, action, text);
        break;
    case 'f':
        hf_text_add(text, supervisor->failure ? supervisor->failure : "out of memory");
        break;
    case 't':
        hf_text_add_time(text, action->usec);
        break;
    case 'k':
        hf_text_add(text, action->stage == HF_STAGE_KILL ? "SIGKILL" : "SIGTERM");
        break;
    case 's':
        if (generation)
            add_spared(generation, text);
        break;
    case 'u':
        add_unhealthy(supervisor, action, text);
        break;
    case 'x':
        hf_text_add(text, supervisor->unhealthy ? supervisor->unhealthy : "");
        break;
    case 'o':
        add_adopted(supervisor, text);
        break;
    case 'w':
        add_who_serves(supervisor, text);
        break;
    case 'd':
        hf_text_addf(text, "%d", action->status);
        break;
    default:
        assert(false); /* the table has no other letter */
    }
}

/* The cause of the report's generation, or of the replacement that failed to make one. */
static const char *cause_of(const HfSupervisor *supervisor, const HfAction *action)
{
    const HfGeneration *generation = supervisor->generations[action->slot];

    if (hf_report_is_failure(action->report))
        return hf_cause_name(action->cause);
    return action->number > 0 && generation ? hf_cause_name(generation->cause) : "";
}

void hf_notices_report(HfNotices *notices, const HfSupervisor *supervisor, const HfAction *action)
{
    const HfNoticeKind kind = {hf_report_name(action->report), reports[action->report].level,
                               reports[action->report].message_id};
    const char *words = reports[action->report].words;
    HF_CLEANUP_TEXT HfText text = {0};

    for (const char *next; words && *words; words = next) {
        next = *words == '%' ? words + 2 : strchrnul(words, '%');
        if (*words == '%')
            add_letter(supervisor, action, words[1], &text);
        else
            hf_text_add_bytes(&text, words, (size_t)(next - words));
    }
    if (kind.message_id)
        hf_notices_publish(notices, &kind, action->number, cause_of(supervisor, action),
                           hf_text_peek(&text));
    else if (words)
        hf_log(kind.level, NULL, "%s", hf_text_peek(&text));
}
