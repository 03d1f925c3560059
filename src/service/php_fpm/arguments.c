/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "service/php_fpm/php_fpm.h"

#define ECHO_MAX 64 /* bytes of a bad argument that an error message quotes */

typedef enum Fate {
    KEEP,
    DROP,
    LEAVES, /* php-fpm only prints something and exits */
} Fate;

typedef struct Option {
    char letter;
    Fate fate;
    bool value;
    const char *names[2];
} Option;

/* sapi/fpm/fpm/fpm_main.c, OPTIONS. */
static const Option options[] = {
    {'c', KEEP, true, {"php-ini"}},
    {'d', KEEP, true, {"define"}},
    {'e', KEEP, false, {"profile-info"}},
    {'h', LEAVES, false, {"help", "usage"}},
    {'?', LEAVES, false, {0}},
    {'i', LEAVES, false, {"info"}},
    {'m', LEAVES, false, {"modules"}},
    {'n', KEEP, false, {"no-php-ini"}},
    {'v', LEAVES, false, {"version"}},
    {'y', DROP, true, {"fpm-config"}},
    {'t', LEAVES, false, {"test"}},
    {'p', KEEP, true, {"prefix"}},
    {'g', DROP, true, {"pid"}},
    {'R', KEEP, false, {"allow-to-run-as-root"}},
    {'D', DROP, false, {"daemonize"}},
    {'F', DROP, false, {"nodaemonize"}},
    {'O', KEEP, false, {"force-stderr"}},
    {0},
};

void hf_phpfpm_arguments_clear(HfPhpfpmArguments *arguments)
{
    arguments->arguments = hf_strv_free(arguments->arguments);
    hf_freep(&arguments->configuration);
    hf_freep(&arguments->prefix);
    hf_freep(&arguments->pid_file);
    arguments->daemonize = false;
}

static const Option *find_letter(char letter)
{
    for (const Option *option = options; option->letter; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

static const Option *find_name(const char *name, size_t length)
{
    for (const Option *option = options; option->letter; option++)
        for (size_t i = 0; i < 2 && option->names[i]; i++)
            if (strlen(option->names[i]) == length && memcmp(option->names[i], name, length) == 0)
                return option;
    return NULL;
}

static int refuse(HfText *error, const char *before, const char *argument, const char *after)
{
    char printable[ECHO_MAX];

    hf_text_printable(argument, strlen(argument), printable, sizeof(printable));
    hf_text_addf(error, "%s%s%s", before, printable, after);
    return -EINVAL;
}

static int refuse_unknown(HfText *error, const char *argument)
{
    return refuse(error, "php-fpm has no option ", argument, "; see php-fpm -h");
}

/* php-fpm treats an empty FILE or DIR as absent. */
static int set_path(char **field, const char *value)
{
    return hf_string_set(field, *value ? value : NULL);
}

static bool names_configuration(const char *definition)
{
    static const char key[] = "fpm.config";

    definition += strspn(definition, " \t");
    if (strncmp(definition, key, sizeof(key) - 1) != 0)
        return false;
    definition += sizeof(key) - 1;
    return definition[strspn(definition, " \t")] == '=';
}

static int apply(const Option *option, const char *value, HfPhpfpmArguments *arguments,
                 HfText *error)
{
    char text[] = {'-', option->letter, '\0'};
    int r = 0;

    if (option->fate == LEAVES)
        return refuse(error, "php-fpm only prints something and exits with ", text,
                      "; leave it out");
    if (option->letter == 'y')
        r = set_path(&arguments->configuration, value);
    else if (option->letter == 'p')
        r = set_path(&arguments->prefix, value);
    else if (option->letter == 'g')
        r = set_path(&arguments->pid_file, value);
    else if (option->letter == 'D')
        arguments->daemonize = true;
    else if (option->letter == 'd' && names_configuration(value))
        return refuse(error, "name php-fpm's configuration with -y FILE, not with -d ", value, "");
    if (r < 0 || option->fate == DROP)
        return r;
    r = hf_strv_append(&arguments->arguments, text);
    return r < 0 || !option->value ? r : hf_strv_append(&arguments->arguments, value);
}

/* The value attached to an option, or the next argument; php_getopt drops one '='. NULL when there
 * is none. */
static const char *parse_value(const char *attached, char *const **next)
{
    if (*attached)
        return attached + (*attached == '=');
    return **next ? *(*next)++ : NULL;
}

static int parse_long(const char *argument, char *const **next, HfPhpfpmArguments *arguments,
                      HfText *error)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals && equals[1] ? (size_t)(equals - name) : strlen(name);
    const Option *option = find_name(name, length);
    const char *value = "";

    if (!option)
        return refuse_unknown(error, argument);
    if (option->value) {
        value = parse_value(name + length + (name[length] == '='), next);
        if (!value)
            return refuse(error, "php-fpm's option ", argument, " needs a value");
    }
    return apply(option, value, arguments, error);
}

static int parse_cluster(const char *argument, char *const **next, HfPhpfpmArguments *arguments,
                         HfText *error)
{
    for (const char *letter = argument + 1; *letter; letter++) {
        const Option *option = find_letter(*letter);
        const char *value = "";
        if (!option)
            return refuse_unknown(error, argument);
        if (option->value) {
            value = parse_value(letter + 1, next);
            if (!value)
                return refuse(error, "php-fpm's option ", argument, " needs a value");
        }
        int r = apply(option, value, arguments, error);
        if (r < 0 || option->value)
            return r;
    }
    return 0;
}

static int parse_all(char *const *argv, HfPhpfpmArguments *arguments, HfText *error)
{
    char *const *next = argv + 1;
    int r = hf_strv_append(&arguments->arguments, argv[0]);

    while (r >= 0 && *next) {
        const char *argument = *next;
        if (argument[0] != '-' || argument[1] == '\0')
            break;
        next++;
        if (strcmp(argument, "--") == 0)
            break;
        r = argument[1] == '-' ? parse_long(argument, &next, arguments, error)
                               : parse_cluster(argument, &next, arguments, error);
    }
    if (r >= 0 && *next)
        r = refuse(error, "php-fpm takes options only, not \"", *next, "\"");
    return r;
}

int hf_phpfpm_arguments_parse(char *const *argv, HfPhpfpmArguments *ret, HfText *error)
{
    HfPhpfpmArguments arguments = {0};

    int r = parse_all(argv, &arguments, error);
    if (r < 0) {
        hf_phpfpm_arguments_clear(&arguments);
        return r;
    }
    *ret = arguments;
    return 0;
}
