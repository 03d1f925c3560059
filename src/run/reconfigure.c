/* SPDX-License-Identifier: MIT */
#include "run/reconfigure.h"
#include "loop/process_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/file.h"
#include "service/adapter.h"

#define STABLE_TIME (10 * HF_USEC_PER_SEC)
#define SETTLE_TIME (100 * HF_USEC_PER_MSEC)
#define RETIRE_TIME (500 * HF_USEC_PER_MSEC)
#define SIDE_TIME   (3 * HF_USEC_PER_SEC)

static HfCommandLine *drop(HfCommandLine *line)
{
    if (line)
        hf_command_line_clear(line);
    free(line);
    return NULL;
}

_Static_assert(HF_DRAINING_MAX == HF_MACHINE_DRAINING_MAX, "the machine has room for them");

void hf_reconfigure_limits(const HfSupervisor *supervisor, const HfSettings *settings,
                           HfMachineLimits *ret)
{
    bool retires = hf_adapter_of(settings)->retires;

    *ret = (HfMachineLimits){
        .ready_timeout = settings->ready_timeout,
        .drain_timeout = settings->drain_timeout,
        .term_timeout = HF_TERM_TIMEOUT,
        .kill_interval = HF_KILL_INTERVAL,
        .backoff_max = settings->backoff_max,
        .stable_time = STABLE_TIME,
        .stop_delay = settings->stop_delay,
        .exit_with_service = settings->exit_with_service,
        .retires = retires,
        .gentle = retires && settings->handover != HF_HANDOVER_AT_ONCE,
        .settle_time = SETTLE_TIME,
        .retire_time = RETIRE_TIME,
        .side_time = SIDE_TIME,
        .park_time = settings->park,
        .busy_after = HF_USEC_INFINITY,
        .probe_failures = 1,
        .recycle_every = settings->recycle_every == HF_USEC_INFINITY ? 0 : settings->recycle_every,
        .max_draining = (unsigned)settings->max_draining,
    };
    for (size_t i = 0; supervisor->parts[i]; i++)
        if (supervisor->parts[i]->limit)
            supervisor->parts[i]->limit(settings, ret);
}

static int read_again(const HfSupervisor *supervisor, HfCommandLine **ret, HfText *error)
{
    HfCommandLine *line = calloc(1, sizeof(*line));

    if (!line)
        return -ENOMEM;
    int r = hf_configuration_read(supervisor->line->argc, supervisor->line->argv, line, error);
    if (r < 0) {
        free(line);
        return r;
    }
    *ret = line;
    return 0;
}

int hf_reconfigure_begin(HfSupervisor *supervisor, bool reread, HfText *error)
{
    HfMachineLimits limits;

    hf_reconfigure_discard(supervisor);
    if (!supervisor->line->config || !reread)
        return 0;
    int r = read_again(supervisor, &supervisor->next, error);
    if (r >= 0)
        r = hf_parts_check(supervisor->parts, &supervisor->next->settings, error);
    if (r < 0)
        hf_reconfigure_discard(supervisor);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "%s cannot be read: %s", supervisor->line->config, strerror(-r));
    if (r < 0)
        return r;
    hf_reconfigure_limits(supervisor, &supervisor->next->settings, &limits);
    hf_machine_offer(&supervisor->machine, &limits);
    return 0;
}

const HfSettings *hf_reconfigure_settings(const HfSupervisor *supervisor)
{
    return supervisor->next ? &supervisor->next->settings : supervisor->settings;
}

static void log_changes(const HfSupervisor *supervisor, const HfSettings *next, const char *why)
{
    const char *names[HF_OPTIONS_MAX];
    HF_CLEANUP_TEXT HfText list = {0};

    size_t n = hf_options_difference(supervisor->settings, next, false, names);
    for (size_t i = 0; i < n; i++)
        hf_text_addf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    if (n > 0)
        hf_log(LOG_NOTICE, NULL, "%s: changed %s", why, hf_text_peek(&list));
    n = hf_options_difference(&supervisor->line->settings, next, true, names);
    for (size_t i = 0; i < n; i++)
        hf_log(LOG_WARNING, NULL,
               "--%s cannot change while holdfast runs, it stays as it was at the start", names[i]);
}

static void set_in_force(HfSupervisor *supervisor, HfCommandLine *read, const char *why)
{
    const HfSettings *next = read ? &read->settings : &supervisor->line->settings;

    log_changes(supervisor, next, why);
    hf_log_setup(supervisor->name, hf_log_priority(next->log_level), next->log_format);
    supervisor->settings = next;
    supervisor->read = read;
}

void hf_reconfigure_commit(HfSupervisor *supervisor, HfCause cause)
{
    if (!supervisor->next)
        return;
    HfCommandLine *before = supervisor->read;
    set_in_force(supervisor, HF_STEAL(supervisor->next), hf_cause_name(cause));
    drop(supervisor->before);
    supervisor->before = before;
    supervisor->knows_before = true;
}

void hf_reconfigure_roll_back(HfSupervisor *supervisor)
{
    HfCommandLine *newer = supervisor->read;

    if (!supervisor->knows_before)
        return;
    set_in_force(supervisor, HF_STEAL(supervisor->before), "rollback");
    supervisor->knows_before = false;
    drop(newer);
}

void hf_reconfigure_discard(HfSupervisor *supervisor)
{
    supervisor->next = drop(supervisor->next);
}

void hf_reconfigure_clear(HfSupervisor *supervisor)
{
    hf_reconfigure_discard(supervisor);
    supervisor->settings = &supervisor->line->settings;
    supervisor->read = drop(supervisor->read);
    supervisor->before = drop(supervisor->before);
}
