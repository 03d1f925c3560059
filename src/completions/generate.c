/* Fills a template with what is made of the option table: copies standard input to standard output,
 * and puts a section in place of each line that is its name between two @. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "completions/sections.h"

static const struct {
    const char *name;
    void (*write)(void);
} sections[] = {
    {"bash-verbs", hf_section_bash_verbs},
    {"bash-options", hf_section_bash_options},
    {"bash-values", hf_section_bash_values},
    {"zsh-verbs", hf_section_zsh_verbs},
    {"zsh-options", hf_section_zsh_options},
    {"manual-options", hf_section_manual_options},
    {"list", hf_section_list},
};

/* Returns false for a line that names none. */
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
