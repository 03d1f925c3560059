#include "run/reconfigure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "run/configuration.h"

static HfCommandLine *drop(HfCommandLine *line)
{
    if (line)
        hf_command_line_clear(line);
    free(line);
    return NULL;
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

int hf_reconfigure_begin(HfSupervisor *supervisor, HfCause cause, HfText *error)
{
    HfMachineLimits limits;

    hf_reconfigure_discard(supervisor);
    if (!supervisor->line->config || cause == HF_CAUSE_START)
        return 0;
    int r = read_again(supervisor, &supervisor->next, error);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "%s cannot be read: %s", supervisor->line->config, strerror(-r));
    if (r < 0 && cause != HF_CAUSE_CRASH)
        return r;
    if (r < 0) {
        hf_log(LOG_WARNING, NULL, "%s; the service is started with the settings in force",
               hf_text_peek(error));
        return 0;
    }
    hf_supervisor_make_limits(&supervisor->next->settings, supervisor->settings, &limits);
    hf_machine_offer(&supervisor->machine, &limits);
    return 0;
}

const HfSettings *hf_reconfigure_settings(const HfSupervisor *supervisor)
{
    return supervisor->next ? &supervisor->next->settings : supervisor->settings;
}

static void tell_changes(const HfSupervisor *supervisor, const HfSettings *next, HfCause cause)
{
    const char *names[HF_OPTIONS_MAX];
    HF_CLEANUP_TEXT HfText list = {0};

    size_t n = hf_options_difference(supervisor->settings, next, false, names);
    for (size_t i = 0; i < n; i++)
        hf_text_addf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    if (n > 0)
        hf_log(LOG_NOTICE, NULL, "%s: changed %s", hf_cause_name(cause), hf_text_peek(&list));
    n = hf_options_difference(&supervisor->line->settings, next, true, names);
    for (size_t i = 0; i < n; i++)
        hf_log(LOG_WARNING, NULL,
               "--%s cannot change while holdfast runs, it stays as it was at the start", names[i]);
}

void hf_reconfigure_commit(HfSupervisor *supervisor, HfCause cause)
{
    if (!supervisor->next)
        return;
    const HfSettings *next = &supervisor->next->settings;
    tell_changes(supervisor, next, cause);
    hf_log_setup(supervisor->name, hf_log_priority(next->log_level), next->log_format);
    supervisor->settings = next;
    drop(supervisor->read);
    supervisor->read = HF_STEAL(supervisor->next);
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
}
