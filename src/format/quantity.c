#include "format/quantity.h"

#include "base/parse.h"

void hf_text_add_age(HfText *text, uint64_t usec)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    uint64_t seconds = usec / HF_USEC_PER_SEC;
    size_t i = 0;

    while (seconds < units[i].seconds && units[i].seconds > 1)
        i++;
    uint64_t n = seconds / units[i].seconds;
    hf_text_addf(text, "%llu %s%s", (unsigned long long)n, units[i].name, n == 1 ? "" : "s");
}

void hf_text_add_time(HfText *text, uint64_t usec)
{
    uint64_t msec = usec / HF_USEC_PER_MSEC;
    unsigned long long seconds = msec / 1000;

    if (msec < 1000 && msec > 0)
        hf_text_addf(text, "%llu ms", (unsigned long long)msec);
    else if (seconds >= 60 && seconds % 60 > 0)
        hf_text_addf(text, "%llu min %llu s", seconds / 60, seconds % 60);
    else if (seconds >= 60)
        hf_text_addf(text, "%llu min", seconds / 60);
    else if (msec % 1000 >= 100)
        hf_text_addf(text, "%llu.%llu s", seconds, (unsigned long long)(msec % 1000 / 100));
    else
        hf_text_addf(text, "%llu s", seconds);
}

void hf_text_add_bytes_of(HfText *text, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes <= UINT64_MAX / 10 ? bytes * 10 : UINT64_MAX;

    while (tenths >= 10240 && unit + 1 < sizeof(units) / sizeof(*units)) {
        tenths /= 1024;
        unit++;
    }
    unsigned long long whole = tenths / 10;
    unsigned long long fraction = tenths % 10;
    if (fraction > 0)
        hf_text_addf(text, "%llu.%llu %s", whole, fraction, units[unit]);
    else
        hf_text_addf(text, "%llu %s", whole, units[unit]);
}
