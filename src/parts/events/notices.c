#include "parts/events/notices.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

static const char *const names[] = {
    "ready",        "draining",     "hurried",       "gone",     "crashed",        "leaving",
    "resumed",      "start-failed", "reload-failed", "waiting",  "retry",          "outage",
    "recovered",    "healthy",      "saturated",     "hung",     "unhealthy",      "queue-high",
    "queue-normal", "stopping",     "stopped",       "upgraded", "upgrade-failed", "adopted",
};
HF_STRTAB_DEFINE(hf_notice, HfNoticeName, names, HF_NOTICE_MAX_)

/* MESSAGE_ID= of each, see systemd.journal-fields(7) and holdfast(1). They never change. */
static const char *const message_ids[] = {
    [HF_NOTICE_READY] = "a3dede929bc6431fa1ea73b93af92376",
    [HF_NOTICE_DRAINING] = "46de44fb7be148fbb65032758220d327",
    [HF_NOTICE_HURRIED] = "67ef927215fe40aeaaeb01d1394c6ad1",
    [HF_NOTICE_GONE] = "11ca7690b4c64cb4b7caedd18335b52a",
    [HF_NOTICE_CRASHED] = "ec393e524be9464880d12709c909e761",
    [HF_NOTICE_LEAVING] = "dc0466f43be1475b9180cd7f37d04d9b",
    [HF_NOTICE_RESUMED] = "2f753abb6065486eaced21e366f637c3",
    [HF_NOTICE_START_FAILED] = "0b21f3e404084381970c6bd643f22cea",
    [HF_NOTICE_RELOAD_FAILED] = "cf1050a026974ac9ab1a0b68256a06fb",
    [HF_NOTICE_WAITING] = "16913f72726744cc962e7feec3a70484",
    [HF_NOTICE_RETRY] = "4918b7e806c44dd285f9b8ebe81a7709",
    [HF_NOTICE_OUTAGE] = "6912fb32b52145d6a79fa5cf56b22c8e",
    [HF_NOTICE_RECOVERED] = "bc331d41f585447793b2cbfa35068ede",
    [HF_NOTICE_HEALTHY] = "c8fb33f256c4413f893ea67b232d7439",
    [HF_NOTICE_SATURATED] = "72b5adf38317463892605b4ce49cedd8",
    [HF_NOTICE_HUNG] = "3d5c4a50bfbf4d458b532c945ec286ef",
    [HF_NOTICE_UNHEALTHY] = "0b3d619321684e508b60bd7adec26f6f",
    [HF_NOTICE_QUEUE_HIGH] = "b557694dfbee42c18083c360b213d0c4",
    [HF_NOTICE_QUEUE_NORMAL] = "8683fabfefa64350a41b48d0535487ee",
    [HF_NOTICE_STOPPING] = "85fd3a98d22f44f18993f2eb24a6dd6e",
    [HF_NOTICE_STOPPED] = "ace665849809472eb3fbead5e586b929",
    [HF_NOTICE_UPGRADED] = "84447a1389754170b719883424fe457c",
    [HF_NOTICE_UPGRADE_FAILED] = "14decfd2b3ea40db82730436cd463bbb",
    [HF_NOTICE_ADOPTED] = "26e9cd8013f24fcb8dff41c5c3b8d1bf",
};
_Static_assert(sizeof(message_ids) / sizeof(*message_ids) == HF_NOTICE_MAX_, "an id a notice");

static void keep(HfNotices *notices, const HfNotice *notice)
{
    char *text = strdup(notice->text);

    if (!text) /* a gap in what status tells is no reason to end */
        return;
    if (notices->n == HF_NOTICES_KEPT) {
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
    for (size_t i = 0; i < HF_NOTICES_KEPT; i++)
        free(notices->kept[i].text);
    *notices = (HfNotices){0};
}

void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata)
{
    assert(notices->n_subscribers < HF_NOTICE_SUBSCRIBERS);
    notices->subscribers[notices->n_subscribers].callback = callback;
    notices->subscribers[notices->n_subscribers].userdata = userdata;
    notices->n_subscribers++;
}

void hf_notices_publish(HfNotices *notices, HfNoticeName name, int level, uint64_t generation,
                        const char *cause, const char *text)
{
    char printable[HF_NOTICE_TEXT_MAX + 1];
    const HfNotice notice = {
        .realtime = hf_clock_realtime(),
        .name = name,
        .level = level,
        .generation = generation,
        .cause = cause,
        .text = printable,
    };
    const HfLogFields fields = {.generation = generation, .message_id = message_ids[name]};

    hf_log_lines(level, &fields, text);
    hf_text_printable_lines(text, printable, sizeof(printable));
    keep(notices, &notice);
    for (size_t i = 0; i < notices->n_subscribers; i++)
        notices->subscribers[i].callback(&notice, notices->subscribers[i].userdata);
}

const HfNotice *hf_notices_get(const HfNotices *notices, size_t n)
{
    assert(n < notices->n);
    return &notices->kept[(notices->first + n) % HF_NOTICES_KEPT];
}
