#include "config/names.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

/* The character that stands for one of any text. */
static char clean(char character, bool lower, bool first)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *capital = strchr(capitals, character);

    if (capital && lower)
        return others[capital - capitals];
    if (capital || (strchr(others, character) && !(character == '.' && first)))
        return character;
    return '-';
}

int hf_name_clean(const char *text, bool lower, char **ret)
{
    char name[HF_NAME_MAX + 1];
    size_t n = 0;

    for (; text[n] && n < HF_NAME_MAX; n++)
        name[n] = clean(text[n], lower, n == 0);
    if (n == 0)
        name[n++] = '-';
    name[n] = '\0';
    *ret = NULL;
    return hf_string_set(ret, name);
}

int hf_name_of_address(const HfAddress *address, char **ret)
{
    char text[HF_ADDRESS_TEXT_MAX];
    const char *start = text;

    hf_address_format(address, text);
    while (*start == '/' || *start == '[' || *start == '@')
        start++;
    return hf_name_clean(start, false, ret);
}

int hf_name_of_instance(const HfSettings *settings, char **ret)
{
    const char *slash = strrchr(settings->command[0], '/');

    if (settings->name) {
        *ret = NULL;
        return hf_string_set(ret, settings->name);
    }
    return hf_name_clean(slash ? slash + 1 : settings->command[0], true, ret);
}
