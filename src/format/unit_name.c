#include "format/unit_name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SUFFIX ".service"

static bool starts_with(const char *line, const char *prefix)
{
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

/* The path of a line of systemd's hierarchy, or NULL. */
static const char *path_of(const char *line)
{
    if (starts_with(line, "0::"))
        return line + strlen("0::");
    const char *controllers = strchr(line, ':');
    if (controllers && starts_with(controllers, ":name=systemd:"))
        return controllers + strlen(":name=systemd:");
    return NULL;
}

static bool is_service(const char *name, size_t length)
{
    size_t suffix = strlen(SUFFIX);

    return length > suffix && length < HF_UNIT_MAX &&
           memcmp(name + length - suffix, SUFFIX, suffix) == 0;
}

static bool find_in(const char *path, char *ret)
{
    bool found = false;

    while (*path && *path != '\n') {
        path += strspn(path, "/");
        size_t length = strcspn(path, "/\n");
        if (is_service(path, length)) {
            memcpy(ret, path, length);
            ret[length] = '\0';
            found = true;
        }
        path += length;
    }
    return found;
}

int hf_unit_of_cgroup(const char *text, char *ret)
{
    while (*text) {
        const char *path = path_of(text);
        if (path && find_in(path, ret))
            return 0;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return -ENOENT;
}
