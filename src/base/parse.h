/* SPDX-License-Identifier: MIT */
/* Text to numbers. Whole strings only: no leading blanks or sign, nothing left over. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal. Returns 0, -EINVAL, or -ERANGE above maximum. */
int hf_parse_uint(const char *text, uint64_t maximum, uint64_t *ret);

/* Octal file mode, up to 07777. Returns 0, -EINVAL or -ERANGE. */
int hf_parse_mode(const char *text, unsigned *ret);

#define HF_USEC_PER_MSEC UINT64_C(1000)
#define HF_USEC_PER_SEC  UINT64_C(1000000)
#define HF_USEC_INFINITY UINT64_MAX
/* The longest time that an option takes: 10 years, so that sums never overflow. */
#define HF_USEC_MAX (UINT64_C(3650) * 86400 * HF_USEC_PER_SEC)

/* A time span with the units of systemd.time(7): "30", "30s", "1min 30s", "500ms", "2h"; a number
 * without a unit is seconds and comes last, fractions as "1.5s" are taken, "infinity" is not.
 * Microseconds. Returns 0, -EINVAL, or -ERANGE above HF_USEC_MAX. */
int hf_parse_duration(const char *text, uint64_t *ret_usec);

/* A size with K, M, G or T of either case (1024-based): bytes. Returns 0, -EINVAL or -ERANGE. */
int hf_parse_bytes(const char *text, uint64_t *ret);

/* yes/no, true/false, on/off, 1/0, in any case. Returns 0 or -EINVAL. */
int hf_parse_bool(const char *text, bool *ret);

/* A signal by its number, or by its name with or without SIG: "TERM", "SIGWINCH", "RTMIN+3",
 * "RTMAX-2", "37". Returns 0 or -EINVAL. */
int hf_parse_signal(const char *text, uint64_t *ret);

#define HF_SIGNAL_NAME_SIZE 16
/* Its name without SIG, as hf_parse_signal takes it. Writes to ret, of HF_SIGNAL_NAME_SIZE bytes,
 * and returns it. */
const char *hf_signal_name(int signal, char *ret);

/* ---- names ---- */

/* Enum values and their names, kept in one table beside the enum. */

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
