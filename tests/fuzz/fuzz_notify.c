/* SPDX-License-Identifier: MIT */
/* One sd_notify datagram, against a second reading of the rules line by line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "format/notify.h"
#include "fuzz.h"

static bool has_line(const char *data, size_t length, const char *line)
{
    size_t n = strlen(line);

    for (size_t i = 0; i + n <= length; i++) {
        bool begins = i == 0 || data[i - 1] == '\n';
        bool ends = i + n == length || data[i + n] == '\n';
        if (begins && ends && memcmp(data + i, line, n) == 0)
            return true;
    }
    return false;
}

static bool same(const HfNotify *a, const HfNotify *b)
{
    return a->ready == b->ready && a->reloading == b->reloading && a->stopping == b->stopping &&
           a->has_main_pid == b->has_main_pid && a->main_pid == b->main_pid &&
           a->has_extend_timeout == b->has_extend_timeout &&
           a->extend_timeout == b->extend_timeout && a->has_status == b->has_status &&
           memcmp(a->status, b->status, sizeof(a->status)) == 0;
}

static void check_values(const char *data, size_t length, const HfNotify *notify)
{
    size_t status = strnlen(notify->status, sizeof(notify->status));

    CHECK(notify->ready == has_line(data, length, "READY=1"));
    CHECK(notify->reloading == has_line(data, length, "RELOADING=1"));
    CHECK(notify->stopping == has_line(data, length, "STOPPING=1"));
    CHECK(notify->has_main_pid ? notify->main_pid > 0 && notify->main_pid <= INT32_MAX
                               : notify->main_pid == 0);
    CHECK(notify->has_extend_timeout ? notify->extend_timeout <= HF_USEC_MAX
                                     : notify->extend_timeout == 0);
    CHECK(status < sizeof(notify->status));
    CHECK(is_printable(notify->status, status));
    CHECK(notify->has_status || status == 0);
}

/* data with more behind it. */
static void check_with(const char *data, size_t length, const char *more, const HfNotify *want)
{
    size_t total = length + strlen(more);
    HfNotify notify;

    if (total > HF_NOTIFY_MAX)
        return;
    char *longer = must(malloc(total + 1));
    if (length > 0)
        memcpy(longer, data, length);
    memcpy(longer + length, more, strlen(more));
    longer[total] = '\0';
    CHECK(hf_notify_parse(longer, total, &notify) == 0);
    CHECK(same(&notify, want));
    if (total < HF_NOTIFY_MAX) {
        CHECK(hf_notify_parse(longer, total + 1, &notify) == 0);
        CHECK(same(&notify, want));
    }
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *data = (const char *)bytes;
    size_t length = size > 0 && data[size - 1] == '\0' ? size - 1 : size;
    HfNotify untouched;
    HfNotify notify;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&notify, &untouched, sizeof(notify));
    int r = hf_notify_parse(data, size, &notify);
    if (size > HF_NOTIFY_MAX)
        CHECK(r == -EMSGSIZE);
    else if (length > 0 && memchr(data, 0, length))
        CHECK(r == -EBADMSG);
    else
        CHECK(r == 0);
    if (r < 0) {
        CHECK(memcmp(&notify, &untouched, sizeof(notify)) == 0);
        return 0;
    }
    check_values(data, length, &notify);
    check_with(data, length, "", &notify);
    check_with(data, length, "\nUNKNOWN=1\nREADY=0\nMAINPID=-1\n", &notify);
    notify.ready = true;
    check_with(data, length, "\nREADY=1", &notify);
    return 0;
}
