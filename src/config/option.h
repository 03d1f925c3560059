/* SPDX-License-Identifier: MIT */
/* One option: a row of the table, the kinds of value, and helpers for error messages. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/settings.h"

typedef struct HfOption HfOption;

/* What a shell should complete a value with. */
typedef enum HfCompletion {
    HF_COMPLETION_NONE, /* the choices, if it has any */
    HF_COMPLETION_FILE,
    HF_COMPLETION_DIRECTORY,
    HF_COMPLETION_INSTANCE,
    HF_COMPLETION_COMMAND,
} HfCompletion;

/* How a kind of value is parsed and shown. field: the member of HfCommandLine at the row's offset.
 */
typedef struct HfOptionType {
    /* value is NULL for options without one. Returns 0, -ENOMEM, or -EINVAL with error. */
    int (*parse)(const HfOption *option, const char *value, void *field, HfText *error);
    /* Shows the default in --help; NULL when the help text of the row contains it. */
    void (*show)(const HfOption *option, const void *field, HfText *text);
    /* The possible values, counted from 0, with NULL after the last. NULL: any text. */
    const char *(*choice)(size_t i);
    /* Compares two fields. Not needed with choice or no_value, see hf_option_equal. */
    bool (*equal)(const void *a, const void *b);
    HfCompletion completion;
    bool no_value;
    bool adds_up;        /* may be given more than once */
    bool optional_value; /* only after `=`; without one parse gets NULL */
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
    char letter;          /* the short form, '\0' for none */
    const char *argument; /* NULL: the type's choices, or none */
    const char *help;
    HfOptionGroup group;
    unsigned verbs; /* 1 << HfVerb for each that accepts it */
    bool in_file;   /* allowed in a configuration file */
    bool fixed;     /* cannot change while holdfast runs */
    bool first;     /* shown by the short --help as well */
    const HfOptionType *type;
    size_t offset;    /* in HfCommandLine */
    uint64_t minimum; /* of a TIME (usec), a number, or a size (bytes) */
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

/* The row with that name of length bytes that verb accepts; HF_VERB_MAX_: any verb. NULL: none. */
const HfOption *hf_option_find(const char *name, size_t length, HfVerb verb);

/* For HfOptionType.equal: fields of type char *, and uint64_t. */
bool hf_option_equal_string(const void *a, const void *b);
bool hf_option_equal_number(const void *a, const void *b);
/* A summary of the verb: one sentence without its full stop. */
const char *hf_option_verb_summary(HfVerb verb);

/* --listen=ADDR[,backlog=N,mode=0660,owner=U,group=G,name=N]. Returns as hf_options_parse. */
int hf_options_parse_listen(const char *text, HfListenerSpec *ret, HfText *error);

/* Appends "=ARGUMENT" or "=word|word", or nothing for an option without a value. */
void hf_option_add_argument(const HfOption *option, HfText *text);

/* Checks that the options of a verb that calls an instance fit together. Returns as
 * hf_options_parse. */
int hf_options_validate_call(const HfCommandLine *line, HfText *error);

/* The same for probe. */
int hf_options_validate_probe(const HfCommandLine *line, HfText *error);

/* The same for the settings, for a verb with a COMMAND. */
int hf_options_validate(const HfSettings *settings, HfText *error);

/* Appends the message to error and returns -EINVAL. */
int hf_option_refuse(HfText *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define HF_OPTION_ECHO_MAX  80 /* bytes of a foreign text that an error message quotes */
#define HF_OPTION_ECHO_SIZE (HF_OPTION_ECHO_MAX + sizeof("\"\"..."))
/* text as an error message may quote it: printable, truncated, in quotes when quoted. Writes to
 * ret, which holds HF_OPTION_ECHO_SIZE bytes, and returns it. */
const char *hf_option_echo(const char *text, size_t length, bool quoted, char *ret);
#define HF_QUOTE(text) hf_option_echo(text, strlen(text), true, (char[HF_OPTION_ECHO_SIZE]){0})

/* "a, b and c" with " and " as last. */
void hf_option_join(HfText *text, const char *const *words, size_t n, const char *last);

/* The known word closest to the length bytes at word, or NULL when none is close. */
const char *hf_option_nearest(const char *word, size_t length, const char *const *known, size_t n);

/* Does it match [A-Za-z0-9._-]{1,HF_NAME_MAX}, without A-Z when lower? */
bool hf_option_is_name(const char *text, bool lower);
