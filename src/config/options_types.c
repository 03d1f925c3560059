/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/option.h"
#include "format/capability.h"
#include "format/words.h"

static int parse_flag(const HfOption *option, const char *value, void *field, HfText *error)
{
    (void)option, (void)value, (void)error;
    *(bool *)field = true;
    return 0;
}

static int parse_help(const HfOption *option, const char *value, void *field, HfText *error)
{
    (void)option;
    if (value && strcmp(value, "all") != 0)
        return hf_option_refuse(error, "--help: %s is unknown; write --help, or --help=all",
                                HF_QUOTE(value));
    *(HfHelp *)field = value ? HF_HELP_ALL : HF_HELP_SHORT;
    return 0;
}

static int parse_name(const HfOption *option, const char *value, void *field, HfText *error)
{
    if (!hf_option_is_name(value, true) || value[0] == '.')
        return hf_option_refuse(
            error,
            "--%s: %s is not an instance name; write 1 to %d of a-z, 0-9, '_', '-' "
            "and '.', the first no '.'",
            option->name, HF_QUOTE(value), HF_NAME_MAX);
    return hf_string_set(field, value);
}

static int parse_text(const HfOption *option, const char *value, void *field, HfText *error)
{
    if (value[0] == '\0')
        return hf_option_refuse(error, "--%s: the text is empty; leave the option out",
                                option->name);
    return hf_string_set(field, value);
}

static int parse_directory(const HfOption *option, const char *value, void *field, HfText *error)
{
    if (value[0] != '/' || hf_text_has_control(value))
        return hf_option_refuse(
            error, "--%s: %s is not an absolute path; write it from the root, as /srv/www",
            option->name, HF_QUOTE(value));
    if (strlen(value) >= PATH_MAX)
        return hf_option_refuse(error, "--%s: %s is too long; a path has at most %d bytes",
                                option->name, HF_QUOTE(value), PATH_MAX - 1);
    return hf_string_set(field, value);
}

/* An instance's name or, where another user has one of that name, its directory. */
static int parse_instance(const HfOption *option, const char *value, void *field, HfText *error)
{
    return value[0] == '/' ? parse_directory(option, value, field, error)
                           : parse_name(option, value, field, error);
}

static int parse_file(const HfOption *option, const char *value, void *field, HfText *error)
{
    if (value[0] == '\0' || hf_text_has_control(value) || strlen(value) >= PATH_MAX)
        return hf_option_refuse(error, "--%s: %s is not the path of a file", option->name,
                                HF_QUOTE(value));
    return hf_string_set(field, value);
}

static const struct {
    const char *name;
    uint64_t usec;
} time_units[] = {
    {"h", 3600 * HF_USEC_PER_SEC},
    {"min", 60 * HF_USEC_PER_SEC},
    {"s", HF_USEC_PER_SEC},
    {"ms", HF_USEC_PER_MSEC},
    {"us", 1},
};

static void add_time(HfText *text, uint64_t usec)
{
    size_t i = 0;

    if (usec == 0) {
        hf_text_add(text, "0");
        return;
    }
    while (usec % time_units[i].usec != 0)
        i++;
    hf_text_addf(text, "%llu%s", (unsigned long long)(usec / time_units[i].usec),
                 time_units[i].name);
}

static int parse_time(const HfOption *option, const char *value, void *field, HfText *error)
{
    uint64_t usec;
    int r = hf_parse_duration(value, &usec);

    if (r == -ERANGE)
        return hf_option_refuse(error, "--%s: %s is too long; write at most %llud", option->name,
                                HF_QUOTE(value),
                                (unsigned long long)(HF_USEC_MAX / HF_USEC_PER_SEC / 86400));
    if (r < 0)
        return hf_option_refuse(error, "--%s: %s is not a time; write 30s, 1min or 500ms",
                                option->name, HF_QUOTE(value));
    if (usec < option->minimum) {
        hf_text_addf(error, "--%s: %s is too short; write at least ", option->name,
                     HF_QUOTE(value));
        add_time(error, option->minimum);
        return -EINVAL;
    }
    *(uint64_t *)field = usec;
    return 0;
}

static void show_time(const HfOption *option, const void *field, HfText *text)
{
    (void)option;
    add_time(text, *(const uint64_t *)field);
}

static int parse_period(const HfOption *option, const char *value, void *field, HfText *error)
{
    if (strcmp(value, "never") != 0)
        return parse_time(option, value, field, error);
    *(uint64_t *)field = HF_USEC_INFINITY;
    return 0;
}

static void show_period(const HfOption *option, const void *field, HfText *text)
{
    if (*(const uint64_t *)field == HF_USEC_INFINITY)
        hf_text_add(text, "never");
    else
        show_time(option, field, text);
}

static int parse_number(const HfOption *option, const char *value, void *field, HfText *error)
{
    uint64_t number;

    if (hf_parse_uint(value, option->maximum, &number) < 0 || number < option->minimum)
        return hf_option_refuse(error, "--%s: %s is not a number from %llu to %llu", option->name,
                                HF_QUOTE(value), (unsigned long long)option->minimum,
                                (unsigned long long)option->maximum);
    *(uint64_t *)field = number;
    return 0;
}

static void show_number(const HfOption *option, const void *field, HfText *text)
{
    (void)option;
    hf_text_addf(text, "%llu", (unsigned long long)*(const uint64_t *)field);
}

static int parse_take_over(const HfOption *option, const char *value, void *field, HfText *error)
{
    HfSettings *settings = field;
    uint64_t pid = 0;

    if (value && (hf_parse_uint(value, INT32_MAX, &pid) < 0 || pid == 0))
        return hf_option_refuse(error,
                                "--%s: %s is not a pid; write --%s=PID, or --%s alone for whoever "
                                "holds the sockets",
                                option->name, HF_QUOTE(value), option->name, option->name);
    settings->take_over = true;
    settings->take_over_pid = pid;
    return 0;
}

static int parse_memory(const HfOption *option, const char *value, void *field, HfText *error)
{
    uint64_t bytes = 0;

    if (strcmp(value, "never") != 0 &&
        (hf_parse_bytes(value, &bytes) < 0 || bytes < option->minimum))
        return hf_option_refuse(
            error, "--%s: %s is not a size of %lluM or more; write 512M, 2G or never", option->name,
            HF_QUOTE(value), (unsigned long long)option->minimum / (1024 * 1024));
    *(uint64_t *)field = bytes;
    return 0;
}

static void show_memory(const HfOption *option, const void *field, HfText *text)
{
    (void)option, (void)field;
    hf_text_add(text, "never");
}

static int parse_ready_text(const HfOption *option, const char *text, HfSettings *settings,
                            HfText *error)
{
    if (text[0] == '\0' || hf_text_has_control(text))
        return hf_option_refuse(
            error,
            "--%s: %s is not the text of a line; write what the service logs once "
            "it is ready, as log:listening",
            option->name, HF_QUOTE(text));
    if (strlen(text) > HF_MATCHER_MAX)
        return hf_option_refuse(error, "--%s: %s is too long; write at most %d bytes of it",
                                option->name, HF_QUOTE(text), HF_MATCHER_MAX);
    int r = hf_string_set(&settings->ready_text, text);
    if (r >= 0)
        settings->readiness = HF_READINESS_LOG;
    return r;
}

static int parse_ready(const HfOption *option, const char *value, void *field, HfText *error)
{
    static const char delay[] = "delay:";
    static const char log[] = "log:";
    HfSettings *settings = field;

    if (strncmp(value, delay, sizeof(delay) - 1) == 0) {
        int r = parse_time(option, value + sizeof(delay) - 1, &settings->ready_delay, error);
        if (r >= 0)
            settings->readiness = HF_READINESS_DELAY;
        return r;
    }
    if (strncmp(value, log, sizeof(log) - 1) == 0)
        return parse_ready_text(option, value + sizeof(log) - 1, settings, error);
    int number = hf_readiness_value(value);
    if (number < 0 || number == HF_READINESS_DELAY || number == HF_READINESS_LOG)
        return hf_option_refuse(error,
                                "--%s: %s is unknown; write auto, notify, pidfile, delay:2s or "
                                "log:TEXT",
                                option->name, HF_QUOTE(value));
    settings->readiness = (HfReadiness)number;
    return 0;
}

static void show_ready(const HfOption *option, const void *field, HfText *text)
{
    const HfSettings *settings = field;

    (void)option;
    hf_text_add(text, hf_readiness_name(settings->readiness));
}

static int refuse_capability(const HfOption *option, const char *name, size_t length, HfText *error)
{
    const char *known[HF_CAPABILITY_COUNT];
    char echo[HF_OPTION_ECHO_SIZE];

    for (unsigned i = 0; i < HF_CAPABILITY_COUNT; i++)
        known[i] = hf_capability_name(i);
    const char *nearest = hf_option_nearest(name, length, known, HF_CAPABILITY_COUNT);
    hf_text_addf(error, "--%s: %s is not a capability; ", option->name,
                 hf_option_echo(name, length, true, echo));
    if (nearest)
        hf_text_addf(error, "did you mean %s?", nearest);
    else
        hf_text_add(error, "write none, or names of capabilities(7) as net_bind_service,kill");
    return -EINVAL;
}

static int parse_capabilities(const HfOption *option, const char *value, void *field, HfText *error)
{
    const char *unknown;
    size_t length;

    int r = hf_capabilities_parse(value, field, &unknown, &length);
    return r < 0 ? refuse_capability(option, unknown, length, error) : 0;
}

#define CHOICES_MAX 8

static int parse_choice(const HfOption *option, const char *value, void *field, HfText *error)
{
    const char *words[CHOICES_MAX];
    size_t n = 0;

    for (const char *word; (word = option->type->choice(n)); n++) {
        assert(n < CHOICES_MAX);
        if (strcmp(word, value) == 0) {
            int number = (int)n;
            memcpy(field, &number, sizeof(number));
            return 0;
        }
        words[n] = word;
    }
    hf_text_addf(error, "--%s: %s is not a valid %s; write ", option->name, HF_QUOTE(value),
                 option->name);
    hf_option_join(error, words, n, " or ");
    return -EINVAL;
}

static void show_choice(const HfOption *option, const void *field, HfText *text)
{
    int number;

    memcpy(&number, field, sizeof(number));
    hf_text_add(text, option->type->choice((size_t)number));
}

/* A word that the service room checks: it knows more of them than --help names. */
static int parse_word(const HfOption *option, const char *value, void *field, HfText *error)
{
    (void)option, (void)error;
    return hf_string_set(field, strcmp(value, "auto") == 0 ? NULL : value);
}

static void show_word(const HfOption *option, const void *field, HfText *text)
{
    (void)option, (void)field;
    hf_text_add(text, "auto");
}

static const char *choose_adapter(size_t i)
{
    static const char *const words[] = {"auto", "php-fpm", "php-cgi", "generic", NULL};

    return words[i];
}

static const char *choose_handoff(size_t i)
{
    static const char *const words[] = {"auto",  "listen-fds",     "php-fpm",
                                        "stdin", "server-starter", NULL};

    return words[i];
}

static const char *choose_stop_signal(size_t i)
{
    static const char *const words[] = {"auto", "TERM", "QUIT",  "INT",     "HUP",
                                        "USR1", "USR2", "WINCH", "RTMIN+3", NULL};

    return words[i];
}

static int parse_stop_signal(const HfOption *option, const char *value, void *field, HfText *error)
{
    uint64_t number = 0;

    if (strcmp(value, "auto") != 0 && hf_parse_signal(value, &number) < 0)
        return hf_option_refuse(error,
                                "--%s: %s is not a signal; write its name, as TERM, SIGWINCH or "
                                "RTMIN+3, its number, or auto",
                                option->name, HF_QUOTE(value));
    if (number == SIGKILL || number == SIGSTOP)
        return hf_option_refuse(error,
                                "--%s: %s cannot be caught, so no request could finish; write "
                                "another one, or --drain-timeout=0",
                                option->name, HF_QUOTE(value));
    *(uint64_t *)field = number;
    return 0;
}

static bool equal_ready(const void *a, const void *b)
{
    const HfSettings *left = a;
    const HfSettings *right = b;

    if (left->readiness == HF_READINESS_LOG && right->readiness == HF_READINESS_LOG)
        return strcmp(left->ready_text, right->ready_text) == 0;
    return left->readiness == right->readiness && left->ready_delay == right->ready_delay;
}

const HfOptionType hf_option_type_flag = {.parse = parse_flag, .no_value = true};
const HfOptionType hf_option_type_help = {.parse = parse_help, .optional_value = true};
const HfOptionType hf_option_type_name = {
    .parse = parse_name, .equal = hf_option_equal_string, .completion = HF_COMPLETION_INSTANCE};
const HfOptionType hf_option_type_instance = {
    .parse = parse_instance, .equal = hf_option_equal_string, .completion = HF_COMPLETION_INSTANCE};
const HfOptionType hf_option_type_text = {.parse = parse_text, .equal = hf_option_equal_string};
const HfOptionType hf_option_type_directory = {.parse = parse_directory,
                                               .equal = hf_option_equal_string,
                                               .completion = HF_COMPLETION_DIRECTORY};
const HfOptionType hf_option_type_file = {
    .parse = parse_file, .equal = hf_option_equal_string, .completion = HF_COMPLETION_FILE};
const HfOptionType hf_option_type_time = {
    .parse = parse_time, .show = show_time, .equal = hf_option_equal_number};
const HfOptionType hf_option_type_period = {
    .parse = parse_period, .show = show_period, .equal = hf_option_equal_number};
const HfOptionType hf_option_type_number = {
    .parse = parse_number, .show = show_number, .equal = hf_option_equal_number};
const HfOptionType hf_option_type_count = {.parse = parse_number, .equal = hf_option_equal_number};
const HfOptionType hf_option_type_memory = {
    .parse = parse_memory, .show = show_memory, .equal = hf_option_equal_number};
const HfOptionType hf_option_type_ready = {
    .parse = parse_ready, .show = show_ready, .equal = equal_ready};
const HfOptionType hf_option_type_take_over = {.parse = parse_take_over, .optional_value = true};
const HfOptionType hf_option_type_adapter = {.parse = parse_word,
                                             .show = show_word,
                                             .choice = choose_adapter,
                                             .equal = hf_option_equal_string};
const HfOptionType hf_option_type_handoff = {.parse = parse_word,
                                             .show = show_word,
                                             .choice = choose_handoff,
                                             .equal = hf_option_equal_string};
const HfOptionType hf_option_type_stop_signal = {.parse = parse_stop_signal,
                                                 .show = show_word,
                                                 .choice = choose_stop_signal,
                                                 .equal = hf_option_equal_number};
const HfOptionType hf_option_type_capabilities = {.parse = parse_capabilities,
                                                  .equal = hf_option_equal_number};

/* A kind of value that is one of the names of an enum. */
#define CHOICE(kind, Type)                                                                         \
    static const char *choose_##kind(size_t i)                                                     \
    {                                                                                              \
        return hf_##kind##_name((Type)i);                                                          \
    }                                                                                              \
    const HfOptionType hf_option_type_##kind = {                                                   \
        .parse = parse_choice, .show = show_choice, .choice = choose_##kind}

CHOICE(handover, HfHandover);
CHOICE(notify_access, HfNotifyAccess);
CHOICE(kill_mode, HfKillMode);
CHOICE(cgroup_use, HfCgroupUse);
CHOICE(stdin, HfStdin);
CHOICE(log_format, HfLogFormat);
CHOICE(log_level, HfLogLevel);
