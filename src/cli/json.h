/* One JSON value (RFC 8259), written piece by piece on one line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

typedef struct HfJson {
    HfText *text;
    bool follows; /* a comma comes before the next value */
} HfJson;

/* key NULL: an element of an array, or the whole value. Strings are valid UTF-8. */
void hf_json_open(HfJson *json, const char *key, char bracket); /* '{' or '[' */
void hf_json_close(HfJson *json, char bracket);                 /* '}' or ']' */
void hf_json_string(HfJson *json, const char *key, const char *value);
void hf_json_number(HfJson *json, const char *key, uint64_t value);
/* A moment or a time of usec as seconds; null when it is 0 and so not there. */
void hf_json_seconds(HfJson *json, const char *key, uint64_t usec);
void hf_json_null(HfJson *json, const char *key);
