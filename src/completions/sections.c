#include "completions/sections.h"

#include <stdio.h>
#include <string.h>

const HfOption *hf_section_next(HfVerb verb, size_t *i)
{
    while (*i < hf_option_count) {
        const HfOption *option = &hf_option_table[(*i)++];
        if (hf_option_is_of(option, verb))
            return option;
    }
    return NULL;
}

bool hf_section_is_first(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(hf_option_table[j].name, hf_option_table[i].name) == 0)
            return false;
    return true;
}

void hf_section_write_escaped(const char *text, const char *characters)
{
    for (; *text; text++)
        printf(strchr(characters, *text) ? "\\%c" : "%c", *text);
}

void hf_section_manual_options(void)
{
    static const char special[] = "_*\\[]<>";

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        HF_CLEANUP_TEXT HfText argument = {0};

        if (!option->in_file)
            continue;
        hf_option_add_argument(option, &argument);
        printf("*%s*", option->name);
        hf_section_write_escaped(hf_text_peek(&argument), special);
        printf("\n\t");
        hf_section_write_escaped(option->help, special);
        printf(".\n\n");
    }
}

void hf_section_list(void)
{
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        const HfOption *option;
        for (size_t i = 0; (option = hf_section_next(verb, &i));)
            printf("%s %s %s\n", hf_verb_name(verb), option->name,
                   option->in_file ? "file" : "line");
    }
}
