/* The one option table: command line, --help, and every other place that names an option. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"

typedef enum HfVerb {
    HF_VERB_RUN,
    HF_VERB_EXEC,
    HF_VERB_CHECK,
    HF_VERB_RELOAD,
    HF_VERB_RESTART,
    HF_VERB_STOP,
    HF_VERB_STATUS,
    HF_VERB_HISTORY,
    HF_VERB_METRICS,
    HF_VERB_PROBE,
    HF_VERB_UPGRADE,
    HF_VERB_MAX_,
} HfVerb;
HF_STRTAB_DECLARE(hf_verb, HfVerb);

/* Exit statuses, holdfast(1). */
enum {
    HF_EXIT_DONE = 0,
    HF_EXIT_FAILED = 1,
    HF_EXIT_USAGE = 2,
    HF_EXIT_NOT_RUNNING = 3,
    HF_EXIT_NOT_PERMITTED = 4,
};

/* What the verbs that talk to a running instance were told. Owned strings. */
typedef struct HfCall {
    char *name;   /* --name, NULL: the only running instance */
    bool no_wait; /* --no-wait */
    bool quiet;   /* --quiet */
    bool json;    /* --json */
    bool watch;   /* --watch */
    char *unit;   /* --unit, NULL: an instance is meant; with it settings.drain_timeout counts */
} HfCall;

void hf_call_clear(HfCall *call);

/* What probe was told beside settings.probe and settings.http_headers. Owned string. */
typedef struct HfProbing {
    HfAddress address;
    char *root;       /* --fastcgi-root, NULL: the path of the page is whole */
    uint64_t timeout; /* --timeout, usec, default 5 s */
} HfProbing;

void hf_probing_init(HfProbing *probing);
/* As after hf_probing_init then. */
void hf_probing_clear(HfProbing *probing);

/* One text for all that a configuration file says. Borrowed. */
typedef struct HfOptionsFile {
    const char *path; /* for errors */
    const char *text; /* not necessarily NUL-terminated */
    size_t length;    /* bytes; more than HF_OPTIONS_FILE_MAX are refused */
} HfOptionsFile;

#define HF_OPTIONS_FILE_MAX      (1024 * 1024)
#define HF_OPTIONS_FILE_LINE_MAX 16384 /* bytes, without the newline */

typedef struct HfCommandLine {
    int argc; /* what it was read from, borrowed */
    char *const *argv;
    HfVerb verb;         /* HF_VERB_MAX_: none was given, then help or version is set */
    bool help;           /* --help was given: settings need not be complete */
    bool version;        /* --version, likewise */
    HfSettings settings; /* run, exec, check */
    char *config;        /* --config, NULL: none; run, exec, check */
    HfCall call;         /* reload, restart, stop */
    HfProbing probing;   /* probe */
} HfCommandLine;

void hf_command_line_clear(HfCommandLine *line);
#define HF_CLEANUP_COMMAND_LINE __attribute__((cleanup(hf_command_line_clear)))

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

#define HF_OPTIONS_MAX 64 /* rows of the option table, at most */

/* The names of the options that may stand in a file and in which two settings differ, in the order
 * of the table: of those that can change while holdfast runs, or with fixed of those that cannot.
 * Returns how many. */
size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX]);

/* --listen=ADDR[,backlog=N,mode=0660,owner=U,group=G,name=N]. Returns as hf_options_parse. */
int hf_options_parse_listen(const char *text, HfListenerSpec *ret, HfText *error);

/* The --help text: of one verb, or, with verb NULL, the overview. 80 columns. */
void hf_options_help(const HfVerb *verb, HfText *text);
