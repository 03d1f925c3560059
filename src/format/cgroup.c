/* SPDX-License-Identifier: MIT */
#include "format/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

/* A piece of a text; not NUL-terminated. */
typedef struct Span {
    const char *start;
    size_t length;
} Span;

/* Returns the piece up to separator; rest becomes what follows it, with a NULL start at the end of
 * the text. */
static Span cut(Span *rest, char separator)
{
    const char *end = memchr(rest->start, separator, rest->length);
    size_t length = end ? (size_t)(end - rest->start) : rest->length;
    Span piece = {rest->start, length};

    *rest = end ? (Span){end + 1, rest->length - length - 1} : (Span){NULL, 0};
    return piece;
}

/* The next piece; the text after the last separator is one, too. */
static bool next(Span *rest, char separator, Span *ret)
{
    if (!rest->start)
        return false;
    *ret = cut(rest, separator);
    return true;
}

static bool is(Span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.start, text, span.length) == 0;
}

static bool lists(Span list, const char *word)
{
    Span item;

    while (next(&list, ',', &item))
        if (is(item, word))
            return true;
    return false;
}

/* "HIERARCHY:CONTROLLER[,CONTROLLER...]:PATH"; v2 is hierarchy 0 without controllers. */
int hf_cgroup_path(const char *cgroup, const char *controller, const char **ret, size_t *ret_length)
{
    Span rest = {cgroup, strlen(cgroup)};
    Span line;

    while (next(&rest, '\n', &line)) {
        Span hierarchy = cut(&line, ':');
        Span controllers;
        if (!next(&line, ':', &controllers) || line.length == 0 || line.start[0] != '/')
            continue;
        bool wanted = controller ? lists(controllers, controller)
                                 : is(hierarchy, "0") && controllers.length == 0;
        if (!wanted)
            continue;
        *ret = line.start;
        *ret_length = line.length;
        return 0;
    }
    return -ENOENT;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Takes one byte of a field of mountinfo, which writes blanks, tabs, newlines and backslashes as
 * \OOO. */
static char parse_byte(Span *field)
{
    const char *c = field->start;
    size_t n = 1;
    char byte = c[0];

    if (field->length >= 4 && c[0] == '\\' && is_octal(c[1]) && is_octal(c[2]) && is_octal(c[3])) {
        byte = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
        n = 4;
    }
    *field = (Span){c + n, field->length - n};
    return byte;
}

/* The part of path below root; false unless path is root or below it. */
static bool below(Span root, Span path, Span *ret)
{
    if (is(root, "/")) {
        *ret = is(path, "/") ? (Span){path.start + 1, 0} : path;
        return true;
    }
    while (root.length > 0) {
        char byte = parse_byte(&root);
        if (path.length == 0 || path.start[0] != byte)
            return false;
        path = (Span){path.start + 1, path.length - 1};
    }
    if (path.length > 0 && path.start[0] != '/')
        return false;
    *ret = path;
    return true;
}

typedef struct Mount {
    Span root;
    Span point;
    Span type;
    Span options; /* of the file system, including the controllers */
} Mount;

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL...] - TYPE SOURCE OPTIONS */
static bool parse_mount(Span line, Mount *ret)
{
    Span source;
    Span field;

    for (int i = 0; i < 3; i++)
        if (!next(&line, ' ', &field))
            return false;
    if (!next(&line, ' ', &ret->root) || !next(&line, ' ', &ret->point))
        return false;
    do
        if (!next(&line, ' ', &field))
            return false;
    while (!is(field, "-"));
    return next(&line, ' ', &ret->type) && next(&line, ' ', &source) &&
           next(&line, ' ', &ret->options) && ret->root.length > 0 && ret->point.length > 0;
}

int hf_cgroup_directory(const char *mountinfo, const char *cgroup, const char *controller,
                        HfText *text)
{
    Span rest = {mountinfo, strlen(mountinfo)};
    Span path;
    Span inside;
    Span line;
    Mount mount;

    int r = hf_cgroup_path(cgroup, controller, &path.start, &path.length);
    if (r < 0)
        return r;
    while (next(&rest, '\n', &line)) {
        if (!parse_mount(line, &mount) || !is(mount.type, controller ? "cgroup" : "cgroup2") ||
            (controller && !lists(mount.options, controller)) || !below(mount.root, path, &inside))
            continue;
        while (mount.point.length > 0) {
            char byte = parse_byte(&mount.point);
            hf_text_add_bytes(text, &byte, 1);
        }
        hf_text_add_bytes(text, inside.start, inside.length);
        return 0;
    }
    return -ENOENT;
}

int hf_cgroup_counter(const char *file, const char *key, uint64_t *ret)
{
    Span rest = {file, strlen(file)};
    Span line;

    while (next(&rest, '\n', &line)) {
        char number[21];
        if (!is(cut(&line, ' '), key))
            continue;
        if (!line.start || line.length >= sizeof(number))
            return -EINVAL;
        memcpy(number, line.start, line.length);
        number[line.length] = '\0';
        return hf_parse_uint(number, UINT64_MAX, ret) < 0 ? -EINVAL : 0;
    }
    return -ENOENT;
}

#define SUFFIX ".service"

static bool starts_with(const char *line, const char *prefix)
{
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

/* The path in a line of the hierarchy that systemd manages, or NULL. */
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
