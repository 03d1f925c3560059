#include "service/php_fpm/status.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

#define NUMBER_MAX 24 /* digits and a NUL */

static const struct {
    const char *name;
    size_t offset;
    bool needed;
} keys[] = {
    {"accepted conn:", offsetof(HfPhpfpmStatus, accepted), true},
    {"listen queue:", offsetof(HfPhpfpmStatus, queued), false},
    {"idle processes:", offsetof(HfPhpfpmStatus, idle), true},
    {"active processes:", offsetof(HfPhpfpmStatus, active), true},
    {"max children reached:", offsetof(HfPhpfpmStatus, max_children), false},
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

/* A number between blanks. */
static int take_number(const char *text, size_t length, uint64_t *ret)
{
    char number[NUMBER_MAX];

    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\r'))
        length--;
    if (length >= sizeof(number) || memchr(text, '\0', length))
        return -EBADMSG;
    memcpy(number, text, length);
    number[length] = '\0';
    return hf_parse_uint(number, UINT64_MAX, ret) < 0 ? -EBADMSG : 0;
}

static int take_line(const char *line, size_t length, HfPhpfpmStatus *status, bool *seen)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        size_t name = strlen(keys[i].name);
        if (length < name || memcmp(line, keys[i].name, name) != 0)
            continue;
        seen[i] = true;
        return take_number(line + name, length - name,
                           (uint64_t *)(void *)((char *)status + keys[i].offset));
    }
    return 0;
}

int hf_phpfpm_status_parse(const char *page, size_t length, HfPhpfpmStatus *ret)
{
    HfPhpfpmStatus status = {0};
    bool seen[N_KEYS] = {false};

    if (length > HF_PHPFPM_STATUS_MAX)
        return -E2BIG;
    while (length > 0) {
        const char *end = memchr(page, '\n', length);
        size_t line = end ? (size_t)(end - page) : length;
        int r = take_line(page, line, &status, seen);
        if (r < 0)
            return r;
        page += line + (end ? 1 : 0);
        length -= line + (end ? 1 : 0);
    }
    for (size_t i = 0; i < N_KEYS; i++)
        if (keys[i].needed && !seen[i])
            return -ENODATA;
    *ret = status;
    return 0;
}
