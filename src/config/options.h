/* SPDX-License-Identifier: MIT */
/* Command line and configuration file to settings, and --help, all from one option table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"

/* The contents of a configuration file. Borrowed. */
typedef struct HfOptionsFile {
    const char *path; /* for error messages */
    const char *text; /* not necessarily NUL-terminated */
    size_t length;    /* bytes; refused above HF_OPTIONS_FILE_MAX */
} HfOptionsFile;

#define HF_OPTIONS_FILE_MAX      (1024 * 1024)
#define HF_OPTIONS_FILE_LINE_MAX 16384 /* bytes, without the newline */

/* Parses a command line. argv[1] is the verb; `holdfast --help` and `holdfast --version` need none.
 * Options end at `--` or at the first word that is not an option. `--opt=VALUE` and `--opt VALUE`
 * are equivalent, except that a VALUE that starts with `--` needs the first form. If an option is
 * repeated the last value wins; --listen adds up. Words after --help or --version are ignored. For
 * an unknown option the error names the nearest known one. Returns 0, -ENOMEM, or -EINVAL with one
 * printable line, without a newline, appended to error, which says what to do. */
int hf_options_parse(int argc, char *const *argv, HfCommandLine *ret, HfText *error);

/* The same with a configuration file: the command line overrides it; --listen and --environment add
 * up. A line of the file is NAME=VALUE, or just NAME for an option without a value. Blanks at both
 * ends and around the first = are ignored, as are empty lines and those that start with # or ;.
 * file NULL: as hf_options_parse; if --config is given then, the settings are incomplete and not
 * checked against each other, and command may be NULL. Errors in the file start with PATH:LINE: or,
 * for errors that concern several lines, PATH: */
int hf_options_parse_with_file(int argc, char *const *argv, const HfOptionsFile *file,
                               HfCommandLine *ret, HfText *error);

/* The names of the file options in which two settings differ, in table order: of those that can
 * change while holdfast runs, or with fixed of those that cannot. Returns how many. */
size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX]);

/* Appends the --help text of one verb, or with verb NULL the overview. 80 columns. Unless all, run
 * and check show only the options that matter most. */
void hf_options_help(const HfVerb *verb, bool all, HfText *text);
