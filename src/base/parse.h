/* SPDX-License-Identifier: MIT */
/* Text to numbers. The whole string must match: no leading blanks or sign, no trailing characters.
 */
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
/* The longest time that an option accepts: 10 years, so that sums never overflow. */
#define HF_USEC_MAX (UINT64_C(3650) * 86400 * HF_USEC_PER_SEC)

/* A time span with the units of systemd.time(7): "30", "30s", "1min 30s", "500ms", "2h", in
 * microseconds. A number without a unit means seconds and must come last; fractions such as "1.5s"
 * are accepted, "infinity" is not. Returns 0, -EINVAL, or -ERANGE above HF_USEC_MAX. */
int hf_parse_duration(const char *text, uint64_t *ret_usec);

/* A size with K, M, G or T of either case (1024-based), in bytes. Returns 0, -EINVAL or -ERANGE. */
int hf_parse_bytes(const char *text, uint64_t *ret);

/* yes/no, true/false, on/off, 1/0, in any case. Returns 0 or -EINVAL. */
int hf_parse_bool(const char *text, bool *ret);

/* A signal by number, or by name with or without SIG: "TERM", "SIGWINCH", "RTMIN+3", "RTMAX-2",
 * "37". Returns 0 or -EINVAL. */
int hf_parse_signal(const char *text, uint64_t *ret);

#define HF_SIGNAL_NAME_SIZE 16
/* The name of a signal without SIG, as hf_parse_signal accepts it. Writes to ret, which holds
 * HF_SIGNAL_NAME_SIZE bytes, and returns it. */
const char *hf_signal_name(int signal, char *ret);

/* ---- names ---- */

/* Enum values and their names, kept in one table beside the enum. */

/* The name of value, or NULL if the table has none. */
const char *hf_strtab_name(const char *const *table, size_t length, int value);
/* The value of name, or -EINVAL if the table lacks it. */
int hf_strtab_value(const char *const *table, size_t length, const char *name);
/* Declares, for each table, const char *PREFIX_name(Type) and int PREFIX_value(const char *), which
 * returns -EINVAL for an unknown name. */
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
