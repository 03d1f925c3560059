#include "parts/inherit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "format/cgroup.h"
#include "kernel/file.h"
#include "parts/inherit/systemd.h"

#define CGROUP_FILE_MAX (64U * 1024)
#define COMMAND         "sasbttttuii" /* path, arguments, flags and times of one ExecStopPost= */

/* ret: "" when it is of none. */
static int find_unit(const char *process, char *ret)
{
    HF_CLEANUP_FREE char *text = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
    int r = hf_file_read(path, CGROUP_FILE_MAX, &text, NULL);
    if (r < 0)
        return r;
    if (hf_unit_of_cgroup(text, ret) < 0)
        *ret = '\0';
    return 0;
}

static void close_bus(sd_bus **bus)
{
    sd_bus_flush_close_unref(*bus);
}
#define CLEANUP_BUS __attribute__((cleanup(close_bus)))

static int has_stop_post(sd_bus *bus, const char *path, bool *ret)
{
    sd_bus_message *message = NULL;

    int r = sd_bus_get_property(bus, HF_SYSTEMD_NAME, path, HF_SYSTEMD_SERVICE, "ExecStopPost",
                                NULL, &message, "a(" COMMAND ")");
    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "(" COMMAND ")");
    if (r >= 0)
        r = sd_bus_message_at_end(message, 0);
    sd_bus_message_unref(message);
    if (r >= 0)
        *ret = r == 0;
    return r < 0 ? r : 0;
}

static int has_directory(sd_bus *bus, const char *path, bool *ret)
{
    HF_CLEANUP_STRV char **directories = NULL;
    HF_CLEANUP_FREE char *preserve = NULL;

    int r = sd_bus_get_property_strv(bus, HF_SYSTEMD_NAME, path, HF_SYSTEMD_SERVICE,
                                     "RuntimeDirectory", NULL, &directories);
    if (r >= 0)
        r = sd_bus_get_property_string(bus, HF_SYSTEMD_NAME, path, HF_SYSTEMD_SERVICE,
                                       "RuntimeDirectoryPreserve", NULL, &preserve);
    if (r >= 0)
        *ret = hf_strv_length(directories) > 0 && strcmp(preserve, "yes") != 0;
    return r < 0 ? r : 0;
}

/* Returns 1 when it is, or 0. */
static int is_in_the_way(const char *unit)
{
    CLEANUP_BUS sd_bus *bus = NULL;
    HF_CLEANUP_FREE char *path = NULL;
    HF_CLEANUP_FREE char *restart = NULL;
    bool stop_post = true;
    bool directory = true;

    int r = hf_systemd_connect(&bus);
    if (r >= 0)
        r = sd_bus_path_encode(HF_SYSTEMD_UNITS_PATH, unit, &path);
    if (r >= 0)
        r = sd_bus_get_property_string(bus, HF_SYSTEMD_NAME, path, HF_SYSTEMD_SERVICE, "Restart",
                                       NULL, &restart);
    if (r >= 0)
        r = has_stop_post(bus, path, &stop_post);
    if (r >= 0)
        r = has_directory(bus, path, &directory);
    if (r < 0)
        return r;
    return strcmp(restart, "no") != 0 || stop_post || directory;
}

/* r: of is_in_the_way. */
static void explain(pid_t pid, const char *unit, int r, HfText *error)
{
    char name[HF_UNIT_MAX];

    hf_text_printable(unit, strlen(unit), name, sizeof(name));
    hf_text_addf(error, "pid %d belongs to the systemd unit %s, ", (int)pid, name);
    if (r < 0)
        hf_text_addf(error, "and systemd does not tell what that does when it leaves: %s",
                     strerror(-r));
    else
        hf_text_add(error, "which would start it again or remove its socket when it leaves");
    hf_text_addf(
        error,
        "; nothing was touched. Keep systemd from it, then take over again:\n"
        "  mkdir -p /run/systemd/system/%s.d\n"
        "  printf '[Service]\\nRestart=no\\nExecStopPost=\\nRuntimeDirectoryPreserve=yes\\n' "
        ">/run/systemd/system/%s.d/holdfast-take-over.conf\n"
        "  systemctl daemon-reload",
        name, name);
}

int hf_unit_check(pid_t pid, HfText *error)
{
    char process[16];
    char unit[HF_UNIT_MAX];
    char own[HF_UNIT_MAX];

    snprintf(process, sizeof(process), "%d", (int)pid);
    int r = find_unit(process, unit);
    if (r >= 0)
        r = find_unit("self", own);
    if (r < 0) {
        hf_text_addf(error, "the unit of pid %d cannot be told: %s", (int)pid, strerror(-r));
        return r;
    }
    if (unit[0] == '\0' || strcmp(unit, own) == 0)
        return 0;
    r = is_in_the_way(unit);
    if (r == 0)
        return 0;
    explain(pid, unit, r, error);
    return -EBUSY;
}
