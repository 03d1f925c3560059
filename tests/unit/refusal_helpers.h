/* SPDX-License-Identifier: MIT */
/* What is asked of memory and kernel is refused in turn, in an executable in which those calls are
 * wrapped (see meson.build). Include after cmocka.h. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t calls_left = SIZE_MAX; /* until one is refused */
static pid_t refusing;               /* who is refused: not its children, who could not say so */
static bool refused;
static const char *which; /* was refused last */

static bool is_refused(const char *function)
{
    if (calls_left == SIZE_MAX || getpid() != refusing || calls_left-- > 0)
        return false;
    calls_left = SIZE_MAX;
    refused = true;
    which = function;
    return true;
}

#define WRAP(type, function, parameters, arguments, failure, error)                                \
    type __real_##function parameters;                                                             \
    type __wrap_##function parameters;                                                             \
    type __wrap_##function parameters                                                              \
    {                                                                                              \
        if (!is_refused(#function))                                                                \
            return __real_##function arguments;                                                    \
        errno = error;                                                                             \
        return failure;                                                                            \
    }
#define MEMORY(type, function, parameters, arguments)                                              \
    WRAP(type, function, parameters, arguments, NULL, ENOMEM)
#define CALL(function, parameters, arguments, error)                                               \
    WRAP(int, function, parameters, arguments, -error, error)
MEMORY(void *, malloc, (size_t size), (size))
MEMORY(void *, calloc, (size_t n, size_t size), (n, size))
MEMORY(void *, realloc, (void *p, size_t size), (p, size))
MEMORY(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
MEMORY(char *, strdup, (const char *text), (text))

static char directory[32]; /* of the test; what is left in it is an error */

static size_t count_entries(const char *path)
{
    DIR *entries = opendir(path);
    size_t n = 0;

    assert_non_null(entries);
    while (readdir(entries))
        n++;
    closedir(entries);
    return n;
}

/* What says that a file is not there lets nobody remove it. */
static bool forgets_names(void)
{
    return which && (strcmp(which, "hf_socket_path_inode") == 0 ||
                     strcmp(which, "hf_steer_find_hidden") == 0);
}

static void empty_directory(void)
{
    DIR *entries = opendir(directory);

    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_type == DT_SOCK)
            unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
}

/* Body with nothing refused, then with its first call refused, and so on; it keeps no descriptor
 * and leaves no file. */
static void refuse_each(void (*body)(void))
{
    size_t n = 0;

    refusing = getpid();
    for (refused = true; refused && n < 2000; n++) {
        size_t fds = count_entries("/proc/self/fd");
        refused = n == 0;
        calls_left = n == 0 ? SIZE_MAX : n - 1;
        body();
        calls_left = SIZE_MAX;
        if (count_entries("/proc/self/fd") != fds)
            fail_msg("a descriptor is left when call %zu (%s) is refused", n, which);
        if (forgets_names())
            empty_directory();
        if (count_entries(directory) > 2)
            fail_msg("a file is left when call %zu (%s) is refused", n, which);
    }
    print_message("%zu calls\n", n);
    assert_in_range(n, 10, 1999);
}
