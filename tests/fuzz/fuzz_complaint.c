/* SPDX-License-Identifier: MIT */
/* php-fpm's own words, made presentable; the first byte is the number of lines that are wanted. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

#define LINE_MAX_ 1024

/* What php-fpm says of the overlay itself is ours alone. */
static bool is_shown(const HfPhpfpmLine *line)
{
    static const char loading[] = "failed to load configuration file '" HF_PHPFPM_OVERLAY_DIRECTORY;
    bool blank = true;

    for (size_t i = 0; i < line->length; i++)
        blank = blank && (line->text[i] == ' ' || line->text[i] == '\t');
    return !blank && !memmem(line->text, line->length, loading, sizeof(loading) - 1);
}

/* Every line lies in the output, in order, and no byte but a newline is left between. Returns
 * whether there is a line that people could be shown. */
static bool check_lines(const char *output, size_t length)
{
    const char *rest = output;
    size_t rest_length = length;
    bool any = false;
    HfPhpfpmLine line;

    while (true) {
        const char *before = rest;
        size_t before_length = rest_length;
        if (!hf_phpfpm_line_next(&rest, &rest_length, &line))
            break;
        size_t taken = before_length - rest_length;
        CHECK(taken > 0 && rest == before + taken);
        CHECK(line.level < HF_PHPFPM_LEVEL_MAX_);
        CHECK(line.text >= before && line.text + line.length <= rest);
        size_t end = (size_t)(line.text - before) + line.length;
        CHECK(end == taken || (end + 1 == taken && before[end] == '\n'));
        CHECK(line.length == 0 || !memchr(line.text, '\n', line.length));
        any |= is_shown(&line);
    }
    CHECK(rest_length == 0 && rest == output + length);
    return any;
}

static void check_shown(const char *text, size_t max_lines, bool any)
{
    size_t n = 0;

    CHECK((*text != '\0') == (any && max_lines > 0));
    for (const char *line = text; *text; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        n++;
        CHECK(length > 0 && length < LINE_MAX_);
        CHECK(*line != ' ' && *line != '\t');
        CHECK(is_printable(line, length));
        if (line[length] == '\0')
            break;
    }
    CHECK(n <= max_lines);
}

static void check_missed(const char *output, size_t length)
{
    static const char noise[] = "\n[24-Nov-2026 00:08:26] NOTICE: [pool www]\n";
    static const char missed[] =
        "\n[24-Nov-2026 00:08:26] WARNING: Nothing matches the include pattern '/none' from "
        "/proc/self/fd/4 at line 1.\n";
    static const char words[] = "' from " HF_PHPFPM_OVERLAY_DIRECTORY;
    bool is = hf_phpfpm_include_missed(output, length);

    CHECK(!is || memmem(output, length, words, sizeof(words) - 1));
    char *longer = must(malloc(length + sizeof(noise) + sizeof(missed)));
    if (length > 0)
        memcpy(longer, output, length);
    memcpy(longer + length, noise, sizeof(noise) - 1);
    CHECK(hf_phpfpm_include_missed(longer, length + sizeof(noise) - 1) == is);
    memcpy(longer + length, missed, sizeof(missed) - 1);
    CHECK(hf_phpfpm_include_missed(longer, length + sizeof(missed) - 1));
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    size_t max_lines = input_byte(&input) % 8;
    const char *output = (const char *)input.data;
    HF_CLEANUP_TEXT HfText text = {0};

    bool any = check_lines(output, input.size);
    hf_phpfpm_complaint(output, input.size, max_lines, &text);
    CHECK(strlen(hf_text_peek(&text)) == text.length);
    check_shown(hf_text_peek(&text), max_lines, any);
    check_missed(output, input.size);
    return 0;
}
