#include <stdio.h>

#include "completions/sections.h"

void hf_section_bash_verbs(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++)
        printf("        %s\n", hf_verb_name(verb));
}

void hf_section_bash_options(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        printf("        %s) echo", hf_verb_name(verb));
        for (size_t i = 0; (option = hf_section_next(verb, &i));)
            printf(" --%s%s", option->name, option->type->no_value ? "" : "=");
        printf(" ;;\n");
    }
}

static const char *const actions[] = {
    [HF_COMPLETION_FILE] = "compgen -f -- \"$2\"",
    [HF_COMPLETION_DIRECTORY] = "compgen -d -- \"$2\"",
    [HF_COMPLETION_INSTANCE] = "compgen -W \"$(_holdfast_instances)\" -- \"$2\"",
    [HF_COMPLETION_COMMAND] = "compgen -c -- \"$2\"",
};

void hf_section_bash_values(void)
{
    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        const HfOptionType *type = option->type;

        if (!hf_section_is_first(i) || (!type->choice && type->completion == HF_COMPLETION_NONE))
            continue;
        printf("        %s) ", option->name);
        if (type->choice) {
            const char *word;
            printf("compgen -W '");
            for (size_t j = 0; (word = type->choice(j)); j++)
                printf("%s%s", j > 0 ? " " : "", word);
            printf("' -- \"$2\"");
        } else {
            printf("%s", actions[type->completion]);
        }
        printf(" ;;\n");
    }
}
