#include "parts/survive/reexec.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "kernel/process.h"

#define OWN_EXECUTABLE "/proc/self/exe"

static struct {
    HfReexecMode mode;
    int snapshot;
    char **argv; /* argv[0], verb, ... */
    char *path;
} self = {.snapshot = -1};

static bool is_this_program(const char *path)
{
    struct stat own;
    struct stat other;

    return stat(OWN_EXECUTABLE, &own) == 0 && stat(path, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* A path that goes by way of links is kept as it is: another version is put in place by them. */
static char *find_path(const char *name)
{
    char *path;
    char target[PATH_MAX];

    if (name && hf_process_find(name, getenv("PATH"), NULL, &path) == 0) {
        if (is_this_program(path))
            return path;
        free(path);
    }
    ssize_t n = readlink(OWN_EXECUTABLE, target, sizeof(target) - 1);
    return n > 0 ? strndup(target, (size_t)n) : NULL;
}

static bool take_word(const char *word, const char *prefix, HfReexecMode mode)
{
    uint64_t fd;

    if (strncmp(word, prefix, strlen(prefix)) != 0 ||
        hf_parse_uint(word + strlen(prefix), INT_MAX, &fd) < 0)
        return false;
    self.mode = mode;
    self.snapshot = (int)fd;
    return true;
}

void hf_reexec_init(int *argc, char ***argv)
{
    char **words = *argv;

    if (*argc > 1 && (take_word(words[1], HF_SELF_RESUME, HF_SELF_RESUMED) ||
                      take_word(words[1], HF_SELF_TEST, HF_SELF_TESTED))) {
        words[1] = words[0];
        ++*argv;
        --*argc;
    }
    self.argv = *argv;
    self.path = find_path(*argc > 0 ? (*argv)[0] : NULL);
}

HfReexecMode hf_reexec_mode(void)
{
    return self.mode;
}

int hf_reexec_take_snapshot(void)
{
    int fd = self.snapshot;

    self.snapshot = -1;
    return fd;
}

int hf_reexec_path(char **ret)
{
    if (!self.path)
        return -ENOENT;
    *ret = strdup(self.path);
    return *ret ? 0 : -ENOMEM;
}

int hf_reexec_arguments(const char *path, const char *word, int fd, char ***ret)
{
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_TEXT HfText text = {0};
    char *first = NULL;

    hf_text_addf(&text, "%s%d", word, fd);
    int r = hf_strv_append(&argv, path);
    if (r >= 0)
        r = hf_text_take(&text, &first);
    if (r >= 0)
        r = hf_strv_consume(&argv, first);
    for (char **more = self.argv + 1; r >= 0 && *more; more++)
        r = hf_strv_append(&argv, *more);
    if (r >= 0)
        *ret = HF_STEAL(argv);
    return r;
}
