/* SPDX-License-Identifier: MIT */
/* The overlay: every line that is expected and none more, and each value as it was given. The first
 * byte has the switches; then strings that end in NUL: include's path, the pid file, and pool,
 * listen, pm.status_listen, pm.status_path and ping.path of each override ("-": leave). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

#define OVERRIDES_MAX 8
#define STRINGS       5 /* of an override */
#define BEFORE        "; before\n"

typedef struct Strings {
    char *include;
    char *pid_file;
    char *overrides[OVERRIDES_MAX][STRINGS];
    HfPhpfpmOverride list[OVERRIDES_MAX];
    size_t n;
} Strings;

static const char *unless_dash(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

static void read_strings(Input *input, Strings *strings)
{
    strings->include = input_string(input);
    strings->pid_file = input_string(input);
    while (strings->n < OVERRIDES_MAX && input->size > 0) {
        char **of = strings->overrides[strings->n];
        for (size_t i = 0; i < STRINGS; i++)
            of[i] = input_string(input);
        strings->list[strings->n++] = (HfPhpfpmOverride){
            .pool = of[0],
            .listen = unless_dash(of[1]),
            .status_listen = unless_dash(of[2]),
            .status_path = unless_dash(of[3]),
            .ping_path = unless_dash(of[4]),
        };
    }
}

static void free_strings(Strings *strings)
{
    free(strings->include);
    free(strings->pid_file);
    for (size_t i = 0; i < strings->n; i++)
        for (size_t k = 0; k < STRINGS; k++)
            free(strings->overrides[i][k]);
}

/* Moves *text behind "BEFORE value AFTER newline", the value plain or in quotes that keep it. */
static void take_value(const char **text, const char *before, const char *value, const char *after)
{
    size_t length = strlen(value);
    CHECK(is_clean(value));
    const char *start = *text + strlen(before);
    char quote = *start == '\'' || *start == '"' ? *start : '\0';

    CHECK(strncmp(*text, before, strlen(before)) == 0);
    start += quote != '\0';
    CHECK(strncmp(start, value, length) == 0);
    CHECK(quote == '\0' ? strpbrk(value, " \t\"'$\\;=&|!~^(){}[]#") == NULL
                        : !strchr(value, quote));
    CHECK(quote != '"' || !strpbrk(value, "$\\"));
    start += length;
    CHECK(quote == '\0' || *start++ == quote);
    CHECK(strncmp(start, after, strlen(after)) == 0);
    start += strlen(after);
    CHECK(*start == '\n');
    *text = start + 1;
}

static void take_line(const char **text, const char *line)
{
    CHECK(strncmp(*text, line, strlen(line)) == 0);
    *text += strlen(line);
}

static uint64_t take_seconds(const char **text)
{
    char *end;
    uint64_t seconds = strtoull(*text, &end, 10);

    CHECK(strncmp(end, "s\n", 2) == 0);
    *text = end + 2;
    return seconds;
}

static void check_text(const HfPhpfpmOverlay *overlay, const char *text)
{
    take_line(&text, BEFORE "include = ");
    take_line(&text, overlay->include);
    take_line(&text, "\n");
    for (size_t i = 0; i < overlay->n_overrides; i++) {
        const HfPhpfpmOverride *override = &overlay->overrides[i];
        if (!override->listen && !override->status_listen && !override->status_path &&
            !override->ping_path)
            continue;
        take_value(&text, "[", override->pool, "]");
        if (override->listen)
            take_value(&text, "listen = ", override->listen, "");
        if (override->status_listen)
            take_value(&text, "pm.status_listen = ", override->status_listen, "");
        if (override->status_path)
            take_value(&text, "pm.status_path = ", override->status_path, "");
        if (override->ping_path)
            take_value(&text, "ping.path = ", override->ping_path, "");
    }
    take_line(&text, "[global]\ndaemonize = no\nprocess_control_timeout = ");
    uint64_t seconds = take_seconds(&text);
    CHECK(seconds >= 1 && seconds <= UINT64_C(24) * 86400 + 86400);
    CHECK(seconds * HF_USEC_PER_SEC >= overlay->drain_timeout || seconds > UINT64_C(24) * 86400);
    if (overlay->pid_file)
        take_value(&text, "pid = ", overlay->pid_file, "");
    if (overlay->systemd_interval)
        take_line(&text, "systemd_interval = 0\n");
    CHECK(*text == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    unsigned switches = input_byte(&input);
    Strings strings = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_FREE char *include = NULL;

    read_strings(&input, &strings);
    const HfPhpfpmArguments arguments = {.configuration =
                                             *strings.include ? strings.include : NULL};
    if (hf_phpfpm_include(&arguments, "/srv", 0, &include) == 0) {
        const HfPhpfpmOverlay overlay = {
            .include = include,
            .pid_file = unless_dash(strings.pid_file),
            .drain_timeout = (switches & 2 ? UINT64_C(1) << (switches >> 2) : 0) +
                             (switches & 4 ? HF_USEC_PER_SEC : 1),
            .systemd_interval = switches & 1,
            .overrides = strings.list,
            .n_overrides = strings.n,
        };
        hf_text_add(&text, BEFORE);
        int r = hf_phpfpm_overlay(&overlay, &text);
        CHECK(r == 0 || r == -EINVAL);
        if (r == 0)
            check_text(&overlay, hf_text_peek(&text));
        else
            CHECK(strcmp(hf_text_peek(&text), BEFORE) == 0);
    }
    free_strings(&strings);
    return 0;
}
