/* SPDX-License-Identifier: MIT */
#include "format/notify.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"

/* One line of a message: not NUL-terminated. */
typedef struct Line {
    const char *text;
    size_t length;
} Line;

/* Does the line start with key, such as "NAME="? Then ret_value is the rest. */
static bool has_key(const Line *line, const char *key, Line *ret_value)
{
    size_t length = strlen(key);
    if (line->length < length || memcmp(line->text, key, length) != 0)
        return false;
    *ret_value = (Line){line->text + length, line->length - length};
    return true;
}

static bool is_one(const Line *value)
{
    return value->length == 1 && *value->text == '1';
}

static int parse_number(const Line *value, uint64_t maximum, uint64_t *ret)
{
    char digits[32];
    if (value->length >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, value->text, value->length);
    digits[value->length] = '\0';
    return hf_parse_uint(digits, maximum, ret);
}

static void parse_line(const Line *line, HfNotify *notify)
{
    Line value;
    uint64_t number;
    if (has_key(line, "READY=", &value)) {
        notify->ready |= is_one(&value);
    } else if (has_key(line, "RELOADING=", &value)) {
        notify->reloading |= is_one(&value);
    } else if (has_key(line, "WATCHDOG=", &value)) {
        notify->alive |= is_one(&value);
        notify->trouble |= value.length == 7 && memcmp(value.text, "trigger", 7) == 0;
    } else if (has_key(line, "STOPPING=", &value)) {
        notify->stopping |= is_one(&value);
    } else if (has_key(line, "MAINPID=", &value)) {
        if (parse_number(&value, INT32_MAX, &number) == 0 && number > 0) {
            notify->has_main_pid = true;
            notify->main_pid = (int64_t)number;
        }
    } else if (has_key(line, "EXTEND_TIMEOUT_USEC=", &value)) {
        int r = parse_number(&value, HF_USEC_MAX, &number);
        if (r != -EINVAL) {
            notify->has_extend_timeout = true;
            notify->extend_timeout = r == 0 ? number : HF_USEC_MAX;
        }
    } else if (has_key(line, "STATUS=", &value)) {
        notify->has_status = true;
        hf_text_printable(value.text, value.length, notify->status, sizeof(notify->status));
    }
}

int hf_notify_parse(const char *data, size_t length, HfNotify *ret)
{
    if (length > HF_NOTIFY_MAX)
        return -EMSGSIZE;
    if (length > 0 && data[length - 1] == '\0')
        length--;
    if (length > 0 && memchr(data, 0, length))
        return -EBADMSG;

    HfNotify notify = {0};
    while (length > 0) {
        const char *newline = memchr(data, '\n', length);
        Line line = {data, newline ? (size_t)(newline - data) : length};
        parse_line(&line, &notify);
        size_t taken = line.length + (newline != NULL);
        data += taken;
        length -= taken;
    }
    *ret = notify;
    return 0;
}
