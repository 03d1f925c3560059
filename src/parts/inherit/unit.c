#include "parts/inherit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "format/cgroup.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"
#include "loop/process_set.h"

#define SYSTEMD_NAME       "org.freedesktop.systemd1"
#define SYSTEMD_PATH       "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER    "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT       "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SERVICE    "org.freedesktop.systemd1.Service"
#define SYSTEMD_UNITS_PATH SYSTEMD_PATH "/unit"

#define ANSWER_TIME     (10 * HF_USEC_PER_SEC)
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

static int connect_directly(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

/* Through the bus daemon, or, where none runs, root as systemctl does. */
static int connect_systemd(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_open_system(&bus);
    if (r < 0)
        r = connect_directly(&bus);
    if (r < 0)
        return r;
    r = sd_bus_set_method_call_timeout(bus, ANSWER_TIME);
    if (r < 0) {
        sd_bus_flush_close_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

/* ---- units ---- */

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

    int r = sd_bus_get_property(bus, SYSTEMD_NAME, path, SYSTEMD_SERVICE, "ExecStopPost", NULL,
                                &message, "a(" COMMAND ")");
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

    int r = sd_bus_get_property_strv(bus, SYSTEMD_NAME, path, SYSTEMD_SERVICE, "RuntimeDirectory",
                                     NULL, &directories);
    if (r >= 0)
        r = sd_bus_get_property_string(bus, SYSTEMD_NAME, path, SYSTEMD_SERVICE,
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

    int r = connect_systemd(&bus);
    if (r >= 0)
        r = sd_bus_path_encode(SYSTEMD_UNITS_PATH, unit, &path);
    if (r >= 0)
        r = sd_bus_get_property_string(bus, SYSTEMD_NAME, path, SYSTEMD_SERVICE, "Restart", NULL,
                                       &restart);
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

/* ---- what a unit left ---- */

#define PHP_FPM "php-fpm" /* as its comm begins, php-fpm8.2 for one */

typedef struct Sweep {
    const char *unit;
    uint64_t drain_timeout;
    sd_event *loop;
    sd_bus *bus;
    char *path; /* of the unit's object */
    char *cgroup;
    HfProcessList left;
    HfProcessSet *set;
} Sweep;

static void clear(Sweep *sweep)
{
    hf_process_set_free(sweep->set);
    hf_process_list_clear(&sweep->left);
    free(sweep->cgroup);
    free(sweep->path);
    sd_bus_flush_close_unref(sweep->bus);
    sd_event_unref(sweep->loop);
}

/* ---- what is left ---- */

static int is_left_in_unit(pid_t pid, const void *wanted)
{
    const Sweep *sweep = wanted;

    return hf_cgroup_holds(sweep->cgroup, pid);
}

static int list_left(HfProcess *process, void *userdata)
{
    return hf_process_list_add(userdata, process->pid);
}

/* None where the unit's cgroup is gone. */
static int find_left(Sweep *sweep)
{
    hf_process_list_clear(&sweep->left);
    free(sweep->cgroup);
    sweep->cgroup = NULL;
    int r = sd_bus_get_property_string(sweep->bus, SYSTEMD_NAME, sweep->path, SYSTEMD_SERVICE,
                                       "ControlGroup", NULL, &sweep->cgroup);
    if (r < 0 || sweep->cgroup[0] == '\0')
        return r;
    return hf_process_visit(is_left_in_unit, sweep, list_left, &sweep->left);
}

static int first_signal(const Sweep *sweep)
{
    HfProgram program;

    for (size_t i = 0; i < sweep->left.n; i++)
        if (hf_process_program(sweep->left.list[i].pid, &program) == 0 &&
            strncmp(program.comm, PHP_FPM, strlen(PHP_FPM)) == 0)
            return SIGQUIT;
    return SIGTERM;
}

/* ---- has systemd done with it? ---- */

typedef enum Fate {
    FATE_OPEN,    /* it stops, or waits to be started again */
    FATE_RUNS,    /* systemd has started it, or is about to */
    FATE_STOPPED, /* for good */
} Fate;

static int look(const Sweep *sweep, Fate *ret)
{
    HF_CLEANUP_FREE char *active = NULL;
    HF_CLEANUP_FREE char *state = NULL;
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *job = NULL;
    uint32_t id = 0;

    int r = sd_bus_get_property_string(sweep->bus, SYSTEMD_NAME, sweep->path, SYSTEMD_UNIT,
                                       "ActiveState", NULL, &active);
    if (r >= 0)
        r = sd_bus_get_property_string(sweep->bus, SYSTEMD_NAME, sweep->path, SYSTEMD_UNIT,
                                       "SubState", NULL, &state);
    if (r >= 0)
        r = sd_bus_get_property(sweep->bus, SYSTEMD_NAME, sweep->path, SYSTEMD_UNIT, "Job", NULL,
                                &job, "(uo)");
    if (r >= 0)
        r = sd_bus_message_read(job, "(uo)", &id, NULL);
    if (r < 0)
        return r;
    if (strcmp(active, "inactive") == 0 || strcmp(active, "failed") == 0)
        *ret = id == 0 ? FATE_STOPPED : FATE_OPEN;
    else if (strcmp(active, "deactivating") == 0 || strcmp(state, "auto-restart") == 0)
        *ret = FATE_OPEN;
    else
        *ret = FATE_RUNS;
    return 0;
}

static int decide(Sweep *sweep);

/* They may have had children meanwhile. */
static void on_left_gone(void *userdata)
{
    Sweep *sweep = userdata;
    bool all = !hf_process_set_left_some(sweep->set);

    sweep->set = hf_process_set_free(sweep->set);
    int r = all ? decide(sweep) : -EBUSY;
    if (r < 0)
        sd_event_exit(sweep->loop, r);
}

static int end_left(Sweep *sweep)
{
    const HfEscalation escalation = {
        .first = first_signal(sweep),
        .patience = sweep->drain_timeout,
    };
    const HfProcessSetSpec spec = {
        .loop = sweep->loop,
        .match = hf_process_is_listed,
        .wanted = &sweep->left,
        .who = sweep->unit,
        .told = "left in a unit that was stopped and",
        .gone = on_left_gone,
        .userdata = sweep,
    };

    int r = hf_process_set_new(&spec, &sweep->set);
    if (r >= 0)
        hf_process_set_end(sweep->set, &escalation);
    return r;
}

/* Looks again when all are known: what a start had begun meanwhile is not among them then. */
static int decide(Sweep *sweep)
{
    Fate fate;

    int r = look(sweep, &fate);
    if (r >= 0 && fate == FATE_STOPPED) {
        r = find_left(sweep);
        if (r >= 0)
            r = look(sweep, &fate);
    }
    if (r < 0 || fate == FATE_OPEN)
        return r;
    if (fate == FATE_RUNS || sweep->left.n == 0)
        return sd_event_exit(sweep->loop, 0);
    return end_left(sweep);
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Sweep *sweep = userdata;

    (void)message;
    (void)unused;
    int r = sweep->set ? 0 : decide(sweep);
    if (r < 0)
        sd_event_exit(sweep->loop, r);
    return 0;
}

static int on_term(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Sweep *sweep = userdata;

    (void)source;
    (void)info;
    if (sweep->set)
        hf_process_set_hurry(sweep->set);
    else
        sd_event_exit(sweep->loop, -EINTR);
    return 0;
}

/* Asks to be told before it looks, so that no change falls between. */
static int begin(Sweep *sweep)
{
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0)
        return -errno;
    int r = sd_event_new(&sweep->loop);
    if (r >= 0)
        r = sd_event_add_signal(sweep->loop, NULL, SIGTERM, on_term, sweep);
    if (r >= 0)
        r = connect_systemd(&sweep->bus);
    if (r >= 0)
        r = sd_bus_path_encode(SYSTEMD_UNITS_PATH, sweep->unit, &sweep->path);
    if (r >= 0)
        r = sd_bus_match_signal(sweep->bus, NULL, NULL, sweep->path,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_change,
                                sweep);
    if (r >= 0)
        r = sd_bus_call_method(sweep->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe",
                               NULL, NULL, NULL);
    if (r >= 0)
        r = sd_bus_attach_event(sweep->bus, sweep->loop, SD_EVENT_PRIORITY_NORMAL);
    return r < 0 ? r : decide(sweep);
}

int hf_unit_cleanup(const char *unit, uint64_t drain_timeout)
{
    Sweep sweep = {.unit = unit, .drain_timeout = drain_timeout};

    int r = begin(&sweep);
    if (r >= 0)
        r = sd_event_loop(sweep.loop);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "what %s has left cannot be ended", unit);
    }
    clear(&sweep);
    return r;
}
