#include <stdio.h>
#include <string.h>

#include "completions/sections.h"

/* Within '...'. */
static void write_text(const char *text, const char *special)
{
    for (; *text; text++)
        if (*text == '\'')
            printf("'\\''");
        else
            printf(strchr(special, *text) ? "\\%c" : "%c", *text);
}

void hf_section_zsh_verbs(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        printf("        '%s:", hf_verb_name(verb));
        write_text(hf_option_verb_summary(verb), ":\\");
        printf("'\n");
    }
}

static const char *const actions[] = {
    [HF_COMPLETION_NONE] = "",
    [HF_COMPLETION_FILE] = "_files",
    [HF_COMPLETION_DIRECTORY] = "_files -/",
    [HF_COMPLETION_INSTANCE] = "_holdfast_instances",
    [HF_COMPLETION_COMMAND] = "_command_names -e",
};

static void write_option(const HfOption *option)
{
    const HfOptionType *type = option->type;
    const char *word;

    printf("                '%s--%s%s[", type->adds_up ? "*" : "", option->name,
           type->no_value ? "" : "=");
    write_text(option->help, "[]\\:");
    printf("]");
    if (!type->no_value) {
        printf(":");
        write_text(option->argument ? option->argument : option->name, "[]\\:");
        printf(":%s", type->choice ? "(" : actions[type->completion]);
        for (size_t i = 0; type->choice && (word = type->choice(i)); i++)
            printf("%s%s", i > 0 ? " " : "", word);
        printf("%s", type->choice ? ")" : "");
    }
    printf("'\n");
}

void hf_section_zsh_options(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        printf("        %s)\n            options=(\n", hf_verb_name(verb));
        for (size_t i = 0; (option = hf_section_next(verb, &i));)
            write_option(option);
        if (hf_option_find("command", strlen("command"), verb))
            printf("                '(-)1: :_command_names -e'\n"
                   "                '*:: :_normal'\n");
        printf("            )\n            ;;\n");
    }
}
