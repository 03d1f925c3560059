/* SPDX-License-Identifier: MIT */
/* Fills in a template from the option table: copies standard input to standard output, and replaces
 * each line that is a section's name between two @ with that section. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"

/* The next row from *i on for that verb, NULL: none. */
static const HfOption *next_option(HfVerb verb, size_t *i)
{
    while (*i < hf_option_count) {
        const HfOption *option = &hf_option_table[(*i)++];
        if (hf_option_is_of(option, verb))
            return option;
    }
    return NULL;
}

/* Is it the first row with its name? Rows that share one have the same values. */
static bool is_first_of_name(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(hf_option_table[j].name, hf_option_table[i].name) == 0)
            return false;
    return true;
}

/* Writes text with a backslash before each of these characters. */
static void write_escaped(const char *text, const char *characters)
{
    for (; *text; text++)
        printf(strchr(characters, *text) ? "\\%c" : "%c", *text);
}

/* Of holdfast.conf(5), for scdoc(5). */
static void write_manual_options(void)
{
    static const char special[] = "_*\\[]<>";

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        HF_CLEANUP_TEXT HfText argument = {0};

        if (!option->in_file)
            continue;
        hf_option_add_argument(option, &argument);
        printf("*%s*", option->name);
        write_escaped(hf_text_peek(&argument), special);
        printf("\n\t");
        write_escaped(option->help, special);
        printf(".\n\n");
    }
}

/* "VERB OPTION file" or "VERB OPTION line", for tests. */
static void write_list(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        for (size_t i = 0; (option = next_option(verb, &i));)
            printf("%s %s %s\n", hf_verb_name(verb), option->name,
                   option->in_file ? "file" : "line");
    }
}

/* ---- bash ---- */

/* The verbs, one per line. */
static void write_bash_verbs(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++)
        printf("        %s\n", hf_verb_name(verb));
}

/* A case for each verb with its options; those with a value end in =. */
static void write_bash_options(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        printf("        %s) echo", hf_verb_name(verb));
        for (size_t i = 0; (option = next_option(verb, &i));)
            printf(" --%s%s", option->name,
                   option->type->no_value || option->type->optional_value ? "" : "=");
        printf(" ;;\n");
    }
}

static const char *const bash_actions[] = {
    [HF_COMPLETION_FILE] = "compgen -f -- \"$2\"",
    [HF_COMPLETION_DIRECTORY] = "compgen -d -- \"$2\"",
    [HF_COMPLETION_INSTANCE] = "compgen -W \"$(_holdfast_instances)\" -- \"$2\"",
    [HF_COMPLETION_COMMAND] = "compgen -c -- \"$2\"",
};

/* A case for each option with its values. */
static void write_bash_values(void)
{
    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        const HfOptionType *type = option->type;

        if (!is_first_of_name(i) || (!type->choice && type->completion == HF_COMPLETION_NONE))
            continue;
        printf("        %s) ", option->name);
        if (type->choice) {
            const char *word;
            printf("compgen -W '");
            for (size_t j = 0; (word = type->choice(j)); j++)
                printf("%s%s", j > 0 ? " " : "", word);
            printf("' -- \"$2\"");
        } else {
            printf("%s", bash_actions[type->completion]);
        }
        printf(" ;;\n");
    }
}

/* ---- zsh ---- */

/* Within '...'. */
static void write_quoted(const char *text, const char *special)
{
    for (; *text; text++)
        if (*text == '\'')
            printf("'\\''");
        else
            printf(strchr(special, *text) ? "\\%c" : "%c", *text);
}

/* 'verb:summary' lines. */
static void write_zsh_verbs(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        printf("        '%s:", hf_verb_name(verb));
        write_quoted(hf_option_verb_summary(verb), ":\\");
        printf("'\n");
    }
}

static const char *const zsh_actions[] = {
    [HF_COMPLETION_NONE] = "",
    [HF_COMPLETION_FILE] = "_files",
    [HF_COMPLETION_DIRECTORY] = "_files -/",
    [HF_COMPLETION_INSTANCE] = "_holdfast_instances",
    [HF_COMPLETION_COMMAND] = "_command_names -e",
};

static void write_zsh_option(const HfOption *option)
{
    const HfOptionType *type = option->type;
    const char *word;

    printf("                '%s--%s%s[", type->adds_up ? "*" : "", option->name,
           type->no_value         ? ""
           : type->optional_value ? "=-"
                                  : "=");
    write_quoted(option->help, "[]\\:");
    printf("]");
    if (!type->no_value) {
        printf(type->optional_value ? "::" : ":");
        write_quoted(option->argument ? option->argument : option->name, "[]\\:");
        printf(":%s", type->choice ? "(" : zsh_actions[type->completion]);
        for (size_t i = 0; type->choice && (word = type->choice(i)); i++)
            printf("%s%s", i > 0 ? " " : "", word);
        printf("%s", type->choice ? ")" : "");
    }
    printf("'\n");
}

/* A case for each verb with its specifications for _arguments. */
static void write_zsh_options(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        printf("        %s)\n            options=(\n", hf_verb_name(verb));
        for (size_t i = 0; (option = next_option(verb, &i));)
            write_zsh_option(option);
        if (hf_option_find("command", strlen("command"), verb))
            printf("                '(-)1: :_command_names -e'\n"
                   "                '*:: :_normal'\n");
        printf("            )\n            ;;\n");
    }
}

/* ---- the template ---- */

static const struct {
    const char *name;
    void (*write)(void);
} sections[] = {
    {"bash-verbs", write_bash_verbs},
    {"bash-options", write_bash_options},
    {"bash-values", write_bash_values},
    {"zsh-verbs", write_zsh_verbs},
    {"zsh-options", write_zsh_options},
    {"manual-options", write_manual_options},
    {"list", write_list},
};

/* Returns false if the line names no section. */
static bool fill(const char *line)
{
    size_t length = strcspn(line, "\n");

    if (length < 3 || line[0] != '@' || line[length - 1] != '@')
        return false;
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
        if (strlen(sections[i].name) == length - 2 &&
            memcmp(sections[i].name, line + 1, length - 2) == 0) {
            sections[i].write();
            return true;
        }
    fprintf(stderr, "generate: no section %s", line);
    exit(EXIT_FAILURE);
}

int main(void)
{
    char line[4096];

    while (fgets(line, sizeof(line), stdin))
        if (!fill(line))
            fputs(line, stdout);
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
