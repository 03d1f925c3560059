#include <string.h>

#include "service/php_fpm/lines.h"
#include "service/php_fpm/php_fpm.h"

#define COMPLAINT_MAX 1024 /* bytes of a line that people are shown */

#define FROM_OVERLAY " from " HF_PHPFPM_OVERLAY_DIRECTORY

/* The entries of a dump are indented. */
static void skip_blanks(HfPhpfpmLine *line)
{
    while (line->length > 0 && (*line->text == ' ' || *line->text == '\t')) {
        line->text++;
        line->length--;
    }
}

static bool complains(const HfPhpfpmLine *line)
{
    return line->level == HF_PHPFPM_PLAIN || line->level >= HF_PHPFPM_WARNING;
}

/* The overlay is ours: a user can do nothing with where it lies. */
static void drop_overlay(HfPhpfpmLine *line)
{
    static const char loading[] = "failed to load configuration file '" HF_PHPFPM_OVERLAY_DIRECTORY;

    if (memmem(line->text, line->length, loading, sizeof(loading) - 1))
        line->length = 0;
    const char *from = memmem(line->text, line->length, FROM_OVERLAY, sizeof(FROM_OVERLAY) - 1);
    if (from)
        line->length = (size_t)(from - line->text);
}

/* Returns how many lines it has added. */
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
