#include "config/names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The directory that systemd made for an instance (RuntimeDirectory=holdfast/NAME) is below the
 * usual base, also for a user who could not have made it. systemd.exec(5) RUNTIME_DIRECTORY. */
static bool given_by_systemd(void)
{
    static const char beginning[] = HF_RUNTIME_BASE "/";
    const char *list = getenv("RUNTIME_DIRECTORY");

    for (; list && *list; list += strcspn(list, ":"), list += *list == ':')
        if (strncmp(list, beginning, sizeof(beginning) - 1) == 0)
            return true;
    return false;
}

int hf_name_of_runtime_base(char **ret)
{
    const char *own = getenv("XDG_RUNTIME_DIR");
    HF_CLEANUP_TEXT HfText path = {0};

    if (geteuid() != 0 && !given_by_systemd() && own && own[0] == '/')
        hf_text_addf(&path, "%s/holdfast", own);
    else
        hf_text_add(&path, HF_RUNTIME_BASE);
    return hf_text_take(&path, ret);
}

bool hf_name_is_reserved(const char *entry)
{
    static const struct {
        const char *name;
        bool prefix;
    } reserved[] = {
        {"LISTEN_FD", true},      {"LISTEN_PID", true},    {"FPM_SOCKETS", true},
        {"NOTIFY_SOCKET", false}, {"WATCHDOG_PID", false}, {"WATCHDOG_USEC", false},
        {"MAINPID", false},       {"FDSTORE", false},      {"SERVER_STARTER_", true},
        {"HOLDFAST_", true},
    };
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
        size_t n = strlen(reserved[i].name);
        if (length >= n && memcmp(entry, reserved[i].name, n) == 0 &&
            (reserved[i].prefix || length == n))
            return true;
    }
    return false;
}
