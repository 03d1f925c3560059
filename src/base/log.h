/* SPDX-License-Identifier: MIT */
/* One line per failure, with fields. Only run, the parts and cli may log. */
#pragma once

#include <syslog.h>

#include "base/parse.h"
#include "base/text.h"

#define HF_LOG_LINE_MAX 4096 /* bytes, with the newline; longer messages are cut */

/* Extra fields for the journal; empty ones (0, NULL) are left out. */
typedef struct HfLogFields {
    unsigned long long generation; /* HOLDFAST_GENERATION= */
    const char *listener;          /* HOLDFAST_LISTENER= */
    const char *message_id;        /* MESSAGE_ID= */
    int error;                     /* ERRNO=, either sign; also ends the line as text */
} HfLogFields;

typedef enum HfLogFormat {
    HF_LOG_TEXT, /* "holdfast[NAME]: MESSAGE" */
    HF_LOG_JSON, /* one object per line: time (RFC 3339, UTC), level, name, message, generation,
                    listener, error (the errno's name), message_id; empty ones are left out */
    HF_LOG_FORMAT_MAX_,
} HfLogFormat;
HF_STRTAB_DECLARE(hf_log_format, HfLogFormat); /* text, json */

/* The levels that a user may choose. */
typedef enum HfLogLevel {
    HF_LOG_LEVEL_ERROR,
    HF_LOG_LEVEL_WARNING,
    HF_LOG_LEVEL_NOTICE,
    HF_LOG_LEVEL_INFO,
    HF_LOG_LEVEL_DEBUG,
    HF_LOG_LEVEL_MAX_,
} HfLogLevel;
HF_STRTAB_DECLARE(hf_log_level, HfLogLevel); /* error, warning, notice, info, debug */

/* LOG_ERR to LOG_DEBUG. */
static inline int hf_log_priority(HfLogLevel level)
{
    return LOG_ERR + (int)level;
}

/* name: HOLDFAST_NAME= of each line, copied (NULL: none); level: the least urgent level that is
 * written. The journal is used, with fields instead of format, when stderr is the journal's stream
 * (JOURNAL_STREAM, systemd.exec(5)), else stderr. Without a call: no name, LOG_INFO, text. */
void hf_log_setup(const char *name, int level, HfLogFormat format);

/* level: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. fields may be NULL. One write(2)
 * of at most HF_LOG_LINE_MAX bytes; anything but printable UTF-8 becomes '?'. Waits at most 100 ms,
 * and only for stderr: a line that is not taken by then is dropped, and the next line that gets
 * through is preceded by the number of dropped ones. Keeps errno. */
void hf_log(int level, const HfLogFields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for each line of text, such as a service's own output. */
void hf_log_lines(int level, const HfLogFields *fields, const char *text);

/* The output of a verb: writes all of text to stdout. Returns 0, or negative errno that has been
 * logged. */
int hf_log_output(const HfText *text);
