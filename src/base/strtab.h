/* Enum values and their names, kept in one table beside the enum. */
#pragma once

#include <stddef.h>

/* The name of value, or NULL outside the table. */
const char *hf_strtab_name(const char *const *table, size_t length, int value);
/* The value of name, or -EINVAL. */
int hf_strtab_value(const char *const *table, size_t length, const char *name);
/* For each table: const char *PREFIX_name(Type) and int PREFIX_value(const char *), -EINVAL when
 * unknown. */
#define HF_STRTAB_DECLARE(prefix, Type)                                                            \
    const char *prefix##_name(Type value);                                                         \
    int prefix##_value(const char *name)
#define HF_STRTAB_DEFINE(prefix, Type, table, max)                                                 \
    _Static_assert(sizeof(table) / sizeof(*(table)) == (max), "a name for each value");            \
    const char *prefix##_name(Type value)                                                          \
    {                                                                                              \
        return hf_strtab_name(table, max, (int)value);                                             \
    }                                                                                              \
    int prefix##_value(const char *name)                                                           \
    {                                                                                              \
        return hf_strtab_value(table, max, name);                                                  \
    }
