/* SPDX-License-Identifier: MIT */
/* The command line, as strings that end in NUL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/options.h"
#include "config/settings.h"
#include "fuzz.h"
#include "service/adapter.h"

#define WORDS_MAX 64

static bool same_settings(const HfSettings *a, const HfSettings *b)
{
    bool equal = same_string(a->name, b->name) && same_string(a->adapter, b->adapter) &&
                 same_string(a->handoff, b->handoff) && a->n_listeners == b->n_listeners &&
                 same_string(a->directory, b->directory) && a->ready_timeout == b->ready_timeout &&
                 a->drain_timeout == b->drain_timeout &&
                 hf_strv_length(a->command) == hf_strv_length(b->command);

    for (size_t i = 0; equal && i < hf_strv_length(a->command); i++)
        equal = strcmp(a->command[i], b->command[i]) == 0;
    return equal;
}

/* A -- before the COMMAND changes nothing, unless that stands behind --command. */
static void check_separator(char *const *argv, const HfCommandLine *line)
{
    size_t n = hf_strv_length(argv);
    size_t at = n - hf_strv_length(line->settings.command);
    HF_CLEANUP_STRV char **longer = NULL;
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine again;

    for (size_t i = 0; i < n; i++)
        if (strncmp(argv[i], "--command", strlen("--command")) == 0)
            return;
    CHECK(at >= 2);
    if (strcmp(argv[at - 1], "--") == 0)
        return;
    for (size_t i = 0; i <= n; i++) {
        if (i == at && hf_strv_append(&longer, "--") < 0)
            abort();
        if (i < n && hf_strv_append(&longer, argv[i]) < 0)
            abort();
    }
    CHECK(hf_options_parse((int)n + 1, longer, &again, &error) == 0);
    CHECK(again.verb == line->verb && same_settings(&again.settings, &line->settings));
    hf_command_line_clear(&again);
}

static void check_adapter(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText error = {0};

    int r = hf_adapter_validate(line, &error);
    CHECK(r == 0 || r == -EINVAL);
    check_error(r, &error);
    if (r == 0)
        CHECK(hf_adapter_of(&line->settings) && hf_handoff_of(&line->settings));
}

static void check_settings(char *const *argv, const HfCommandLine *line)
{
    const HfSettings *settings = &line->settings;
    HF_CLEANUP_FREE char *name = NULL;

    if (line->config) /* its file is not read here, and nothing is judged without */
        return;
    CHECK(settings->command && settings->command[0] && settings->command[0][0] != '\0');
    CHECK(settings->ready_timeout >= HF_USEC_PER_MSEC && settings->ready_timeout <= HF_USEC_MAX);
    CHECK(settings->drain_timeout <= HF_USEC_MAX);
    CHECK(settings->n_listeners <= HF_LISTENERS_MAX);
    CHECK(!settings->directory || (*settings->directory == '/' && is_clean(settings->directory)));
    CHECK(hf_name_of_instance(settings, &name) == 0);
    CHECK(*name != '\0' && *name != '.' && strlen(name) <= HF_NAME_MAX && !strchr(name, '/'));
    for (size_t i = 0; i < settings->n_listeners; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(!hf_address_equal(&settings->listeners[i].address,
                                    &settings->listeners[k].address));
    check_separator(argv, line);
    check_adapter(line);
}

static bool takes_command(HfVerb verb)
{
    return verb == HF_VERB_RUN || verb == HF_VERB_EXEC || verb == HF_VERB_CHECK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_STRV char **argv = input_strings(&input, "holdfast", WORDS_MAX);
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine untouched;
    HfCommandLine line;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&line, &untouched, sizeof(line));
    int r = hf_options_parse((int)hf_strv_length(argv), argv, &line, &error);
    CHECK(r == 0 || r == -EINVAL);
    check_error(r, &error);
    if (r < 0) {
        CHECK(memcmp(&line, &untouched, sizeof(line)) == 0);
        return 0;
    }
    CHECK(line.verb < HF_VERB_MAX_ || line.help || line.version);
    if (!line.help && !line.version) {
        if (takes_command(line.verb))
            check_settings(argv, &line);
        else
            CHECK(!line.settings.command && line.settings.n_listeners == 0);
    }
    hf_command_line_clear(&line);
    return 0;
}
