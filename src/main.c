/* main: the verb table, nothing else. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "parts/control/control.h"
#include "parts/events/events.h"
#include "parts/fallback/fallback.h"
#include "parts/inherit/unit_cleanup.h"
#include "parts/probe/probe_verb.h"
#include "parts/probe/prober.h"
#include "parts/ready_log/ready_log.h"
#include "parts/survive/adoption.h"
#include "parts/survive/reexec.h"
#include "parts/trial/preflight.h"
#include "parts/watch/watch.h"
#include "run/check.h"
#include "run/configuration.h"
#include "run/exec.h"
#include "run/run.h"

/* In the order in which their moments come; control is the last to let go. */
static const HfPart *const parts[] = {
    &hf_part_events, &hf_part_probe,     &hf_part_trial,   &hf_part_fallback,
    &hf_part_watch,  &hf_part_ready_log, &hf_part_control, NULL,
};

static int run(const HfCommandLine *line)
{
    if (hf_reexec_mode() == HF_SELF_TESTED)
        return hf_adoption_test(&line->settings);
    return hf_run(line, parts);
}

static int check(const HfCommandLine *line)
{
    return hf_check(line, parts);
}

static int stop(const HfCommandLine *line)
{
    if (!line->call.unit)
        return hf_cli_call(line);
    int r = hf_unit_cleanup(line->call.unit, line->settings.drain_timeout);
    return r < 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

static int (*const verbs[])(const HfCommandLine *line) = {
    [HF_VERB_RUN] = run,
    [HF_VERB_EXEC] = hf_exec,
    [HF_VERB_CHECK] = check,
    [HF_VERB_RELOAD] = hf_cli_call,
    [HF_VERB_RESTART] = hf_cli_call,
    [HF_VERB_STOP] = stop,
    [HF_VERB_STATUS] = hf_cli_status,
    [HF_VERB_HISTORY] = hf_cli_history,
    [HF_VERB_METRICS] = hf_cli_metrics,
    [HF_VERB_PROBE] = hf_probe,
    [HF_VERB_UPGRADE] = hf_cli_upgrade,
};
_Static_assert(sizeof(verbs) / sizeof(*verbs) == HF_VERB_MAX_, "a function a verb");

static int print(const char *text)
{
    return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

int main(int argc, char *argv[])
{
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    if (hf_fd_fill_standard() < 0)
        return HF_EXIT_FAILED;
    hf_reexec_init(&argc, &argv);
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    for (size_t i = 0; argc > 1 && parts[i]; i++)
        if (parts[i]->mode && strcmp(argv[1], parts[i]->mode) == 0)
            return parts[i]->mode_main(argc, argv);
    int r = hf_configuration_read(argc, argv, &line, &text);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", text.length > 0 ? hf_text_peek(&text) : "out of memory");
        return r == -EINVAL ? HF_EXIT_USAGE : HF_EXIT_FAILED;
    }
    if (line.version)
        return print("holdfast " HF_VERSION "\n");
    if (line.help) {
        hf_options_help(line.verb == HF_VERB_MAX_ ? NULL : &line.verb, &text);
        return print(hf_text_peek(&text));
    }
    hf_log_setup(NULL, hf_log_priority(line.settings.log_level), line.settings.log_format);
    return verbs[line.verb](&line);
}
