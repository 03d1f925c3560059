#include "daemon/notices.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"

static const char *const names[] = {
    "ready",         "draining",   "hurried",  "gone",    "crashed",   "start-failed",
    "reload-failed", "waiting",    "retry",    "outage",  "recovered", "saturated",
    "unhealthy",     "queue-high", "stopping", "stopped",
};
HF_STRTAB_DEFINE(hf_notice, HfNoticeName, names, HF_NOTICE_MAX_)

/* Line by line: a service's own words may be several. Returns the length. */
static size_t make_printable(const char *text, char *ret, size_t size)
{
    size_t written = 0;

    for (;;) {
        size_t length = strcspn(text, "\n");
        written += hf_text_printable(text, length, ret + written, size - written);
        text += length;
        if (*text == '\0' || written + 2 > size)
            return written;
        text++;
        ret[written++] = '\n';
        ret[written] = '\0';
    }
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * HF_USEC_PER_SEC + (uint64_t)time.tv_nsec / 1000;
}

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
        .realtime = now(),
        .name = name,
        .level = level,
        .generation = generation,
        .cause = cause,
        .text = printable,
    };

    hf_log_lines(level, &(HfLogFields){.generation = generation}, text);
    make_printable(text, printable, sizeof(printable));
    keep(notices, &notice);
    for (size_t i = 0; i < notices->n_subscribers; i++)
        notices->subscribers[i].callback(&notice, notices->subscribers[i].userdata);
}

const HfNotice *hf_notices_get(const HfNotices *notices, size_t n)
{
    assert(n < notices->n);
    return &notices->kept[(notices->first + n) % HF_NOTICES_KEPT];
}
