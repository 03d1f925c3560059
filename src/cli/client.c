#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "cli/verbs.h"
#include "daemon/runtime.h"

static int connect_to(const char *name, sd_bus **ret)
{
    __attribute__((cleanup(sd_bus_unrefp))) sd_bus *bus = NULL;
    HF_CLEANUP_TEXT HfText address = {0};
    HfRuntime runtime;

    int r = hf_runtime_name(name, &runtime);
    if (r < 0)
        return r;
    hf_text_addf(&address, "unix:path=%s", runtime.control);
    hf_runtime_release(&runtime);
    r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, hf_text_peek(&address));
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0)
        return r;
    *ret = HF_STEAL(bus);
    return 0;
}

/* The names of the instances that can be connected to. */
static int list_instances(char ***ret)
{
    HF_CLEANUP_FREE char *base = NULL;
    HF_CLEANUP_STRV char **names = NULL;
    int denied = 0;

    int r = hf_runtime_base(&base);
    if (r < 0)
        return r;
    DIR *directory = opendir(base);
    if (!directory)
        return errno == ENOENT ? 0 : -errno;
    for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
        sd_bus *bus;
        if (entry->d_name[0] == '.')
            continue;
        int connected = connect_to(entry->d_name, &bus);
        if (connected == -EACCES || connected == -EPERM)
            denied = connected;
        if (connected < 0)
            continue;
        sd_bus_close_unref(bus);
        r = hf_strv_append(&names, entry->d_name);
    }
    closedir(directory);
    if (r >= 0 && !names)
        r = denied;
    if (r < 0)
        return r;
    *ret = HF_STEAL(names);
    return 0;
}

static int explain(const char *name, int r, HfText *error)
{
    if (r == -ENOENT || r == -ECONNREFUSED) {
        hf_text_addf(error, "no instance named %s is running", name);
        return HF_EXIT_NOT_RUNNING;
    }
    if (r == -EACCES || r == -EPERM) {
        hf_text_addf(error, "the instance %s may only be steered by root and the user it runs as",
                     name);
        return HF_EXIT_NOT_PERMITTED;
    }
    hf_text_addf(error, "the instance %s can not be reached: %s", name, strerror(-r));
    return HF_EXIT_FAILED;
}

int hf_client_connect(const char *name, sd_bus **ret, HfText *error)
{
    HF_CLEANUP_STRV char **names = NULL;

    int r = name ? hf_strv_append(&names, name) : list_instances(&names);
    if (r < 0)
        return explain("found", r, error);
    size_t n = hf_strv_length(names);
    if (!names || n == 0) {
        hf_text_add(error, "no instance is running");
        return HF_EXIT_NOT_RUNNING;
    }
    if (n > 1) {
        hf_text_add(error, "several instances are running, choose one with --name:");
        for (size_t i = 0; i < n; i++)
            hf_text_addf(error, " %s", names[i]);
        return HF_EXIT_USAGE;
    }
    r = connect_to(names[0], ret);
    return r < 0 ? explain(names[0], r, error) : HF_EXIT_DONE;
}
