/* One line a failure, with fields. Only daemon/ and cli/ may call it. */
#pragma once

#include <syslog.h>

/* Fields that go along to the journal; empty ones (0, NULL) are left out. */
typedef struct HfLogFields {
    unsigned long long generation; /* HOLDFAST_GENERATION= */
    const char *listener;          /* HOLDFAST_LISTENER= */
    const char *message_id;        /* MESSAGE_ID= */
    int error;                     /* ERRNO=, positive or negative errno; also ends the line as text */
} HfLogFields;

typedef enum HfLogFormat {
    HF_LOG_TEXT,
    HF_LOG_JSON,
} HfLogFormat;

/* name: HOLDFAST_NAME= of each line, copied; level: the least urgent level that is written. The journal
 * is used when stderr is the journal's stream (JOURNAL_STREAM, systemd.exec(5)), else stderr. */
void hf_log_setup(const char *name, int level, HfLogFormat format);

/* level: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. fields may be NULL. Keeps errno. */
void hf_log(int level, const HfLogFields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
