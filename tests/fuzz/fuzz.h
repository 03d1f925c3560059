/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: checks that survive every build, and hostile bytes taken apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Aborts with the place and the words of condition, so that a fuzzer keeps the input. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t size;
} Input;

/* 0 when nothing is left. */
unsigned input_byte(Input *input);
/* Up to the next NUL or the end, as a heap string of exactly its size. The caller frees. */
char *input_string(Input *input);
/* The same without NULs in it: all that is left. */
char *input_rest(Input *input);
/* The rest, split at NULs, as a NULL-terminated vector of at most max strings behind first (NULL:
 * none). The caller frees with hf_strv_free. */
char **input_strings(Input *input, const char *first, size_t max);

void *must(void *memory);

/* Well-formed UTF-8 (RFC 3629) without control characters (C0, DEL, C1). */
bool is_printable(const char *text, size_t length);
/* No control character of ASCII. */
bool is_clean(const char *text);
bool same_string(const char *a, const char *b);
/* What a refusal must be: one printable line of bounded length, and no line when result is 0. */
void check_error(int result, const HfText *error);
/* How often c is in text. */
size_t count_of(const char *text, char c);
