/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#ifndef __GLIBC__ /* musl only has names for the signals that may stop a service */
static const char *sigabbrev_np(int signal)
{
    static const char *const names[] = {
        [SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGABRT] = "ABRT",
        [SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGUSR2] = "USR2", [SIGTERM] = "TERM",
        [SIGCONT] = "CONT", [SIGSTOP] = "STOP", [SIGTSTP] = "TSTP", [SIGWINCH] = "WINCH",
    };
    return signal > 0 && signal <= SIGWINCH ? names[signal] : NULL;
}
#endif

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits of base (up to 10) and moves *text past them; *overflow is set when the number does
 * not fit. False when there is no digit. */
static bool read_digits(const char **text, unsigned base, uint64_t *ret, bool *overflow)
{
    const char *p = *text;
    uint64_t value = 0;
    for (; is_digit(*p) && (unsigned)(*p - '0') < base; p++) {
        *overflow |= __builtin_mul_overflow(value, base, &value);
        *overflow |= __builtin_add_overflow(value, (unsigned)(*p - '0'), &value);
    }
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

static int parse_whole(const char *text, unsigned base, uint64_t maximum, uint64_t *ret)
{
    uint64_t value;
    bool overflow = false;
    if (!read_digits(&text, base, &value, &overflow) || *text != '\0')
        return -EINVAL;
    if (overflow || value > maximum)
        return -ERANGE;
    *ret = value;
    return 0;
}

int hf_parse_uint(const char *text, uint64_t maximum, uint64_t *ret)
{
    return parse_whole(text, 10, maximum, ret);
}

int hf_parse_mode(const char *text, unsigned *ret)
{
    uint64_t value;
    int r = parse_whole(text, 8, 07777, &value);
    if (r < 0)
        return r;
    *ret = (unsigned)value;
    return 0;
}

#define MINUTE (60 * HF_USEC_PER_SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct {
    const char *name;
    uint64_t usec;
} units[] = {
    {"us", 1},
    {"usec", 1},
    {"\xc2\xb5s", 1},
    {"\xce\xbcs", 1},
    {"ms", HF_USEC_PER_MSEC},
    {"msec", HF_USEC_PER_MSEC},
    {"s", HF_USEC_PER_SEC},
    {"sec", HF_USEC_PER_SEC},
    {"second", HF_USEC_PER_SEC},
    {"seconds", HF_USEC_PER_SEC},
    {"m", MINUTE},
    {"min", MINUTE},
    {"minute", MINUTE},
    {"minutes", MINUTE},
    {"h", HOUR},
    {"hr", HOUR},
    {"hour", HOUR},
    {"hours", HOUR},
    {"d", DAY},
    {"day", DAY},
    {"days", DAY},
    {"w", 7 * DAY},
    {"week", 7 * DAY},
    {"weeks", 7 * DAY},
    /* systemd.time(7): 30.44 days, 365.25 days. */
    {"M", UINT64_C(2629800) * HF_USEC_PER_SEC},
    {"month", UINT64_C(2629800) * HF_USEC_PER_SEC},
    {"months", UINT64_C(2629800) * HF_USEC_PER_SEC},
    {"y", UINT64_C(31557600) * HF_USEC_PER_SEC},
    {"year", UINT64_C(31557600) * HF_USEC_PER_SEC},
    {"years", UINT64_C(31557600) * HF_USEC_PER_SEC},
};

/* Reads the unit at *text and moves *text past it. The end of the text counts as seconds. Returns 0
 * if there is no unit. */
static uint64_t read_unit(const char **text)
{
    if (**text == '\0')
        return HF_USEC_PER_SEC;
    size_t length = strcspn(*text, " 0123456789");
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, *text, length) == 0) {
            *text += length;
            return units[i].usec;
        }
    return 0;
}

int hf_parse_duration(const char *text, uint64_t *ret_usec)
{
    uint64_t total = 0;
    bool overflow = false;
    do {
        uint64_t whole;
        if (!read_digits(&text, 10, &whole, &overflow))
            return -EINVAL;
        const char *fraction = NULL;
        if (*text == '.') {
            fraction = ++text;
            if (!is_digit(*text))
                return -EINVAL;
            text += strspn(text, "0123456789");
        }
        const char *blanks = text;
        text += strspn(text, " ");
        if (*text == '\0' && text != blanks)
            return -EINVAL;
        uint64_t unit = read_unit(&text);
        if (unit == 0)
            return -EINVAL;

        uint64_t usec;
        overflow |= __builtin_mul_overflow(whole, unit, &usec);
        overflow |= __builtin_add_overflow(total, usec, &total);
        for (uint64_t weight = unit / 10; fraction && is_digit(*fraction); weight /= 10)
            overflow |=
                __builtin_add_overflow(total, weight * (unsigned)(*fraction++ - '0'), &total);

        blanks = text;
        text += strspn(text, " ");
        if (*text == '\0' && text != blanks)
            return -EINVAL;
    } while (*text != '\0');

    if (overflow || total > HF_USEC_MAX)
        return -ERANGE;
    *ret_usec = total;
    return 0;
}

int hf_parse_bytes(const char *text, uint64_t *ret)
{
    uint64_t value;
    bool overflow = false;
    if (!read_digits(&text, 10, &value, &overflow))
        return -EINVAL;
    if (*text != '\0') {
        static const char suffixes[] = "KMGTkmgt";
        const char *suffix = strchr(suffixes, *text);
        if (!suffix || text[1] != '\0')
            return -EINVAL;
        unsigned shift = 10 * ((unsigned)(suffix - suffixes) % 4 + 1);
        overflow |= __builtin_mul_overflow(value, UINT64_C(1) << shift, &value);
    }
    if (overflow)
        return -ERANGE;
    *ret = value;
    return 0;
}

int hf_parse_bool(const char *text, bool *ret)
{
    static const char *const words[][2] = {
        {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret = value;
                return 0;
            }
    return -EINVAL;
}

int hf_parse_signal(const char *text, uint64_t *ret)
{
    uint64_t number = 0;

    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    bool least = strncmp(text, "RTMIN", 5) == 0;
    if (least || strncmp(text, "RTMAX", 5) == 0) {
        uint64_t span = (uint64_t)(SIGRTMAX - SIGRTMIN);
        if (text[5] != '\0' &&
            (text[5] != (least ? '+' : '-') || hf_parse_uint(text + 6, span, &number) < 0))
            return -EINVAL;
        *ret = least ? (uint64_t)SIGRTMIN + number : (uint64_t)SIGRTMAX - number;
        return 0;
    }
    for (int i = 1; i < SIGRTMIN; i++) {
        const char *name = sigabbrev_np(i);
        bool same = name && strcmp(name, text) == 0;
        if (same || (i == SIGIO && strcmp(text, "IO") == 0)) {
            *ret = (uint64_t)i;
            return 0;
        }
    }
    if (hf_parse_uint(text, (uint64_t)SIGRTMAX, &number) < 0 || number == 0)
        return -EINVAL;
    *ret = number;
    return 0;
}

const char *hf_signal_name(int signal, char *ret)
{
    const char *name = sigabbrev_np(signal);

    if (name)
        snprintf(ret, HF_SIGNAL_NAME_SIZE, "%s", name);
    else if (signal >= SIGRTMIN)
        snprintf(ret, HF_SIGNAL_NAME_SIZE, "RTMIN+%d", signal - SIGRTMIN);
    else
        snprintf(ret, HF_SIGNAL_NAME_SIZE, "%d", signal);
    return ret;
}

/* ---- names ---- */

const char *hf_strtab_name(const char *const *table, size_t length, int value)
{
    return value >= 0 && (size_t)value < length ? table[value] : NULL;
}

int hf_strtab_value(const char *const *table, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (table[i] && strcmp(table[i], name) == 0)
            return (int)i;
    return -EINVAL;
}
