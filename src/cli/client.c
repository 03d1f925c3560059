/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/options.h"
#include "config/settings.h"

/* Where instances are: the caller's own, and those of the system. */
static int list_bases(char ***ret)
{
    HF_CLEANUP_STRV char **bases = NULL;
    HF_CLEANUP_FREE char *own = NULL;

    int r = hf_name_of_runtime_base(&own);
    if (r >= 0)
        r = hf_strv_append(&bases, own);
    if (r >= 0 && strcmp(own, HF_RUNTIME_BASE) != 0)
        r = hf_strv_append(&bases, HF_RUNTIME_BASE);
    if (r < 0)
        return r;
    *ret = HF_STEAL(bases);
    return 0;
}

/* The value of a D-Bus address, escaped as its specification asks. */
static void add_escaped(HfText *text, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.-";

    for (; *value; value++) {
        if (strchr(plain, *value))
            hf_text_add_bytes(text, value, 1);
        else
            hf_text_addf(text, "%%%02x", (unsigned)(unsigned char)*value);
    }
}

/* directory: BASE/NAME. */
static int connect_in(const char *directory, sd_bus **ret)
{
    __attribute__((cleanup(sd_bus_unrefp))) sd_bus *bus = NULL;
    HF_CLEANUP_TEXT HfText address = {0};

    hf_text_add(&address, "unix:path=");
    add_escaped(&address, directory);
    hf_text_add(&address, "/control");
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, hf_text_peek(&address));
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0)
        return r;
    *ret = HF_STEAL(bus);
    return 0;
}

/* Until it has let us in, which one that is stopped never does. Any other failure is left to the
 * call to come. */
static int await_ready(sd_bus *bus)
{
    uint64_t until = hf_clock_monotonic() + HF_CLIENT_TIMEOUT;
    int r = 0;

    while (r >= 0 && sd_bus_is_ready(bus) == 0) {
        uint64_t now = hf_clock_monotonic();
        if (now >= until)
            return -ETIMEDOUT;
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, until - now);
        if (r == -EINTR)
            r = 0;
    }
    return 0;
}

static bool is_absence(int r)
{
    return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

static int directory_of(const char *base, const char *name, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%s", base, name);
    return hf_text_take(&path, ret);
}

/* The first instance of that name, or in that directory. One that may not be asked counts only if
 * there is no other. */
static int connect_to(const char *name, sd_bus **ret)
{
    HF_CLEANUP_STRV char **bases = NULL;
    int problem = -ENOENT;

    if (strchr(name, '/'))
        return connect_in(name, ret);
    int r = list_bases(&bases);
    if (r < 0)
        return r;
    for (size_t i = 0; bases[i]; i++) {
        HF_CLEANUP_FREE char *directory = NULL;
        r = directory_of(bases[i], name, &directory);
        if (r >= 0)
            r = connect_in(directory, ret);
        if (r >= 0)
            return 0;
        if (!is_absence(r))
            problem = r;
    }
    return problem;
}

/* Adds the directories of those in base. A problem with one of them goes to ret_problem. */
static int list_in(const char *base, char ***directories, int *ret_problem)
{
    DIR *directory = opendir(base);
    int r = 0;

    if (!directory)
        return errno == ENOENT || errno == EACCES ? 0 : -errno;
    for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
        HF_CLEANUP_FREE char *path = NULL;
        sd_bus *bus;
        if (entry->d_name[0] == '.')
            continue;
        r = directory_of(base, entry->d_name, &path);
        if (r < 0)
            break;
        int connected = connect_in(path, &bus);
        if (connected >= 0) {
            sd_bus_close_unref(bus);
            r = hf_strv_consume(directories, HF_STEAL(path));
        } else if (!is_absence(connected)) {
            *ret_problem = connected;
        }
    }
    closedir(directory);
    return r;
}

/* which: "the instance NAME", "an instance". */
static int explain_refusal(const char *which, int r, HfText *error)
{
    if (r == -EACCES || r == -EPERM) {
        hf_text_addf(error, "%s may only be reached by root and the user it runs as", which);
        return HF_EXIT_NOT_PERMITTED;
    }
    if (r == -ETIMEDOUT)
        hf_text_addf(error, "%s does not answer; its process is stopped, or hangs", which);
    else
        hf_text_addf(error, "%s cannot be reached: %s", which, strerror(-r));
    return HF_EXIT_FAILED;
}

static const char *name_in(const char *directory)
{
    const char *slash = strrchr(directory, '/');

    return slash ? slash + 1 : directory;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(name_in(*(char *const *)a), name_in(*(char *const *)b));
}

int hf_client_list(char ***ret, HfText *error)
{
    HF_CLEANUP_STRV char **bases = NULL;
    HF_CLEANUP_STRV char **directories = NULL;
    int problem = 0;

    int r = list_bases(&bases);
    for (size_t i = 0; r >= 0 && bases[i]; i++)
        r = list_in(bases[i], &directories, &problem);
    if (r >= 0 && !directories)
        r = problem;
    if (r < 0)
        return explain_refusal("an instance", r, error);
    if (!directories) {
        hf_text_add(error, "no instance is running");
        return HF_EXIT_NOT_RUNNING;
    }
    qsort(directories, hf_strv_length(directories), sizeof(*directories), compare_names);
    *ret = HF_STEAL(directories);
    return HF_EXIT_DONE;
}

static int choose_only(char **ret, HfText *error)
{
    HF_CLEANUP_STRV char **directories = NULL;

    int status = hf_client_list(&directories, error);
    if (status != HF_EXIT_DONE)
        return status;
    if (directories[1]) {
        hf_text_add(error, "several instances are running, choose one with --name:");
        for (size_t i = 0; directories[i]; i++)
            hf_text_addf(error, " %s", name_in(directories[i]));
        return HF_EXIT_USAGE;
    }
    *ret = HF_STEAL(directories[0]);
    return HF_EXIT_DONE;
}

int hf_client_connect(const char *name, sd_bus **ret, HfText *error)
{
    HF_CLEANUP_BUS sd_bus *bus = NULL;
    HF_CLEANUP_FREE char *chosen = NULL;
    HF_CLEANUP_TEXT HfText which = {0};

    if (!name) {
        int status = choose_only(&chosen, error);
        if (status != HF_EXIT_DONE)
            return status;
        name = chosen;
    }
    int r = connect_to(name, &bus);
    if (r >= 0)
        r = await_ready(bus);
    if (r >= 0) {
        *ret = HF_STEAL(bus);
        return HF_EXIT_DONE;
    }
    if (is_absence(r)) {
        hf_text_addf(error, "no instance named %s is running", name_in(name));
        return HF_EXIT_NOT_RUNNING;
    }
    hf_text_addf(&which, "the instance %s", name_in(name));
    return explain_refusal(hf_text_peek(&which), r, error);
}

int hf_client_connect_or_log(const char *name, sd_bus **ret)
{
    HF_CLEANUP_TEXT HfText error = {0};

    int status = hf_client_connect(name, ret, &error);
    if (status != HF_EXIT_DONE)
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
    return status;
}
