/* SPDX-License-Identifier: MIT */
/* A configuration file for holdfast run, and the words of a command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/options.h"
#include "format/words.h"
#include "fuzz.h"

/* What was split and is quoted again is the same. */
static void check_words(const char *text)
{
    HF_CLEANUP_STRV char **words = NULL;
    HF_CLEANUP_STRV char **again = NULL;
    HF_CLEANUP_TEXT HfText quoted = {0};
    int r = hf_shell_words_split(text, &words);

    CHECK(r == 0 || r == -EINVAL);
    for (size_t i = 0; words && words[i]; i++) {
        hf_text_add(&quoted, " '");
        for (const char *c = words[i]; *c; c++)
            hf_text_addf(&quoted, *c == '\'' ? "'\\%c'" : "%c", *c);
        hf_text_add(&quoted, "'");
    }
    CHECK(hf_shell_words_split(hf_text_peek(&quoted), &again) == 0);
    CHECK(hf_strv_length(words) == hf_strv_length(again));
    for (size_t i = 0; words && words[i]; i++)
        CHECK(strcmp(words[i], again[i]) == 0);
}

static void check_file(const uint8_t *data, size_t size, char *const *argv, int argc)
{
    const HfOptionsFile file = {.path = "/x", .text = (const char *)data, .length = size};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine untouched;
    HfCommandLine line;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&line, &untouched, sizeof(line));
    int r = hf_options_parse_with_file(argc, argv, &file, &line, &error);
    CHECK(r == 0 || r == -EINVAL);
    check_error(r, &error);
    if (r < 0) {
        CHECK(memcmp(&line, &untouched, sizeof(line)) == 0);
        CHECK(strncmp(hf_text_peek(&error), "/x:", 3) == 0);
        return;
    }
    const char *names[HF_OPTIONS_MAX];
    CHECK(line.settings.command && line.settings.command[0][0] != '\0');
    CHECK(line.settings.n_listeners <= HF_LISTENERS_MAX);
    CHECK(hf_options_difference(&line.settings, &line.settings, false, names) == 0);
    CHECK(hf_options_difference(&line.settings, &line.settings, true, names) == 0);
    for (char **entry = line.settings.environment; entry && *entry; entry++)
        CHECK(strchr(*entry, '=') && **entry != '=');
    hf_command_line_clear(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char program[] = "holdfast";
    char verb[] = "run";
    char command[] = "service";
    char *const argv[] = {program, verb, command, NULL};
    HF_CLEANUP_FREE char *text = input_rest(&(Input){data, size});

    check_file(data, size, argv, 2);
    check_file(data, size, argv, 3);
    check_words(text);
    return 0;
}
