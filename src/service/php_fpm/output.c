/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/parse.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

/* ---- its lines ---- */

#define DATE_MAX      40  /* bytes of "23-Nov-2026 23:43:49.626973" with room */
#define LOG_LIMIT_MIN 512 /* the smallest log_limit that php-fpm accepts; includes the newline */

typedef struct Span {
    const char *text;
    size_t length;
} Span;

static const char *const level_names[HF_PHPFPM_LEVEL_MAX_] = {
    [HF_PHPFPM_PLAIN] = "",          [HF_PHPFPM_DEBUG] = "DEBUG: ",
    [HF_PHPFPM_NOTICE] = "NOTICE: ", [HF_PHPFPM_WARNING] = "WARNING: ",
    [HF_PHPFPM_ERROR] = "ERROR: ",   [HF_PHPFPM_ALERT] = "ALERT: ",
};

static void advance(Span *span, size_t n)
{
    span->text += n;
    span->length -= n;
}

static bool skip_word(Span *span, const char *word)
{
    size_t n = strlen(word);
    if (span->length < n || memcmp(span->text, word, n) != 0)
        return false;
    advance(span, n);
    return true;
}

static bool skip_digits(Span *span)
{
    size_t n = 0;
    while (n < span->length && span->text[n] >= '0' && span->text[n] <= '9')
        n++;
    advance(span, n);
    return n > 0;
}

static bool skip_date(Span *span)
{
    if (!skip_word(span, "["))
        return false;
    for (size_t n = 0; n < span->length && n < DATE_MAX; n++) {
        char c = span->text[n];
        if (c == ']') {
            advance(span, n);
            return n > 0 && skip_word(span, "] ");
        }
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !strchr("0123456789-:. ", c))
            return false;
    }
    return false;
}

/* "pid 12, fpm_conf_dump(), line 34: ", which log_level = debug adds. */
static void skip_place(Span *span)
{
    Span rest = *span;
    if (!skip_word(&rest, "pid ") || !skip_digits(&rest) || !skip_word(&rest, ", "))
        return;
    while (rest.length > 0 && *rest.text != '(')
        advance(&rest, 1);
    if (skip_word(&rest, "(), line ") && skip_digits(&rest) && skip_word(&rest, ": "))
        *span = rest;
}

bool hf_phpfpm_line_next(const char **rest, size_t *rest_length, HfPhpfpmLine *ret)
{
    if (*rest_length == 0)
        return false;
    const char *newline = memchr(*rest, '\n', *rest_length);
    Span line = {*rest, newline ? (size_t)(newline - *rest) : *rest_length};
    size_t taken = line.length + (newline ? 1 : 0);
    *rest += taken;
    *rest_length -= taken;

    bool dots = line.length >= 3 && memcmp(line.text + line.length - 3, "...", 3) == 0;
    *ret = (HfPhpfpmLine){
        .text = line.text,
        .length = line.length,
        .cut = dots && taken >= LOG_LIMIT_MIN,
    };
    if (!skip_date(&line))
        return true;
    for (HfPhpfpmLevel level = HF_PHPFPM_DEBUG; level < HF_PHPFPM_LEVEL_MAX_; level++)
        if (skip_word(&line, level_names[level])) {
            skip_place(&line);
            ret->level = level;
            ret->text = line.text;
            ret->length = line.length;
            break;
        }
    return true;
}

/* ---- its complaints ---- */

#define COMPLAINT_MAX 1024 /* bytes of a line shown to people */

#define FROM_OVERLAY " from " HF_PHPFPM_OVERLAY_DIRECTORY

/* A dump indents its entries. */
static void skip_blanks(HfPhpfpmLine *line)
{
    while (line->length > 0 && (*line->text == ' ' || *line->text == '\t')) {
        line->text++;
        line->length--;
    }
}

/* php-fpm logs the output of a script, even a fatal error, as a notice. */
static bool complains(const HfPhpfpmLine *line)
{
    static const char script[] = "PHP message: ";

    return line->level == HF_PHPFPM_PLAIN || line->level >= HF_PHPFPM_WARNING ||
           (line->level == HF_PHPFPM_NOTICE && line->length >= sizeof(script) - 1 &&
            memcmp(line->text, script, sizeof(script) - 1) == 0);
}

/* Users cannot do anything about the place of our overlay. */
static void drop_overlay(HfPhpfpmLine *line)
{
    static const char loading[] = "failed to load configuration file '" HF_PHPFPM_OVERLAY_DIRECTORY;

    if (memmem(line->text, line->length, loading, sizeof(loading) - 1))
        line->length = 0;
    const char *from = memmem(line->text, line->length, FROM_OVERLAY, sizeof(FROM_OVERLAY) - 1);
    if (from)
        line->length = (size_t)(from - line->text);
}

/* Returns how many lines were added. */
static size_t add_lines(const char *output, size_t length, size_t max_lines, bool all, HfText *text)
{
    char printable[COMPLAINT_MAX];
    HfPhpfpmLine line;
    size_t n = 0;

    while (n < max_lines && hf_phpfpm_line_next(&output, &length, &line)) {
        skip_blanks(&line);
        drop_overlay(&line);
        if (line.length == 0 || (!all && !complains(&line)))
            continue;
        hf_text_printable(line.text, line.length, printable, sizeof(printable));
        hf_text_addf(text, "%s%s", n > 0 ? "\n" : "", printable);
        n++;
    }
    return n;
}

void hf_phpfpm_complaint(const char *output, size_t length, size_t max_lines, HfText *text)
{
    if (add_lines(output, length, max_lines, false, text) == 0)
        add_lines(output, length, max_lines, true, text);
}

static bool contains(const HfPhpfpmLine *line, const char *words)
{
    return memmem(line->text, line->length, words, strlen(words)) != NULL;
}

bool hf_phpfpm_include_missed(const char *output, size_t length)
{
    HfPhpfpmLine line;

    while (hf_phpfpm_line_next(&output, &length, &line))
        if (line.level == HF_PHPFPM_WARNING &&
            contains(&line, "Nothing matches the include pattern '") &&
            contains(&line, "' from " HF_PHPFPM_OVERLAY_DIRECTORY) &&
            contains(&line, " at line 1."))
            return true;
    return false;
}

/* ---- its status page ---- */

#define NUMBER_MAX 24 /* digits and a NUL */

typedef struct Key {
    const char *name;
    size_t offset; /* of an uint64_t */
    bool needed;
    bool least; /* if repeated the smallest value counts, else the last */
} Key;

#define KEY(Type, text, member, ...)                                                               \
    {                                                                                              \
        text, offsetof(Type, member), __VA_ARGS__                                                  \
    }
static const Key status_keys[] = {
    KEY(HfScoreboard, "accepted conn:", accepted, true, false),
    KEY(HfScoreboard, "listen queue:", queued, false, false),
    KEY(HfScoreboard, "idle processes:", idle, true, false),
    KEY(HfScoreboard, "active processes:", active, true, false),
    KEY(HfScoreboard, "max children reached:", max_children, false, false),
    KEY(HfScoreboard, "slow requests:", slow, false, false),
    KEY(HfScoreboard, "memory peak:", memory_peak, false, false),
    KEY(HfScoreboard, "requests:", least, false, true), /* once for each worker */
};

static const Key cache_keys[] = {
    KEY(HfCacheFigures, "scripts:", scripts, true, false),
    KEY(HfCacheFigures, "keys:", keys, true, false),
    KEY(HfCacheFigures, "keys limit:", keys_limit, true, false),
    KEY(HfCacheFigures, "hits:", hits, true, false),
    KEY(HfCacheFigures, "misses:", misses, true, false),
    KEY(HfCacheFigures, "used:", used, true, false),
    KEY(HfCacheFigures, "free:", free, true, false),
    KEY(HfCacheFigures, "wasted:", wasted, true, false),
    KEY(HfCacheFigures, "full restarts:", full_restarts, true, false),
};

/* A number between blanks. */
static int parse_figure(const char *text, size_t length, uint64_t *ret)
{
    char number[NUMBER_MAX];

    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\r'))
        length--;
    if (length >= sizeof(number) || memchr(text, '\0', length))
        return -EBADMSG;
    memcpy(number, text, length);
    number[length] = '\0';
    return hf_parse_uint(number, UINT64_MAX, ret) < 0 ? -EBADMSG : 0;
}

static int parse_line(const char *line, size_t length, const Key *keys, size_t n_keys, char *row,
                      unsigned *seen)
{
    for (size_t i = 0; i < n_keys; i++) {
        size_t name = strlen(keys[i].name);
        uint64_t number;
        if (length < name || memcmp(line, keys[i].name, name) != 0)
            continue;
        uint64_t *field = (uint64_t *)(void *)(row + keys[i].offset);
        bool again = *seen & 1U << i;
        int r = parse_figure(line + name, length - name, &number);
        if (r >= 0 && !(keys[i].least && again && *field < number))
            *field = number;
        *seen |= 1U << i;
        return r;
    }
    return 0;
}

/* row: zeroed. */
static int parse_page(const char *page, size_t length, const Key *keys, size_t n_keys, void *row)
{
    unsigned seen = 0;

    if (length > HF_PHPFPM_STATUS_MAX)
        return -E2BIG;
    while (length > 0) {
        const char *end = memchr(page, '\n', length);
        size_t line = end ? (size_t)(end - page) : length;
        int r = parse_line(page, line, keys, n_keys, row, &seen);
        if (r < 0)
            return r;
        page += line + (end ? 1 : 0);
        length -= line + (end ? 1 : 0);
    }
    for (size_t i = 0; i < n_keys; i++)
        if (keys[i].needed && !(seen & 1U << i))
            return -ENODATA;
    return 0;
}

int hf_phpfpm_status_parse(const char *page, size_t length, HfScoreboard *ret)
{
    HfScoreboard status = {0};

    int r =
        parse_page(page, length, status_keys, sizeof(status_keys) / sizeof(*status_keys), &status);
    if (r >= 0)
        *ret = status;
    return r;
}

int hf_phpfpm_cache_parse(const char *page, size_t length, HfCacheFigures *ret)
{
    HfCacheFigures figures = {0};

    int r =
        parse_page(page, length, cache_keys, sizeof(cache_keys) / sizeof(*cache_keys), &figures);
    if (r >= 0)
        *ret = figures;
    return r;
}
