#include "service/php_fpm/lines.h"

#include <string.h>

#define DATE_MAX      40  /* bytes of "23-Nov-2026 23:43:49.626973" with room */
#define LOG_LIMIT_MIN 512 /* the smallest log_limit that php-fpm takes; it counts the newline */

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
