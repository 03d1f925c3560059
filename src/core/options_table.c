#include "core/options_table.h"

#include <string.h>

#include "base/parse.h"
#include "core/machine.h"

#define SERVING (1U << HF_VERB_RUN | 1U << HF_VERB_EXEC | 1U << HF_VERB_CHECK)
#define CALLING (1U << HF_VERB_RELOAD | 1U << HF_VERB_RESTART | 1U << HF_VERB_STOP)

#define SUPERVISING (1U << HF_VERB_RUN | 1U << HF_VERB_CHECK)

#define FIELD(member) offsetof(HfCommandLine, member)

const HfOption hf_option_table[] = {
    {.name = "config",
     .argument = "FILE",
     .help = "Read further options from FILE, one a line without its dashes; the command line "
             "wins. A reload reads it again (default: none)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .type = &hf_option_type_file,
     .offset = FIELD(config)},
    {.name = "command",
     .argument = "COMMAND",
     .help = "COMMAND with its arguments in one text, for a file (default: what is behind the "
             "options)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_command,
     .offset = FIELD(settings.command)},
    {.name = "name",
     .argument = "NAME",
     .help = "Name of this instance, by which reload, restart and stop find it "
             "(default: COMMAND's base name)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .in_file = true,
     .fixed = true,
     .type = &hf_option_type_name,
     .offset = FIELD(settings.name)},
    {.name = "adapter",
     .help = "What COMMAND is; auto goes by its name",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_adapter,
     .offset = FIELD(settings.adapter)},
    {.name = "directory",
     .argument = "DIR",
     .help = "Working directory of COMMAND, looked up anew at each start "
             "(default: where holdfast was started)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_directory,
     .offset = FIELD(settings.directory)},
    {.name = "user",
     .argument = "USER",
     .help =
         "User, by name or number, that COMMAND runs as, with its groups; holdfast binds before, "
         "so ports below 1024 need no privilege of COMMAND (default: holdfast's own)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_text,
     .offset = FIELD(settings.user)},
    {.name = "group",
     .argument = "GROUP",
     .help = "Group that COMMAND runs as (default: that of --user)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_text,
     .offset = FIELD(settings.group)},
    {.name = "no-new-privileges",
     .help = "COMMAND can not gain privileges by set-user-ID programs, sendmail for one "
             "(default: it can)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_flag,
     .offset = FIELD(settings.no_new_privileges)},
    {.name = "capabilities",
     .argument = "NAME[,NAME...]|none",
     .help = "The capabilities that COMMAND can have at most, as chown,setuid,setgid,kill "
             "(default: as they are)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_capabilities,
     .offset = FIELD(settings.capabilities)},
    {.name = "environment",
     .argument = "NAME=VALUE",
     .help = "Set NAME in the environment of COMMAND; give it once for each (default: none)",
     .group = HF_OPTION_GROUP_SERVICE,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_environment,
     .offset = FIELD(settings.environment)},

    {.name = "listen",
     .argument = "ADDR[,KEY=VALUE...]",
     .help = "Hold a socket there; give it once for each socket. php-fpm needs none, its sockets "
             "are those of its pools (default: none)",
     .group = HF_OPTION_GROUP_SOCKETS,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_listen,
     .offset = FIELD(settings)},
    {.name = "handoff",
     .help = "How COMMAND learns of its sockets: as from systemd, as from an older php-fpm, one as "
             "standard input, or as from start_server; auto goes by the adapter",
     .group = HF_OPTION_GROUP_SOCKETS,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_handoff,
     .offset = FIELD(settings.handoff)},

    {.name = "ready-timeout",
     .argument = "TIME",
     .help = "How long a start may take until it is ready; later it has failed",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_time,
     .offset = FIELD(settings.ready_timeout),
     .minimum = HF_USEC_PER_MSEC},
    {.name = "ready",
     .argument = "auto|notify|pidfile|delay:TIME",
     .help =
         "How a start is seen to be ready: by READY=1, by php-fpm's pid file, or by being there "
         "after TIME; auto takes what php-fpm's build can, and delay:1s for others",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_ready,
     .offset = FIELD(settings)},
    {.name = "preflight",
     .argument = "COMMAND",
     .help =
         "Shell command that must succeed before each start and reload; if it does not, nothing "
         "is replaced (default: none)",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_text,
     .offset = FIELD(settings.preflight)},
    {.name = "handover",
     .help = "How php-fpm's old workers leave at a reload: one after another once the new ones are "
             "warm, or all at once",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_handover,
     .offset = FIELD(settings.handover)},
    {.name = "stop-signal",
     .help = "What asks a generation to finish and leave; auto is QUIT for php-fpm, else TERM",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_stop_signal,
     .offset = FIELD(settings.stop_signal)},
    {.name = "kill-mode",
     .help = "What a generation takes with it when it goes: the processes that run the service's "
             "program, or all, also what its scripts put in the background",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_kill_mode,
     .offset = FIELD(settings.kill_mode)},
    {.name = "max-draining",
     .argument = "N",
     .help = "How many old generations may finish their requests at the same time; a reload beyond "
             "that waits",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_number,
     .offset = FIELD(settings.max_draining),
     .minimum = 1,
     .maximum = HF_MACHINE_DRAINING_MAX},
    {.name = "backoff-max",
     .argument = "TIME",
     .help = "The longest delay between two starts that fail",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_time,
     .offset = FIELD(settings.backoff_max),
     .minimum = 100 * HF_USEC_PER_MSEC},
    {.name = "busy-after",
     .argument = "TIME|never",
     .help = "When no generation has been ready for so long, callers get a quick answer instead of "
             "waiting: 503 over FastCGI, others are closed",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_period,
     .offset = FIELD(settings.busy_after),
     .minimum = 100 * HF_USEC_PER_MSEC},
    {.name = "recycle-every",
     .argument = "TIME|never",
     .help =
         "Reload by itself, anywhere in the last half of TIME, so that a fleet does not move in "
         "step",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_period,
     .offset = FIELD(settings.recycle_every),
     .minimum = HF_USEC_PER_SEC},
    {.name = "drain-timeout",
     .argument = "TIME",
     .help = "How long requests may go on at a reload, restart or stop; 0 ends them at once",
     .group = HF_OPTION_GROUP_REPLACEMENT,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_time,
     .offset = FIELD(settings.drain_timeout)},

    {.name = "log-format",
     .help = "How holdfast logs to standard error; to the journal it logs with fields",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_log_format,
     .offset = FIELD(settings.log_format)},
    {.name = "log-level",
     .help = "The least urgent messages that are logged",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SERVING,
     .in_file = true,
     .type = &hf_option_type_log_level,
     .offset = FIELD(settings.log_level)},

    {.name = "on-event",
     .argument = "COMMAND",
     .help = "Shell command that is run for what happens, with HOLDFAST_EVENT, HOLDFAST_TEXT and "
             "more in its environment (default: none)",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_text,
     .offset = FIELD(settings.on_event)},
    {.name = "on-event-timeout",
     .argument = "TIME",
     .help = "How long that command may take before it is killed",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_time,
     .offset = FIELD(settings.on_event_timeout),
     .minimum = 100 * HF_USEC_PER_MSEC},
    {.name = "queue-every",
     .argument = "TIME|never",
     .help = "Look so often how full the queues of connections are",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_period,
     .offset = FIELD(settings.queue_every),
     .minimum = 10 * HF_USEC_PER_MSEC},
    {.name = "queue-warn",
     .argument = "PERCENT",
     .help = "A queue that is found so full three times in a row is told as the event queue-high",
     .group = HF_OPTION_GROUP_LOGGING,
     .verbs = SUPERVISING,
     .in_file = true,
     .type = &hf_option_type_number,
     .offset = FIELD(settings.queue_warn),
     .minimum = 1,
     .maximum = 100},

    {.name = "name",
     .argument = "NAME",
     .help = "The instance that is meant (default: the only one that runs)",
     .group = HF_OPTION_GROUP_GENERAL,
     .verbs = CALLING,
     .type = &hf_option_type_name,
     .offset = FIELD(call.name)},
    {.name = "no-wait",
     .help = "Return at once instead of when it is done (default: wait)",
     .group = HF_OPTION_GROUP_GENERAL,
     .verbs = CALLING,
     .type = &hf_option_type_flag,
     .offset = FIELD(call.no_wait)},
    {.name = "help",
     .letter = 'h',
     .help = "Print this help",
     .group = HF_OPTION_GROUP_GENERAL,
     .verbs = SERVING | CALLING,
     .type = &hf_option_type_flag,
     .offset = FIELD(help)},
    {.name = "version",
     .help = "Print the version",
     .group = HF_OPTION_GROUP_GENERAL,
     .verbs = SERVING | CALLING,
     .type = &hf_option_type_flag,
     .offset = FIELD(version)},
};
const size_t hf_option_count = sizeof(hf_option_table) / sizeof(*hf_option_table);
_Static_assert(sizeof(hf_option_table) / sizeof(*hf_option_table) <= HF_OPTIONS_MAX,
               "arrays of option names have room");

void hf_option_add_argument(const HfOption *option, HfText *text)
{
    const char *word;

    if (option->argument)
        hf_text_addf(text, "=%s", option->argument);
    for (size_t i = 0; option->type->choice && (word = option->type->choice(i)); i++)
        hf_text_addf(text, "%s%s", i == 0 ? "=" : "|", word);
}

const HfOption *hf_option_find(const char *name, size_t length, HfVerb verb)
{
    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        bool taken = verb == HF_VERB_MAX_ || hf_option_is_of(option, verb);
        if (taken && strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}
