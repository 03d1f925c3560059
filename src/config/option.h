/* SPDX-License-Identifier: MIT */
/* One option: a row of the table, the kinds of value, and the words of which errors are made. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/settings.h"

typedef struct HfOption HfOption;

/* What a shell offers for a value. */
typedef enum HfCompletion {
    HF_COMPLETION_NONE, /* its choices, if it has any */
    HF_COMPLETION_FILE,
    HF_COMPLETION_DIRECTORY,
    HF_COMPLETION_INSTANCE,
    HF_COMPLETION_COMMAND,
} HfCompletion;

/* How a kind of value is read and shown. field is the member of HfCommandLine at the row's offset.
 */
typedef struct HfOptionType {
    /* value is NULL for options without one. Returns as hf_options_parse. */
    int (*parse)(const HfOption *option, const char *value, void *field, HfText *error);
    /* For the default in --help; NULL when the help text of the row tells it. */
    void (*show)(const HfOption *option, const void *field, HfText *text);
    /* The words that such a value may be, counted from 0, NULL behind the last. NULL: any text. */
    const char *(*choice)(size_t i);
    /* Are two fields the same? Not needed with choice or no_value; hf_option_equal knows. */
    bool (*equal)(const void *a, const void *b);
    HfCompletion completion;
    bool no_value;
    bool adds_up;        /* may be given several times */
    bool optional_value; /* behind `=` only; parse gets NULL without */
} HfOptionType;

typedef enum HfOptionGroup {
    HF_OPTION_GROUP_SERVICE,
    HF_OPTION_GROUP_SOCKETS,
    HF_OPTION_GROUP_REPLACEMENT,
    HF_OPTION_GROUP_HEALTH,
    HF_OPTION_GROUP_LOGGING,
    HF_OPTION_GROUP_GENERAL,
    HF_OPTION_GROUP_MAX_,
} HfOptionGroup;

struct HfOption {
    const char *name;     /* without dashes; two rows may share one when no verb takes both */
    char letter;          /* of a short form, '\0' for none */
    const char *argument; /* NULL: the type's choices, or none */
    const char *help;
    HfOptionGroup group;
    unsigned verbs; /* 1 << HfVerb, of those that take it */
    bool in_file;   /* may stand in a configuration file */
    bool fixed;     /* cannot change while holdfast runs */
    bool first;     /* shown by --help even where that is short */
    const HfOptionType *type;
    size_t offset;    /* of the field in HfCommandLine */
    uint64_t minimum; /* usec, of a TIME; of a number; bytes, of a size */
    uint64_t maximum; /* of a number */
};

extern const HfOptionType hf_option_type_flag, hf_option_type_help, hf_option_type_name,
    hf_option_type_stdin, hf_option_type_instance, hf_option_type_directory, hf_option_type_listen,
    hf_option_type_time, hf_option_type_adapter, hf_option_type_handoff, hf_option_type_handover,
    hf_option_type_stop_signal, hf_option_type_number, hf_option_type_period, hf_option_type_ready,
    hf_option_type_text, hf_option_type_log_format, hf_option_type_log_level,
    hf_option_type_capabilities, hf_option_type_kill_mode, hf_option_type_notify_access,
    hf_option_type_file, hf_option_type_command, hf_option_type_environment, hf_option_type_page,
    hf_option_type_warm, hf_option_type_count, hf_option_type_header, hf_option_type_probe,
    hf_option_type_take_over, hf_option_type_cgroup_use, hf_option_type_health,
    hf_option_type_memory;

extern const HfOption hf_option_table[];
extern const size_t hf_option_count;

static inline bool hf_option_is_of(const HfOption *option, HfVerb verb)
{
    return option->verbs & (1U << verb);
}

/* The row with that name of length bytes that verb takes; HF_VERB_MAX_: that any verb takes. NULL:
 * none. */
const HfOption *hf_option_find(const char *name, size_t length, HfVerb verb);

/* For HfOptionType.equal: of a char *, and of a uint64_t. */
bool hf_option_equal_string(const void *a, const void *b);
bool hf_option_equal_number(const void *a, const void *b);
/* What the verb does, one sentence without its full stop. */
const char *hf_option_verb_summary(HfVerb verb);

/* --listen=ADDR[,backlog=N,mode=0660,owner=U,group=G,name=N]. Returns as hf_options_parse. */
int hf_options_parse_listen(const char *text, HfListenerSpec *ret, HfText *error);

/* "=ARGUMENT" or "=word|word", nothing for an option without a value. */
void hf_option_add_argument(const HfOption *option, HfText *text);

/* Do the options of a verb that calls an instance agree with each other? Returns as
 * hf_options_parse. */
int hf_options_validate_call(const HfCommandLine *line, HfText *error);

/* Do those of probe? */
int hf_options_validate_probe(const HfCommandLine *line, HfText *error);

/* Do the settings agree with each other, for a verb that has a COMMAND? Returns as
 * hf_options_parse. */
int hf_options_validate(const HfSettings *settings, HfText *error);

/* Appends to error and returns -EINVAL. */
int hf_option_refuse(HfText *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define HF_OPTION_ECHO_MAX  80 /* bytes of a foreign text that an error repeats */
#define HF_OPTION_ECHO_SIZE (HF_OPTION_ECHO_MAX + sizeof("\"\"..."))
/* text as an error may repeat it: printable, cut, between quotes when quoted. Writes to ret, of
 * HF_OPTION_ECHO_SIZE bytes, and returns it. */
const char *hf_option_echo(const char *text, size_t length, bool quoted, char *ret);
#define HF_QUOTE(text) hf_option_echo(text, strlen(text), true, (char[HF_OPTION_ECHO_SIZE]){0})

/* "a, b and c" with " and " as last. */
void hf_option_join(HfText *text, const char *const *words, size_t n, const char *last);

/* The word that a person may have meant by the length bytes at word, NULL when none is close. */
const char *hf_option_nearest(const char *word, size_t length, const char *const *known, size_t n);

/* [A-Za-z0-9._-]{1,HF_NAME_MAX}, without A-Z when lower. */
bool hf_option_is_name(const char *text, bool lower);
