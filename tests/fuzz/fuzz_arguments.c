/* SPDX-License-Identifier: MIT */
/* php-fpm's command line, and the include that is made of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

#define WORDS_MAX 64

static bool same_vector(char *const *a, char *const *b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

/* One short option a word, and its value behind it. */
static void check_words(char *const *words, const char *program)
{
    CHECK(words && *words && strcmp(*words, program) == 0);
    for (words++; *words; words++) {
        const char *word = *words;
        CHECK(word[0] == '-' && word[1] != '\0' && word[2] == '\0');
        CHECK(strchr("cdenpRO", word[1]));
        if (strchr("cdp", word[1]))
            CHECK(*++words);
    }
}

static void check_parsed(const HfPhpfpmArguments *arguments, const char *program)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfPhpfpmArguments again = {0};

    check_words(arguments->arguments, program);
    CHECK(!arguments->configuration || *arguments->configuration);
    CHECK(!arguments->prefix || *arguments->prefix);
    CHECK(!arguments->pid_file || *arguments->pid_file);

    CHECK(hf_phpfpm_arguments_parse(arguments->arguments, &again, &error) == 0);
    CHECK(same_vector(again.arguments, arguments->arguments));
    CHECK(same_string(again.prefix, arguments->prefix));
    CHECK(!again.configuration && !again.pid_file && !again.daemonize);
    hf_phpfpm_arguments_clear(&again);
}

/* What PHP's ini parser leaves of what is between double quotes, and then glob(3): the path. */
static char *unquote(const char *text)
{
    size_t length = strlen(text);
    char *out = must(malloc(length + 1));
    size_t n = 0;

    CHECK(length >= 2 && text[0] == '"' && text[length - 1] == '"');
    for (size_t i = 1; i < length - 1; i++) {
        CHECK(text[i] != '"');
        CHECK(text[i] != '$' || text[i + 1] != '{');
        if (text[i] != '\\') {
            out[n++] = text[i];
            continue;
        }
        i++;
        CHECK(i < length - 1);
        if (!strchr("\\\"'", text[i]))
            out[n++] = '\\';
        out[n++] = text[i];
    }
    out[n] = '\0';

    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        CHECK(!strchr("*?[", out[i]));
        if (out[i] == '\\')
            i++;
        out[kept++] = out[i];
    }
    out[kept] = '\0';
    return out;
}

static void check_include(const HfPhpfpmArguments *arguments)
{
    const char *path = arguments->configuration ? arguments->configuration : arguments->prefix;
    HF_CLEANUP_TEXT HfText want = {0};
    HF_CLEANUP_FREE char *include = NULL;
    HF_CLEANUP_FREE char *got = NULL;

    CHECK(hf_phpfpm_include(arguments, "/srv", 2, &include) == -ENOENT);
    int r = hf_phpfpm_include(arguments, "/srv", 0, &include);
    if (!path) {
        CHECK(r == 0 && is_clean(include));
        return;
    }
    CHECK(r == (is_clean(path) ? 0 : -EINVAL));
    if (r < 0) {
        CHECK(!include);
        return;
    }
    CHECK(is_clean(include));
    hf_text_addf(&want, "%s%s%s", *path == '/' ? "" : "/srv/", path,
                 arguments->configuration ? "" : "/etc/php-fpm.conf");
    got = unquote(include);
    CHECK(strcmp(got, hf_text_peek(&want)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_STRV char **argv = input_strings(&input, "php-fpm8.2", WORDS_MAX);
    HF_CLEANUP_TEXT HfText error = {0};
    HfPhpfpmArguments arguments;
    HfPhpfpmArguments untouched;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&arguments, &untouched, sizeof(arguments));
    int r = hf_phpfpm_arguments_parse(argv, &arguments, &error);
    CHECK(r == 0 || r == -EINVAL);
    check_error(r, &error);
    if (r < 0) {
        CHECK(memcmp(&arguments, &untouched, sizeof(arguments)) == 0);
        return 0;
    }
    check_parsed(&arguments, argv[0]);
    check_include(&arguments);
    hf_phpfpm_arguments_clear(&arguments);
    return 0;
}
