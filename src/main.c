/* SPDX-License-Identifier: MIT */
/* The verbs, and the list of parts. */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "kernel/process.h"
#include "parts.h"
#include "run/run.h"
#include "service/adapter.h"

/* In the order in which they are called; control releases last. Parts in meson's option "without"
 * are left out. */
static const HfPart *const parts[] = {
#ifndef HF_WITHOUT_RELEASE
    &hf_part_release, /* its callers are answered before anything ends */
#endif
#ifndef HF_WITHOUT_SURVIVE
    &hf_part_survive,
#endif
#ifndef HF_WITHOUT_PRIVILEGES
    &hf_part_privileges,
#endif
#ifndef HF_WITHOUT_EVENTS
    &hf_part_events,
#endif
#ifndef HF_WITHOUT_INHERIT
    &hf_part_inherit,
#endif
#ifndef HF_WITHOUT_PROBE
    &hf_part_probe,
#endif
#ifndef HF_WITHOUT_TRIAL
    &hf_part_trial,
#endif
#ifndef HF_WITHOUT_FALLBACK
    &hf_part_fallback,
#endif
#ifndef HF_WITHOUT_WATCH
    &hf_part_watch,
#endif
#ifndef HF_WITHOUT_READY_LOG
    &hf_part_ready_log,
#endif
#ifndef HF_WITHOUT_VERBS
    &hf_part_verbs,
#endif
#ifndef HF_WITHOUT_FINAL_KILL
    &hf_part_final_kill,
#endif
#ifndef HF_WITHOUT_CONTROL
    &hf_part_control,
#endif
    NULL,
};

/* Logs which option needs a part that this build lacks. */
static bool lacks_part(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText error = {0};

    if (hf_parts_check(parts, &line->settings, &error) >= 0)
        return false;
    hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
    return true;
}

static int run(const HfCommandLine *line)
{
    return hf_run(line, parts);
}

static int (*const verbs[])(const HfCommandLine *line) = {
    [HF_VERB_RUN] = run,
    [HF_VERB_EXEC] = NULL, /* implemented by a part */
    [HF_VERB_CHECK] = NULL,
    [HF_VERB_RELOAD] = hf_cli_call,
    [HF_VERB_RESTART] = hf_cli_call,
    [HF_VERB_ROLLBACK] = hf_cli_call,
    [HF_VERB_STOP] = hf_cli_call,
    [HF_VERB_HOLD] = hf_cli_call,
    [HF_VERB_RELEASE] = hf_cli_call,
    [HF_VERB_STATUS] = hf_cli_status,
    [HF_VERB_HISTORY] = hf_cli_history,
    [HF_VERB_METRICS] = hf_cli_metrics,
    [HF_VERB_PROBE] = NULL,
    [HF_VERB_UPGRADE] = hf_cli_upgrade,
};
_Static_assert(sizeof(verbs) / sizeof(*verbs) == HF_VERB_MAX_, "a function a verb");

/* The part that the verb needs and this build lacks, or NULL. */
static const char *find_missing(const HfCommandLine *line)
{
    const char *needed = "control"; /* instances are asked over its socket */

    if (line->verb == HF_VERB_RUN)
        return NULL;
    if (line->verb == HF_VERB_EXEC || line->verb == HF_VERB_CHECK)
        needed = "verbs";
    else if (line->verb == HF_VERB_PROBE)
        needed = "probe";
    else if (line->verb == HF_VERB_STOP && line->call.unit)
        needed = "inherit";
    return hf_parts_have(parts, needed) ? NULL : needed;
}

/* Parts come before the table. */
static int perform(const HfCommandLine *line)
{
    const char *missing = find_missing(line);

    if (missing) {
        hf_log(LOG_ERR, NULL, "%s: " HF_PART_MISSING "%s", hf_verb_name(line->verb), missing);
        return HF_EXIT_FAILED;
    }
    if ((line->verb == HF_VERB_RUN || line->verb == HF_VERB_CHECK) && lacks_part(line))
        return HF_EXIT_USAGE;
    for (size_t i = 0; parts[i]; i++) {
        int status = parts[i]->verb ? parts[i]->verb(line, parts) : -1;
        if (status >= 0)
            return status;
    }
    return verbs[line->verb](line);
}

static int print(const HfText *text)
{
    return hf_log_output(text) < 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

int main(int argc, char *argv[])
{
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    if (hf_fd_fill_standard() < 0)
        return HF_EXIT_FAILED;
    hf_process_keep_mask();
    for (size_t i = 0; parts[i]; i++)
        if (parts[i]->strip_words)
            parts[i]->strip_words(&argc, &argv);
    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    for (size_t i = 0; argc > 1 && parts[i]; i++)
        if (parts[i]->mode && strcmp(argv[1], parts[i]->mode) == 0)
            return parts[i]->mode_main(argc, argv);
    int r = hf_configuration_read(argc, argv, &line, &text);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", text.length > 0 ? hf_text_peek(&text) : "out of memory");
        return r == -EINVAL ? HF_EXIT_USAGE : HF_EXIT_FAILED;
    }
    if (line.version) {
        hf_text_add(&text, "holdfast " HF_VERSION "\n");
        return print(&text);
    }
    if (line.help) {
        hf_options_help(line.verb == HF_VERB_MAX_ ? NULL : &line.verb, line.help == HF_HELP_ALL,
                        &text);
        return print(&text);
    }
    hf_log_setup(NULL, hf_log_priority(line.settings.log_level), line.settings.log_format);
    return perform(&line);
}
