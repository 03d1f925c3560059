/* Cleanup of heap memory, and checked strings. */
#pragma once

#include <stddef.h>

/* For HF_CLEANUP_FREE: frees what the pointer variable at p points to. */
void hf_freep(void *p);
#define HF_CLEANUP_FREE __attribute__((cleanup(hf_freep)))

/* Hands the pointer on: evaluates to it and leaves NULL behind. */
#define HF_STEAL(pointer)                                                                          \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* Replaces *field by a copy of text (NULL empties it). Returns 0 or -ENOMEM; *field unchanged then. */
int hf_string_set(char **field, const char *text);

/* A NULL-terminated vector of owned strings. */
size_t hf_strv_length(char *const *strv);
/* Frees every string and the vector; returns NULL. */
char **hf_strv_free(char **strv);
void hf_strv_freep(char ***strv);
#define HF_CLEANUP_STRV __attribute__((cleanup(hf_strv_freep)))
/* Appends; takes ownership of text, also on failure. text NULL counts as out of memory. 0 or -ENOMEM. */
int hf_strv_consume(char ***strv, char *text);
/* Appends a copy. 0 or -ENOMEM. */
int hf_strv_append(char ***strv, const char *text);
/* Deep copy; NULL in, NULL out. Returns 0 or -ENOMEM. */
int hf_strv_copy(char *const *strv, char ***ret);
