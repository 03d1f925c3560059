#include <errno.h>
#include <string.h>

#include "config/options_table.h"

static const char blanks[] = " \t\r\v\f";

/* Cuts the blanks at both ends. */
static char *trim(char *text)
{
    text += strspn(text, blanks);
    size_t length = strlen(text);

    while (length > 0 && strchr(blanks, text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void refuse_unknown(const char *name, HfVerb verb, HfText *error)
{
    const char *known[HF_OPTIONS_MAX];
    size_t n = 0;
    size_t dashes = strspn(name, "-");

    for (size_t i = 0; i < hf_option_count; i++)
        if (hf_option_table[i].in_file && hf_option_is_of(&hf_option_table[i], verb))
            known[n++] = hf_option_table[i].name;
    const char *nearest = hf_option_nearest(name + dashes, strlen(name + dashes), known, n);
    hf_text_addf(error, "unknown option %s", HF_QUOTE(name));
    if (nearest)
        hf_text_addf(error, "; did you mean %s?", nearest);
    else
        hf_text_add(error, "; see holdfast.conf(5)");
}

/* The row of that name, for a line of a file. NULL: refused. */
static const HfOption *find(const char *name, HfVerb verb, HfText *error)
{
    size_t length = strlen(name);
    const HfOption *option = hf_option_find(name, length, verb);

    if (option && option->in_file)
        return option;
    if (option)
        hf_text_addf(error, "%s can only stand on the command line", name);
    else if (hf_option_find(name, length, HF_VERB_MAX_))
        hf_option_refuse_elsewhere(name, length, verb, error);
    else
        refuse_unknown(name, verb, error);
    return NULL;
}

/* text: NAME, NAME=VALUE or what does not count; written over. */
static int apply_line(char *text, HfCommandLine *line, HfText *error)
{
    char *value = trim(text);

    if (*value == '\0' || *value == '#' || *value == ';')
        return 0;
    const char *name = trim(strsep(&value, "="));
    value = value ? trim(value) : NULL;
    const HfOption *option = find(name, line->verb, error);
    if (!option)
        return -EINVAL;
    if (option->type->no_value && value)
        return hf_option_refuse(error, "%s takes no value; write just %s", name, name);
    if (!option->type->no_value && !value) {
        hf_text_addf(error, "%s needs a value; write %s", name, name);
        hf_option_add_argument(option, error);
        return -EINVAL;
    }
    return option->type->parse(option, value, (char *)line + option->offset, error);
}

/* text: length bytes. */
static int take_line(const char *text, size_t length, HfCommandLine *line, HfText *error)
{
    char copy[HF_OPTIONS_FILE_LINE_MAX + 1];

    if (length > HF_OPTIONS_FILE_LINE_MAX)
        return hf_option_refuse(error, "the line is too long; %d bytes are the most",
                                HF_OPTIONS_FILE_LINE_MAX);
    if (memchr(text, '\0', length))
        return hf_option_refuse(error, "there is a NUL in the line; is it a text file?");
    memcpy(copy, text, length);
    copy[length] = '\0';
    return apply_line(copy, line, error);
}

int hf_options_apply_file(const HfOptionsFile *file, HfCommandLine *line, HfText *error)
{
    HF_CLEANUP_TEXT HfText why = {0};
    size_t at = 0;

    if (file->length > HF_OPTIONS_FILE_MAX)
        return hf_option_refuse(error, "%s: the file is too large; %d KiB are the most", file->path,
                                HF_OPTIONS_FILE_MAX / 1024);
    for (size_t number = 1; at < file->length; number++) {
        const char *text = file->text + at;
        const char *end = memchr(text, '\n', file->length - at);
        size_t length = end ? (size_t)(end - text) : file->length - at;
        int r = take_line(text, length, line, &why);
        if (r < 0) {
            /* what an option says of itself starts with its dashes, as on the command line */
            const char *words = hf_text_peek(&why) + (strncmp(hf_text_peek(&why), "--", 2) ? 0 : 2);
            hf_text_addf(error, "%s:%zu: %s", file->path, number, words);
            hf_text_fail(error, why.failed);
            return r;
        }
        at += length + 1;
    }
    return 0;
}
