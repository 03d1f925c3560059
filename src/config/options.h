/* SPDX-License-Identifier: MIT */
/* Command line and configuration file to settings, and --help, all by the one option table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"

/* One text for all that a configuration file says. Borrowed. */
typedef struct HfOptionsFile {
    const char *path; /* for errors */
    const char *text; /* not necessarily NUL-terminated */
    size_t length;    /* bytes; more than HF_OPTIONS_FILE_MAX are refused */
} HfOptionsFile;

#define HF_OPTIONS_FILE_MAX      (1024 * 1024)
#define HF_OPTIONS_FILE_LINE_MAX 16384 /* bytes, without the newline */

/* argv[1] is the verb; `holdfast --help` and `holdfast --version` need none. Options end at `--` or
 * at the first word that is no option. `--opt=VALUE` and `--opt VALUE` are the same, but a VALUE
 * that starts with `--` needs the first form. Of an option that is given again the last value
 * counts, --listen adds up. Nothing behind --help or --version is looked at. An unknown option
 * names the nearest known one. Returns 0, -ENOMEM, or -EINVAL with one line appended to error,
 * printable and without a newline, that says what to do. */
int hf_options_parse(int argc, char *const *argv, HfCommandLine *ret, HfText *error);

/* The same over a configuration file: the command line wins, --listen and --environment add up.
 * A line of the file is NAME=VALUE, or NAME of an option that takes no value; blanks at its ends
 * and around the first = do not count, nor do empty lines and those that start with # or ;.
 * file NULL: as hf_options_parse. When --config is given and file is NULL the settings are not
 * complete: nothing is known of how they agree with each other, and command may be NULL. Errors in
 * the file start with PATH:LINE: or, when it is about several lines, PATH: */
int hf_options_parse_with_file(int argc, char *const *argv, const HfOptionsFile *file,
                               HfCommandLine *ret, HfText *error);

/* The names of the options that may stand in a file and in which two settings differ, in the order
 * of the table: of those that can change while holdfast runs, or with fixed of those that cannot.
 * Returns how many. */
size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX]);

/* The --help text: of one verb, or, with verb NULL, the overview. 80 columns. all: of run and check
 * not only the options that matter most. */
void hf_options_help(const HfVerb *verb, bool all, HfText *text);
