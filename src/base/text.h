/* SPDX-License-Identifier: MIT */
/* A growing text, and hostile bytes made printable. A failed allocation is remembered and reported
 * once, by hf_text_take. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HfText {
    char *data; /* NUL-terminated when not NULL */
    size_t length;
    size_t capacity;
    bool failed; /* an allocation failed: the text is empty, and string and length mean nothing */
} HfText;

void hf_text_clear(HfText *text);
#define HF_CLEANUP_TEXT __attribute__((cleanup(hf_text_clear)))

void hf_text_add(HfText *text, const char *string);
void hf_text_add_bytes(HfText *text, const char *bytes, size_t length);
void hf_text_addf(HfText *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hf_text_addv(HfText *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Marks the text as failed when one of its parts has failed. */
void hf_text_fail(HfText *text, bool failed);

/* Hands the string over (never NULL: an empty text gives ""). Returns 0, or -ENOMEM if any addition
 * failed. Either way text is empty and usable again. */
int hf_text_take(HfText *text, char **ret);

/* Appends to a vector of owned strings (base/memory.h) what hf_text_take would give, or what format
 * says. Return 0 or -ENOMEM. */
int hf_strv_take(char ***strv, HfText *text);
int hf_strv_addf(char ***strv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text so far, "" when empty or failed; owned by text. */
const char *hf_text_peek(const HfText *text);

/* Writes bytes as printable UTF-8: control characters (C0, DEL, C1) and bytes that are not UTF-8
 * (RFC 3629) become '?'. Truncated at a character so that it fits size with its NUL; size > 0.
 * Returns the length written. */
size_t hf_text_printable(const char *bytes, size_t length, char *ret, size_t size);

/* The same for a string of several lines: newlines are kept. */
size_t hf_text_printable_lines(const char *text, char *ret, size_t size);

/* Does it contain a control character (C0, DEL)? */
bool hf_text_has_control(const char *text);

/* Numbers as people say them. */
/* "3 days", "2 hours", "5 minutes", "1 second": the largest unit that fits, rounded down. usec. */
void hf_text_add_age(HfText *text, uint64_t usec);

/* "0 s", "34 ms", "1.5 s", "2 min 5 s". usec. */
void hf_text_add_time(HfText *text, uint64_t usec);

/* "64 MiB", "1.5 GiB". */
void hf_text_add_bytes_of(HfText *text, uint64_t bytes);
