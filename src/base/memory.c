/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *hf_allocate(size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    /* not calloc or realloc, which fill glibc's cache of freed memory and take nothing from it */
    void *new = malloc(bytes > 0 ? bytes : 1);
    return new ? memset(new, 0, bytes) : NULL;
}

int hf_array_reserve(void *array, size_t *capacity, size_t needed, size_t size)
{
    assert(size > 0);
    if (needed <= *capacity)
        return 0;
    size_t grown = *capacity < 4 ? 4 : *capacity;
    while (grown < needed) {
        if (grown > SIZE_MAX / 2)
            return -ENOMEM;
        grown *= 2;
    }

    /* The caller's variable is a T *, not a void *: copying bytes respects its type. */
    void *old;
    memcpy(&old, array, sizeof(old));
    void *new = hf_allocate(grown, size);
    if (!new)
        return -ENOMEM;
    if (old)
        memcpy(new, old, *capacity * size);
    free(old);
    memcpy(array, &new, sizeof(new));
    *capacity = grown;
    return 0;
}

void hf_freep(void *p)
{
    void *none = NULL;
    void *pointer;
    memcpy(&pointer, p, sizeof(pointer));
    free(pointer);
    memcpy(p, &none, sizeof(none));
}

int hf_string_set(char **field, const char *text)
{
    char *copy = NULL;
    if (text) {
        copy = strdup(text);
        if (!copy)
            return -ENOMEM;
    }
    free(*field);
    *field = copy;
    return 0;
}

size_t hf_strv_length(char *const *strv)
{
    size_t n = 0;
    while (strv && strv[n])
        n++;
    return n;
}

char **hf_strv_free(char **strv)
{
    for (size_t i = 0; strv && strv[i]; i++)
        free(strv[i]);
    free(strv);
    return NULL;
}

void hf_strv_freep(char ***strv)
{
    *strv = hf_strv_free(*strv);
}

int hf_strv_consume(char ***strv, char *text)
{
    if (!text)
        return -ENOMEM;
    size_t n = hf_strv_length(*strv);
    char **grown = reallocarray(*strv, n + 2, sizeof(*grown));
    if (!grown) {
        free(text);
        return -ENOMEM;
    }
    grown[n] = text;
    grown[n + 1] = NULL;
    *strv = grown;
    return 0;
}

int hf_strv_append(char ***strv, const char *text)
{
    return hf_strv_consume(strv, strdup(text));
}

int hf_strv_set(char ***strv, const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (char **other = *strv; other && *other; other++)
        if (strcspn(*other, "=") == length && memcmp(*other, entry, length) == 0)
            return hf_string_set(other, entry);
    return hf_strv_append(strv, entry);
}

int hf_strv_copy(char *const *strv, char ***ret)
{
    HF_CLEANUP_STRV char **copy = NULL;
    if (strv) {
        size_t n = hf_strv_length(strv);
        copy = hf_allocate(n + 1, sizeof(*copy));
        if (!copy)
            return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
            copy[i] = strdup(strv[i]);
            if (!copy[i])
                return -ENOMEM;
        }
    }
    *ret = HF_STEAL(copy);
    return 0;
}
