/* SPDX-License-Identifier: MIT */
/* The look for ${variables} in a configuration and what it includes: files, each up to a NUL. An
 * include leads to the next of them. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

#define FILES     3
#define PATH_MAX_ 64
#define OUT_MAX   (1U << 20)

static int fds[FILES + 1]; /* the last one is printed to */
static char paths[FILES][PATH_MAX_];
static unsigned included;

/* In place of the C library's: no file of this machine is read. */
int glob(const char *pattern, int flags, int (*errfunc)(const char *, int), glob_t *pglob)
{
    (void)flags;
    (void)errfunc;
    CHECK(strchr(pattern, '/'));
    if (included + 1 >= FILES)
        return GLOB_NOMATCH;
    char **found = must(calloc(3, sizeof(*found)));
    found[0] = must(strdup(paths[++included]));
    found[1] = must(strdup("/dev/null")); /* no regular file */
    pglob->gl_pathc = 2;
    pglob->gl_pathv = found;
    pglob->gl_offs = 0;
    return 0;
}

void globfree(glob_t *pglob)
{
    for (size_t i = 0; i < pglob->gl_pathc; i++)
        free(pglob->gl_pathv[i]);
    free(pglob->gl_pathv);
    *pglob = (glob_t){0};
}

static void open_files(void)
{
    for (unsigned i = 0; i <= FILES && fds[FILES] == 0; i++) {
        fds[i] = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(fds[i] > 0);
        if (i < FILES)
            snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", fds[i]);
    }
}

static void fill(int fd, const char *text)
{
    size_t length = strlen(text);

    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, text, length, 0) == (ssize_t)length);
}

/* What it prints, to be freed. */
static char *scan(void)
{
    HF_CLEANUP_TEXT HfText input = {0};
    char *found = must(calloc(1, OUT_MAX + 1));

    included = 0;
    hf_text_addf(&input, "%s\n/below", paths[0]);
    CHECK(ftruncate(fds[FILES], 0) == 0 && lseek(fds[FILES], 0, SEEK_SET) == 0);
    hf_phpfpm_scan(fds[FILES], &input);
    CHECK(pread(fds[FILES], found, OUT_MAX, 0) >= 0);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    char *const environment[] = {(char[]){"NAME=1"}, NULL};
    size_t variables = 0;

    open_files();
    for (unsigned i = 0; i < FILES; i++) {
        HF_CLEANUP_FREE char *text = input_string(&input);
        fill(fds[i], text);
        variables += strlen(text);
    }
    HF_CLEANUP_FREE char *first = scan();
    HF_CLEANUP_FREE char *second = scan();
    CHECK(strcmp(first, second) == 0);
    CHECK(*first == '\0' || first[strlen(first) - 1] == '\n');
    CHECK(count_of(first, '\n') <= variables + 1);
    bool needs = hf_phpfpm_needs_ini(first, environment, NULL);
    CHECK(needs || !strchr(first, '?'));
    CHECK(needs || count_of(first, '\n') * strlen("NAME\n") == strlen(first));
    return 0;
}
