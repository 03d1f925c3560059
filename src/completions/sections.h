/* What generate puts into its templates, written to standard output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/option.h"

void hf_section_bash_verbs(void);   /* the verbs, a line */
void hf_section_bash_options(void); /* a case a verb: its options, those with a value end in = */
void hf_section_bash_values(void);  /* a case an option: its values */

void hf_section_zsh_verbs(void);   /* 'verb:summary' lines */
void hf_section_zsh_options(void); /* a case a verb: its specifications for _arguments */

void hf_section_manual_options(void); /* of holdfast.conf(5), for scdoc(5) */
void hf_section_list(void);           /* "VERB OPTION file" or "VERB OPTION line", for tests */

/* The next row from *i on that verb takes, NULL: none. */
const HfOption *hf_section_next(HfVerb verb, size_t *i);
/* Is it the first row of its name? Rows that share one have the same values. */
bool hf_section_is_first(size_t i);
/* text with a backslash before each of these characters. */
void hf_section_write_escaped(const char *text, const char *characters);
