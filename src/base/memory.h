/* SPDX-License-Identifier: MIT */
/* Heap memory: checked allocation, cleanup, owned strings and vectors of them. */
#pragma once

#include <stddef.h>

/* n elements of size bytes each, zeroed. NULL only when out of memory or when n * size overflows,
 * so never for n == 0. Freed with hf_freep or HF_CLEANUP_FREE. */
void *hf_allocate(size_t n, size_t size) __attribute__((warn_unused_result));

/* Makes room for needed elements of size bytes in a heap array that grows to 4, 8, 16, ... array is
 * the address of the pointer variable (any T **), *capacity counts elements; start with NULL and 0.
 * New room is zeroed. Returns 0, or -ENOMEM (also when the size overflows) with nothing changed. */
int hf_array_reserve(void *array, size_t *capacity, size_t needed, size_t size)
    __attribute__((warn_unused_result));

/* For HF_CLEANUP_FREE: frees what the pointer variable at p points to, and sets it to NULL. */
void hf_freep(void *p);
#define HF_CLEANUP_FREE __attribute__((cleanup(hf_freep)))

/* Hands ownership on: evaluates to the pointer and leaves NULL behind. */
#define HF_STEAL(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* Replaces *field with a copy of text (NULL empties it; text may be *field itself). Returns 0, or
 * -ENOMEM with *field unchanged. */
int hf_string_set(char **field, const char *text);

/* A NULL-terminated vector of owned strings. */
size_t hf_strv_length(char *const *strv);
/* Frees every string and the vector; returns NULL. */
char **hf_strv_free(char **strv);
void hf_strv_freep(char ***strv);
#define HF_CLEANUP_STRV __attribute__((cleanup(hf_strv_freep)))
/* Appends; takes ownership of text, also on failure. text NULL counts as out of memory. 0 or
 * -ENOMEM. */
int hf_strv_consume(char ***strv, char *text);
/* Appends a copy. 0 or -ENOMEM. */
int hf_strv_append(char ***strv, const char *text);
/* Appends a copy of entry, NAME=VALUE, or replaces the entry with the same NAME. 0 or -ENOMEM. */
int hf_strv_set(char ***strv, const char *entry);
/* Deep copy; NULL in, NULL out. Returns 0 or -ENOMEM. */
int hf_strv_copy(char *const *strv, char ***ret);
