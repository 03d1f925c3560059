#include "parts/inherit/unit_cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "parts/inherit/systemd.h"
#include "run/escalation.h"
#include "run/own_unit.h"

#define PHP_FPM "php-fpm" /* as its comm begins, php-fpm8.2 for one */

typedef struct Sweep {
    const char *unit;
    uint64_t drain_timeout;
    sd_event *loop;
    sd_bus *bus;
    char *path; /* of the unit's object */
    HfEscalation *ladder;
    HfProcess *processes;
    size_t n;
} Sweep;

static void clear(Sweep *sweep)
{
    sweep->ladder = hf_escalation_free(sweep->ladder);
    hf_process_array_free(sweep->processes, sweep->n);
    free(sweep->path);
    sd_bus_flush_close_unref(sweep->bus);
    sd_event_unref(sweep->loop);
}

/* ---- what is left ---- */

static int read_pids(sd_bus_message *message, pid_t **ret, size_t *ret_n)
{
    HF_CLEANUP_FREE pid_t *pids = NULL;
    size_t n = 0;
    uint32_t pid;

    int r = sd_bus_message_enter_container(message, 'a', "(sus)");
    while (r >= 0 && (r = sd_bus_message_read(message, "(sus)", NULL, &pid, NULL)) > 0) {
        pid_t *grown = reallocarray(pids, n + 1, sizeof(*pids));
        if (!grown)
            return -ENOMEM;
        pids = grown;
        pids[n++] = (pid_t)pid;
    }
    if (r < 0)
        return r;
    *ret = HF_STEAL(pids);
    *ret_n = n;
    return 0;
}

/* None where the unit's cgroup is gone. */
static int list(const Sweep *sweep, pid_t **ret, size_t *ret_n)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *message = NULL;

    int r = sd_bus_call_method(sweep->bus, HF_SYSTEMD_NAME, HF_SYSTEMD_PATH, HF_SYSTEMD_MANAGER,
                               "GetUnitProcesses", NULL, &message, "s", sweep->unit);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : read_pids(message, ret, ret_n);
}

static int open_all(Sweep *sweep, const pid_t *pids, size_t n)
{
    sweep->processes = calloc(n + 1, sizeof(*sweep->processes));
    if (!sweep->processes)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (hf_process_open(pids[i], &sweep->processes[sweep->n]) >= 0)
            sweep->n++;
    return 0;
}

/* Whose number was another's when the list was made is not in the next one. */
static void keep_listed(Sweep *sweep, const pid_t *pids, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < sweep->n; i++) {
        HfProcess *process = &sweep->processes[i];
        if (hf_own_unit_lists(pids, n, process->pid) &&
            hf_process_signal(process->pidfd, 0) != -ESRCH)
            sweep->processes[kept++] = *process;
        else
            hf_process_clear(process);
    }
    sweep->n = kept;
}

static int find(Sweep *sweep)
{
    HF_CLEANUP_FREE pid_t *first = NULL;
    HF_CLEANUP_FREE pid_t *second = NULL;
    size_t n_first = 0;
    size_t n_second = 0;

    hf_process_array_free(sweep->processes, sweep->n);
    sweep->processes = NULL;
    sweep->n = 0;
    int r = list(sweep, &first, &n_first);
    if (r >= 0)
        r = open_all(sweep, first, n_first);
    if (r >= 0)
        r = list(sweep, &second, &n_second);
    if (r >= 0)
        keep_listed(sweep, second, n_second);
    return r;
}

static int first_signal(const Sweep *sweep)
{
    HfProgram program;

    for (size_t i = 0; i < sweep->n; i++)
        if (hf_process_program(sweep->processes[i].pid, &program) == 0 &&
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

    int r = sd_bus_get_property_string(sweep->bus, HF_SYSTEMD_NAME, sweep->path, HF_SYSTEMD_UNIT,
                                       "ActiveState", NULL, &active);
    if (r >= 0)
        r = sd_bus_get_property_string(sweep->bus, HF_SYSTEMD_NAME, sweep->path, HF_SYSTEMD_UNIT,
                                       "SubState", NULL, &state);
    if (r >= 0)
        r = sd_bus_get_property(sweep->bus, HF_SYSTEMD_NAME, sweep->path, HF_SYSTEMD_UNIT, "Job",
                                NULL, &job, "(uo)");
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
static void on_left(bool gone, void *userdata)
{
    Sweep *sweep = userdata;

    sweep->ladder = hf_escalation_free(sweep->ladder);
    int r = gone ? decide(sweep) : -EBUSY;
    if (r < 0)
        sd_event_exit(sweep->loop, r);
}

/* Looks again when all are held: what a start had begun meanwhile is not among them then. */
static int decide(Sweep *sweep)
{
    Fate fate;

    int r = look(sweep, &fate);
    if (r >= 0 && fate == FATE_STOPPED) {
        r = find(sweep);
        if (r >= 0)
            r = look(sweep, &fate);
    }
    if (r < 0 || fate == FATE_OPEN)
        return r;
    if (fate == FATE_RUNS || sweep->n == 0)
        return sd_event_exit(sweep->loop, 0);
    return hf_escalation_start(sweep->loop, "left in a unit that was stopped", sweep->processes,
                               sweep->n, first_signal(sweep), sweep->drain_timeout, on_left, sweep,
                               &sweep->ladder);
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Sweep *sweep = userdata;

    (void)message;
    (void)unused;
    int r = sweep->ladder ? 0 : decide(sweep);
    if (r < 0)
        sd_event_exit(sweep->loop, r);
    return 0;
}

static int on_term(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Sweep *sweep = userdata;

    (void)source;
    (void)info;
    if (sweep->ladder)
        hf_escalation_hurry(sweep->ladder);
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
        r = hf_systemd_connect(&sweep->bus);
    if (r >= 0)
        r = sd_bus_path_encode(HF_SYSTEMD_UNITS_PATH, sweep->unit, &sweep->path);
    if (r >= 0)
        r = sd_bus_match_signal(sweep->bus, NULL, NULL, sweep->path,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_change,
                                sweep);
    if (r >= 0)
        r = sd_bus_call_method(sweep->bus, HF_SYSTEMD_NAME, HF_SYSTEMD_PATH, HF_SYSTEMD_MANAGER,
                               "Subscribe", NULL, NULL, NULL);
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
