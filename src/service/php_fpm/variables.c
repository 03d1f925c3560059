/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "kernel/file.h"
#include "service/php_fpm/php_fpm.h"

#define FILES_MAX 10000              /* included by one configuration */
#define FILE_MAX  (4U * 1024 * 1024) /* bytes per file */
#define DEPTH_MAX 6                  /* php-fpm's own limit, fpm_conf.c, plus our overlay */

typedef struct Scan {
    const char *prefix; /* for relative includes */
    unsigned files;
    HfText *names;
} Scan;

/* The pattern of an include line, NULL where only php-fpm can tell. Overwrites line. */
static char *parse_pattern(char *line)
{
    char *value = line + strlen("include");

    value += strspn(value, " \t");
    if (*value != '=')
        return NULL;
    value += 1 + strspn(value + 1, " \t");
    size_t quoted = *value == '"' || *value == '\'' ? 1 : 0;
    value[quoted + strcspn(value + quoted, quoted ? "\"'" : ";\r")] = '\0';
    value += quoted;
    for (size_t n = strlen(value); n > 0 && !quoted && strchr(" \t", value[n - 1]); n--)
        value[n - 1] = '\0';
    return *value && !strpbrk(value, "\\$\"'(){}!^&|~") && strchr(value, '/') ? value : NULL;
}

static void parse_variables(const char *line, HfText *names)
{
    while ((line = strstr(line, "${"))) {
        line += strlen("${");
        size_t length = strcspn(line, "}:\r\n");
        hf_text_add_bytes(names, line, length);
        hf_text_add(names, "\n");
    }
}

static void scan_file(Scan *scan, const char *path, unsigned depth);

static void scan_include(Scan *scan, char *line, unsigned depth)
{
    HF_CLEANUP_TEXT HfText full = {0};
    glob_t found = {0};

    const char *pattern = parse_pattern(line);
    if (!pattern) {
        hf_text_add(scan->names, HF_PHPFPM_UNKNOWN "\n");
        return;
    }
    if (*pattern != '/')
        hf_text_addf(&full, "%s/", scan->prefix);
    hf_text_add(&full, pattern);
    hf_text_fail(scan->names, full.failed);
    int r = glob(hf_text_peek(&full), GLOB_NOSORT, NULL, &found);
    if (r != 0 && r != GLOB_NOMATCH)
        hf_text_add(scan->names, HF_PHPFPM_UNKNOWN "\n");
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        scan_file(scan, found.gl_pathv[i], depth + 1);
    globfree(&found);
}

static void scan_file(Scan *scan, const char *path, unsigned depth)
{
    HF_CLEANUP_FREE char *content = NULL;
    size_t length;
    char *next;

    if (depth > DEPTH_MAX || scan->files++ > FILES_MAX ||
        hf_file_read(path, FILE_MAX, &content, &length) < 0 || strlen(content) != length) {
        hf_text_add(scan->names, HF_PHPFPM_UNKNOWN "\n");
        return;
    }
    for (char *line = content; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        line += strspn(line, " \t");
        if (*line == ';')
            continue;
        parse_variables(line, scan->names);
        if (strncmp(line, "include", strlen("include")) == 0)
            scan_include(scan, line, depth);
    }
}

void hf_phpfpm_scan(int fd, void *input)
{
    HF_CLEANUP_TEXT HfText names = {0};
    HF_CLEANUP_FREE char *path = NULL;

    if (hf_text_take(input, &path) >= 0) {
        char *prefix = path + strcspn(path, "\n");
        *prefix++ = '\0';
        Scan scan = {.prefix = prefix, .names = &names};
        scan_file(&scan, path, 0);
    }
    hf_text_fail(&names, !path);
    const char *rest = names.failed ? HF_PHPFPM_UNKNOWN "\n" : hf_text_peek(&names);
    for (ssize_t n = 0; *rest; rest += n) {
        n = write(fd, rest, strlen(rest));
        if (n < 0)
            return; /* the reader has gone */
    }
}

static bool is_set(char *const *environment, const char *name, size_t length)
{
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return true;
    return false;
}

bool hf_phpfpm_needs_ini(const char *names, char *const *environment, char *const *own)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    for (size_t length; *names; names += length + 1) {
        length = strcspn(names, "\n");
        if (length == 0 || strspn(names, upper) != length || names[length] == '\0' ||
            (!is_set(environment, names, length) && !is_set(own, names, length)))
            return true;
    }
    return false;
}
