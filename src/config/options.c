/* SPDX-License-Identifier: MIT */
#include "config/options.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "config/option.h"

/* The words still to be parsed. */
typedef struct Words {
    char *const *next;
    size_t n;
    const HfOptionsFile *file;
} Words;

static char *parse_word(Words *words)
{
    assert(words->n > 0);
    words->n--;
    return *words->next++;
}

static bool has_command(HfVerb verb)
{
    return verb == HF_VERB_RUN || verb == HF_VERB_EXEC || verb == HF_VERB_CHECK;
}

/* Appends " See holdfast run --help", or without the verb. */
static int refer_to_help(HfText *error, HfVerb verb, const char *see)
{
    hf_text_addf(error, "%s holdfast %s%s--help", see,
                 verb == HF_VERB_MAX_ ? "" : hf_verb_name(verb), verb == HF_VERB_MAX_ ? "" : " ");
    return -EINVAL;
}

/* The option closest to the length bytes at word; NULL when none is close. */
static const char *nearest_option(const char *word, size_t length, HfVerb verb, bool in_file)
{
    const char *known[HF_OPTIONS_MAX];
    size_t n = 0;
    size_t dashes = strspn(word, "-");

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        bool taken = verb == HF_VERB_MAX_ || hf_option_is_of(option, verb);
        if (taken && (option->in_file || !in_file))
            known[n++] = option->name;
    }
    return hf_option_nearest(word + dashes, length - dashes, known, n);
}

/* word: as given, with dashes; its first length bytes are the name. */
static int refuse_unknown(const char *word, size_t length, HfVerb verb, HfText *error)
{
    const char *nearest = nearest_option(word, length, verb, false);

    hf_text_addf(error, "unknown option %s",
                 hf_option_echo(word, length, false, (char[HF_OPTION_ECHO_SIZE]){0}));
    if (!nearest)
        return refer_to_help(error, verb, "; see");
    hf_text_addf(error, "; did you mean --%s?", nearest);
    return refer_to_help(error, verb, " See");
}

/* Appends "--NAME belongs to run and check, not to exec". */
static void refuse_elsewhere(const char *name, size_t length, HfVerb verb, HfText *error)
{
    const char *verbs[HF_VERB_MAX_];
    size_t n = 0;

    for (HfVerb other = 0; other < HF_VERB_MAX_; other++)
        if (hf_option_find(name, length, other))
            verbs[n++] = hf_verb_name(other);
    hf_text_addf(error, "--%.*s belongs to ", (int)length, name);
    hf_option_join(error, verbs, n, " and ");
    hf_text_addf(error, ", not to %s", hf_verb_name(verb));
}

/* The row that word names, and its value if one follows `=`. */
static int find_option(const char *word, HfVerb verb, const HfOption **ret, const char **ret_value,
                       HfText *error)
{
    size_t length = strcspn(word, "=");
    bool is_long = word[1] == '-';
    const HfOption *found = is_long ? hf_option_find(word + 2, length - 2, verb) : NULL;

    for (size_t i = 0; !is_long && i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        bool taken = verb == HF_VERB_MAX_ || hf_option_is_of(option, verb);
        if (taken && option->letter != '\0' && word[1] == option->letter && word[2] == '\0')
            found = option;
    }
    if (!found && is_long && hf_option_find(word + 2, length - 2, HF_VERB_MAX_)) {
        refuse_elsewhere(word + 2, length - 2, verb, error);
        return refer_to_help(error, verb, "; see");
    }
    if (!found)
        return refuse_unknown(word, length, verb, error);
    *ret = found;
    *ret_value = word[length] == '=' ? word + length + 1 : NULL;
    return 0;
}

static int apply_option(const HfOption *option, const char *value, Words *words,
                        HfCommandLine *line, HfText *error)
{
    if (option->type->no_value && value)
        return hf_option_refuse(error, "--%s takes no value; write just --%s", option->name,
                                option->name);
    if (!option->type->no_value && !option->type->optional_value && !value) {
        if (words->n == 0 || strncmp(words->next[0], "--", 2) == 0) {
            hf_text_addf(error, "--%s needs a value; write --%s", option->name, option->name);
            hf_option_add_argument(option, error);
            return refer_to_help(error, line->verb, ", and see");
        }
        value = parse_word(words);
    }
    return option->type->parse(option, value, (char *)line + option->offset, error);
}

/* Stops at --help, --version, `--`, or the first word that is not an option. */
static int parse_options(Words *words, HfCommandLine *line, HfText *error)
{
    while (words->n > 0 && words->next[0][0] == '-' && words->next[0][1] != '\0') {
        const char *word = parse_word(words);
        const HfOption *option;
        const char *value;

        if (strcmp(word, "--") == 0)
            return 0;
        int r = find_option(word, line->verb, &option, &value, error);
        if (r == 0)
            r = apply_option(option, value, words, line, error);
        if (r < 0 || line->help || line->version)
            return r;
    }
    return 0;
}

static const char blanks[] = " \t\r\v\f";

/* Removes the blanks at both ends. */
static char *trim(char *text)
{
    text += strspn(text, blanks);
    size_t length = strlen(text);

    while (length > 0 && strchr(blanks, text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void refuse_name(const char *name, HfVerb verb, HfText *error)
{
    const char *nearest = nearest_option(name, strlen(name), verb, true);

    hf_text_addf(error, "unknown option %s", HF_QUOTE(name));
    if (nearest)
        hf_text_addf(error, "; did you mean %s?", nearest);
    else
        hf_text_add(error, "; see holdfast.conf(5)");
}

/* The row of that name, for a line of a file. NULL: refused, with error. */
static const HfOption *find_in_file(const char *name, HfVerb verb, HfText *error)
{
    size_t length = strlen(name);
    const HfOption *option = hf_option_find(name, length, verb);

    if (option && option->in_file)
        return option;
    if (option)
        hf_text_addf(error, "%s can only stand on the command line", name);
    else if (hf_option_find(name, length, HF_VERB_MAX_))
        refuse_elsewhere(name, length, verb, error);
    else
        refuse_name(name, verb, error);
    return NULL;
}

/* text: NAME, NAME=VALUE or a line to ignore; overwritten. */
static int apply_setting(char *text, HfCommandLine *line, HfText *error)
{
    char *value = trim(text);

    if (*value == '\0' || *value == '#' || *value == ';')
        return 0;
    const char *name = trim(strsep(&value, "="));
    value = value ? trim(value) : NULL;
    const HfOption *option = find_in_file(name, line->verb, error);
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
static int apply_file_line(const char *text, size_t length, HfCommandLine *line, HfText *error)
{
    char copy[HF_OPTIONS_FILE_LINE_MAX + 1];

    if (length > HF_OPTIONS_FILE_LINE_MAX)
        return hf_option_refuse(error, "the line is too long; it may have %d bytes",
                                HF_OPTIONS_FILE_LINE_MAX);
    if (memchr(text, '\0', length))
        return hf_option_refuse(error, "there is a NUL in the line; is it a text file?");
    memcpy(copy, text, length);
    copy[length] = '\0';
    return apply_setting(copy, line, error);
}

/* All lines of a configuration file. Returns as hf_options_parse. */
static int apply_file(const HfOptionsFile *file, HfCommandLine *line, HfText *error)
{
    HF_CLEANUP_TEXT HfText why = {0};
    size_t at = 0;

    if (file->length > HF_OPTIONS_FILE_MAX)
        return hf_option_refuse(error, "%s: the file is too large; it may have %d KiB", file->path,
                                HF_OPTIONS_FILE_MAX / 1024);
    for (size_t number = 1; at < file->length; number++) {
        const char *text = file->text + at;
        const char *end = memchr(text, '\n', file->length - at);
        size_t length = end ? (size_t)(end - text) : file->length - at;
        int r = apply_file_line(text, length, line, &why);
        if (r < 0) {
            /* such an error starts with dashes, as on the command line */
            const char *words = hf_text_peek(&why) + (strncmp(hf_text_peek(&why), "--", 2) ? 0 : 2);
            hf_text_addf(error, "%s:%zu: %s", file->path, number, words);
            hf_text_fail(error, why.failed);
            return r;
        }
        at += length + 1;
    }
    return 0;
}

static int parse_command(Words *words, HfSettings *settings)
{
    HF_CLEANUP_STRV char **command = hf_allocate(words->n + 1, sizeof(*command));
    if (!command)
        return -ENOMEM;
    for (size_t i = 0; words->n > 0; i++) {
        int r = hf_string_set(&command[i], parse_word(words));
        if (r < 0)
            return r;
    }
    hf_strv_free(settings->command);
    settings->command = HF_STEAL(command);
    return 0;
}

static int refuse_no_command(const Words *words, const HfCommandLine *line, HfText *error)
{
    if (words->n == 0 && words->file)
        return hf_option_refuse(error,
                                "%s: no COMMAND; write it as command=COMMAND, or behind the "
                                "options",
                                words->file->path);
    hf_text_addf(error, "%s; write holdfast %s [OPTION...] [--] COMMAND [ARG...], and",
                 words->n == 0 ? "no COMMAND" : "COMMAND is empty", hf_verb_name(line->verb));
    return refer_to_help(error, line->verb, " see");
}

static int validate(const Words *words, const HfCommandLine *line, HfText *error)
{
    HF_CLEANUP_TEXT HfText why = {0};

    int r = hf_options_validate(&line->settings, &why);
    if (r >= 0)
        return r;
    if (words->file)
        hf_text_addf(error, "%s: ", words->file->path);
    hf_text_add(error, hf_text_peek(&why));
    hf_text_fail(error, why.failed);
    return r;
}

static int complete_settings(Words *words, HfCommandLine *line, HfText *error)
{
    bool unread = line->config && !words->file;
    int r = 0;

    if (words->n > 0 ? words->next[0][0] == '\0' : !line->settings.command && !unread)
        return refuse_no_command(words, line, error);
    if (words->n > 0)
        r = parse_command(words, &line->settings);
    return r < 0 || unread ? r : validate(words, line, error);
}

/* Options may come before and after ADDRESS. */
static int parse_probe(Words *words, HfCommandLine *line, HfText *error)
{
    if (words->n == 0) {
        hf_text_add(error, "no ADDRESS; write holdfast probe ADDRESS [OPTION...], and");
        return refer_to_help(error, line->verb, " see");
    }
    const char *address = parse_word(words);
    if (hf_address_parse(address, &line->probing.address) < 0)
        return hf_option_refuse(error,
                                "%s is not an address; write one as 127.0.0.1:9000, 9000 or "
                                "/run/php/php-fpm.sock",
                                HF_QUOTE(address));
    int r = parse_options(words, line, error);
    if (r < 0 || line->help || line->version)
        return r;
    if (words->n > 0)
        return hf_option_refuse(error, "probe takes one ADDRESS; %s is one too many",
                                HF_QUOTE(words->next[0]));
    return hf_options_validate_probe(line, error);
}

static int refuse_word(const char *word, HfVerb verb, HfText *error)
{
    bool is_name = hf_option_is_name(word, true) && word[0] != '.';

    return hf_option_refuse(error, "%s takes no argument %s; to name an instance, write --name=%s",
                            hf_verb_name(verb), HF_QUOTE(word), is_name ? word : "NAME");
}

static int refuse_verb(const char *word, HfText *error)
{
    const char *verbs[HF_VERB_MAX_];

    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++)
        verbs[verb] = hf_verb_name(verb);
    const char *nearest = hf_option_nearest(word, strlen(word), verbs, HF_VERB_MAX_);
    hf_text_addf(error, "unknown verb %s", HF_QUOTE(word));
    if (nearest) {
        hf_text_addf(error, "; did you mean %s?", nearest);
        return refer_to_help(error, HF_VERB_MAX_, " See");
    }
    hf_text_add(error, "; a command is started by holdfast run -- COMMAND,");
    return refer_to_help(error, HF_VERB_MAX_, " see");
}

/* Only --help and --version may come before a verb. */
static int parse_verbless(Words *words, HfCommandLine *line, HfText *error)
{
    const char *word = words->n > 0 ? words->next[0] : NULL;
    const HfOption *option;
    const char *value;

    if (!word || strcmp(word, "--") == 0) {
        hf_text_add(error, "no verb; a command is started by holdfast run -- COMMAND,");
        return refer_to_help(error, HF_VERB_MAX_, " see");
    }
    int r = find_option(word, HF_VERB_MAX_, &option, &value, error);
    if (r < 0)
        return r;
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++)
        if (!hf_option_is_of(option, verb)) {
            hf_text_addf(error, "--%s goes behind the verb, as in holdfast VERB --%s;",
                         option->name, option->name);
            return refer_to_help(error, HF_VERB_MAX_, " see");
        }
    parse_word(words);
    return apply_option(option, value, words, line, error);
}

/* holdfast help [VERB] */
static int parse_help(const Words *words, HfCommandLine *line, HfText *error)
{
    int verb = words->n > 0 ? hf_verb_value(words->next[0]) : HF_VERB_MAX_;

    if (verb < 0)
        return refuse_verb(words->next[0], error);
    line->verb = (HfVerb)verb;
    line->help = HF_HELP_SHORT;
    return 0;
}

static int parse_words(Words *words, HfCommandLine *line, HfText *error)
{
    if (words->n == 0 || (words->next[0][0] == '-' && words->next[0][1] != '\0'))
        return parse_verbless(words, line, error);

    const char *word = parse_word(words);
    if (strcmp(word, "help") == 0)
        return parse_help(words, line, error);
    int verb = hf_verb_value(word);
    if (verb < 0)
        return refuse_verb(word, error);
    line->verb = (HfVerb)verb;
    int r = 0;
    if (has_command(line->verb) && words->file)
        r = apply_file(words->file, line, error);
    if (r >= 0)
        r = parse_options(words, line, error);
    if (r < 0 || line->help || line->version)
        return r;
    if (has_command(line->verb))
        return complete_settings(words, line, error);
    if (line->verb == HF_VERB_PROBE)
        return parse_probe(words, line, error);
    if (words->n > 0)
        return refuse_word(words->next[0], line->verb, error);
    return hf_options_validate_call(line, error);
}

int hf_options_parse_with_file(int argc, char *const *argv, const HfOptionsFile *file,
                               HfCommandLine *ret, HfText *error)
{
    Words words = {.file = file};
    HfCommandLine line = {.argc = argc, .argv = argv, .verb = HF_VERB_MAX_};

    if (argc > 1)
        words = (Words){.next = argv + 1, .n = (size_t)argc - 1, .file = file};
    hf_settings_init(&line.settings);
    hf_probing_init(&line.probing);
    int r = parse_words(&words, &line, error);
    if (r < 0) {
        hf_command_line_clear(&line);
        return r;
    }
    *ret = line;
    return 0;
}

int hf_options_parse(int argc, char *const *argv, HfCommandLine *ret, HfText *error)
{
    return hf_options_parse_with_file(argc, argv, NULL, ret, error);
}

/* Is the option the same in two command lines? */
static bool is_equal(const HfOption *option, const HfCommandLine *a, const HfCommandLine *b)
{
    const void *left = (const char *)a + option->offset;
    const void *right = (const char *)b + option->offset;

    if (option->type->equal)
        return option->type->equal(left, right);
    return memcmp(left, right, option->type->no_value ? sizeof(bool) : sizeof(int)) == 0;
}

size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX])
{
    const HfCommandLine left = {.settings = *a};
    const HfCommandLine right = {.settings = *b};
    size_t n = 0;

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        if (option->in_file && option->fixed == fixed && !is_equal(option, &left, &right))
            ret[n++] = option->name;
    }
    return n;
}
