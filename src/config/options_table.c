/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/parse.h"
#include "config/option.h"

#define SERVING (1U << HF_VERB_RUN | 1U << HF_VERB_EXEC | 1U << HF_VERB_CHECK)
#define LOOKING (1U << HF_VERB_STATUS | 1U << HF_VERB_HISTORY | 1U << HF_VERB_METRICS)
#define CALLING                                                                                    \
    (1U << HF_VERB_RELOAD | 1U << HF_VERB_RESTART | 1U << HF_VERB_ROLLBACK | 1U << HF_VERB_STOP |  \
     1U << HF_VERB_UPGRADE)
#define HOLDING (1U << HF_VERB_HOLD | 1U << HF_VERB_RELEASE) /* done at once */

#define EVERY       (SERVING | CALLING | HOLDING | LOOKING | 1U << HF_VERB_PROBE)
#define SUPERVISING (1U << HF_VERB_RUN | 1U << HF_VERB_CHECK)

#define OPTION(name_, group_, verbs_, type_, member)                                               \
    .name = (name_), .group = HF_OPTION_GROUP_##group_, .verbs = (verbs_),                         \
    .type = &hf_option_type_##type_, .offset = offsetof(HfCommandLine, member)
/* An option that is allowed in a configuration file. */
#define SETTING(...) OPTION(__VA_ARGS__), .in_file = true

const HfOption hf_option_table[] = {
    {OPTION("config", SERVICE, SERVING, file, config), .argument = "FILE", .first = true,
     .help = "Read further options from FILE, one per line without the dashes; the command line "
             "wins. A reload reads it again (default: none)"},
    {SETTING("command", SERVICE, SERVING, command, settings.command), .argument = "COMMAND",
     .help = "COMMAND with its arguments as one text, for use in a file (default: what follows the "
             "options)"},
    {SETTING("name", SERVICE, SERVING, name, settings.name), .argument = "NAME", .first = true,
     .help =
         "Name of this instance, by which the other verbs find it (default: COMMAND's base name)",
     .fixed = true},
    {SETTING("adapter", SERVICE, SERVING, adapter, settings.adapter),
     .help = "What COMMAND is; auto goes by its name"},
    {SETTING("directory", SERVICE, SERVING, directory, settings.directory), .argument = "DIR",
     .help = "Working directory of COMMAND, looked up anew at each start (default: where holdfast "
             "was started)"},
    {SETTING("user", SERVICE, SUPERVISING, text, settings.user), .argument = "USER", .first = true,
     .help = "User, by name or number, that COMMAND runs as, with its groups; holdfast binds the "
             "sockets first, so COMMAND needs no privilege for ports below 1024 (default: "
             "holdfast's own)"},
    {SETTING("group", SERVICE, SUPERVISING, text, settings.group), .argument = "GROUP",
     .help = "Group that COMMAND runs as (default: that of --user)"},
    {SETTING("no-new-privileges", SERVICE, SUPERVISING, flag, settings.no_new_privileges),
     .help = "Keep COMMAND from gaining privileges through set-user-ID programs such as sendmail "
             "(default: off)"},
    {SETTING("capabilities", SERVICE, SUPERVISING, capabilities, settings.capabilities),
     .argument = "NAME[,NAME...]|none",
     .help = "The most capabilities that COMMAND can have, such as chown,setuid,setgid,kill "
             "(default: unchanged)"},
    {SETTING("environment", SERVICE, SERVING, environment, settings.environment),
     .argument = "NAME=VALUE",
     .help = "Set NAME in the environment of COMMAND; repeat it for each (default: none)"},
    {SETTING("stdin", SERVICE, SERVING, stdin, settings.standard_input),
     .help = "Standard input of COMMAND: nothing, or holdfast's own, as for a server that ends at "
             "the end of its input"},

    {SETTING("listen", SOCKETS, SERVING, listen, settings), .argument = "ADDR[,KEY=VALUE...]|none",
     .first = true,
     .help = "Hold a socket at ADDR; repeat it for each socket, or say that COMMAND has none. "
             "php-fpm needs no --listen, its sockets are those of its pools (default: those that "
             "systemd passed)"},
    {SETTING("handoff", SOCKETS, SERVING, handoff, settings.handoff),
     .help = "How COMMAND learns of its sockets: as from systemd, as from an older php-fpm, one as "
             "standard input, or as from start_server; auto goes by the adapter"},
    {OPTION("take-over", SOCKETS, 1U << HF_VERB_RUN, take_over, settings), .argument = "PID",
     .first = true,
     .help = "Copy the sockets out of the server that holds them, php-fpm or another, start "
             "COMMAND beside it, and let it finish its requests and leave once that is ready "
             "(default: bind them)"},
    {OPTION("take-over", SOCKETS, 1U << HF_VERB_RELOAD, flag, call.take_over),
     .help = "Share addresses that another instance of holdfast holds, until its settings leave "
             "them out (default: fail)"},

    {SETTING("ready-timeout", REPLACEMENT, SERVING, time, settings.ready_timeout),
     .argument = "TIME",
     .help = "How long a start may take to become ready; after that it has failed",
     .minimum = HF_USEC_PER_MSEC},
    {SETTING("ready", REPLACEMENT, SUPERVISING, ready, settings),
     .argument = "auto|notify|pidfile|delay:TIME|log:TEXT",
     .help = "How to tell that a start is ready: by READY=1, by php-fpm's pid file, by still "
             "running after TIME, or by a line with TEXT in its output; auto is what php-fpm's "
             "build supports, and delay:1s for others"},
    {SETTING("notify-access", REPLACEMENT, SUPERVISING, notify_access, settings.notify_access),
     .help = "Whose READY=1 and other messages count: those of the main process only, or of every "
             "process of its session"},
    {SETTING("preflight", REPLACEMENT, SUPERVISING, text, settings.preflight),
     .argument = "COMMAND", .first = true,
     .help = "Shell command that must succeed before each start and reload; if it does not, "
             "nothing is replaced (default: none)"},
    {SETTING("canary", REPLACEMENT, SUPERVISING, probe, settings.canary),
     .argument = "fastcgi:/PATH|http:/PATH|exec:COMMAND", .first = true,
     .help = "Before each reload and restart, start the next generation on private sockets and ask "
             "it there for the page PATH, or run COMMAND; if it is unhealthy, nothing is replaced "
             "(default: none)"},
    {SETTING("warm", REPLACEMENT, SUPERVISING, warm, settings.warm),
     .argument = "auto|none|fastcgi:/PATH|http:/PATH|file:FILE|recent|exec:COMMAND",
     .help = "Fill the caches of the next generation before a reload lets visitors reach it: ask "
             "for the page PATH or those that FILE lists, once for each worker, for the pages "
             "asked for last, or run COMMAND; none turns auto off; repeat it for each (default: "
             "auto, which compiles what php-fpm's opcode cache held)"},
    {SETTING("warm-timeout", REPLACEMENT, SUPERVISING, time, settings.warm_timeout),
     .argument = "TIME",
     .help = "How long the warm-up may take; then the reload goes on without the rest",
     .minimum = 10 * HF_USEC_PER_MSEC},
    {SETTING("warm-parallel", REPLACEMENT, SUPERVISING, count, settings.warm_parallel),
     .argument = "N",
     .help = "How many requests of the warm-up are made at a time (default: half the cores, at "
             "least 1)",
     .minimum = 1, .maximum = HF_WARM_PARALLEL_MAX},
    {SETTING("document-root", REPLACEMENT, SUPERVISING, directory, settings.document_root),
     .argument = "DIR",
     .help = "Directory of the scripts that --canary, --probe and --warm name, as in a web server "
             "(default: PATH is the whole path of the script, or one of php-fpm's own pages)"},
    {SETTING("canary-root", REPLACEMENT, SUPERVISING, directory, settings.document_root),
     .argument = "DIR", .help = "The older name of --document-root (default: none)"},
    {SETTING("handover", REPLACEMENT, SUPERVISING, handover, settings.handover),
     .help =
         "How a reload hands over: the next generation starts on a second socket of each listener, "
         "and all new connections are switched to it at once (auto: where possible); or both share "
         "the sockets, and php-fpm's old workers leave one after another, or all at once"},
    {SETTING("stop-signal", REPLACEMENT, SUPERVISING, stop_signal, settings.stop_signal),
     .help = "Signal that asks a generation to finish and leave: one of these, or any other by "
             "name or number; auto is QUIT for php-fpm, else TERM"},
    {SETTING("stop-delay", REPLACEMENT, SUPERVISING, time, settings.stop_delay), .argument = "TIME",
     .help = "How long to go on serving once asked to stop, until load balancers have noticed; "
             "asked again, stop at once"},
    {SETTING("exit-with-service", REPLACEMENT, SUPERVISING, flag, settings.exit_with_service),
     .first = true,
     .help =
         "When the service ends by itself, end with its exit status (128+N for signal N) instead "
         "of starting it again, as a container's runtime expects (default: start it again)"},
    {SETTING("kill-mode", REPLACEMENT, SUPERVISING, kill_mode, settings.kill_mode),
     .help = "What a generation takes with it when it goes: the processes that run the service's "
             "program, or all, including what its scripts put in the background"},
    {SETTING("cgroup", REPLACEMENT, SUPERVISING, cgroup_use, settings.cgroup),
     .help = "Put each generation into a sub-cgroup, so that its processes are found even when "
             "they daemonize; auto does so where the cgroup is delegated (Delegate=yes)",
     .fixed = true},
    {SETTING("park", REPLACEMENT, SUPERVISING, time, settings.park), .argument = "TIME",
     .help = "How long the generation before a reload stays ready behind the one that serves, for "
             "holdfast rollback; only where a reload switches"},
    {SETTING("max-draining", REPLACEMENT, SUPERVISING, number, settings.max_draining),
     .argument = "N",
     .help = "How many old generations may finish their requests at the same time; a reload beyond "
             "that waits",
     .minimum = 1, .maximum = HF_DRAINING_MAX},
    {SETTING("backoff-max", REPLACEMENT, SUPERVISING, time, settings.backoff_max),
     .argument = "TIME", .help = "The longest delay between two starts that fail",
     .minimum = 100 * HF_USEC_PER_MSEC},
    {SETTING("busy-after", REPLACEMENT, SUPERVISING, period, settings.busy_after),
     .argument = "TIME|never", .first = true,
     .help = "When no generation has been ready for this long, callers get a quick answer instead "
             "of waiting: 503 over FastCGI, others are closed",
     .minimum = 100 * HF_USEC_PER_MSEC},
    {SETTING("recycle-every", REPLACEMENT, SUPERVISING, period, settings.recycle_every),
     .argument = "TIME|never",
     .help = "Reload automatically, at a random moment in the second half of TIME, so that a fleet "
             "does not reload in step",
     .minimum = HF_USEC_PER_SEC},
    {SETTING("recycle-memory", REPLACEMENT, SUPERVISING, memory, settings.recycle_memory),
     .argument = "BYTES|never",
     .help = "Reload automatically when the processes of the active generation use more memory of "
             "their own",
     .minimum = 1024 * 1024},
    {SETTING("recycle-check", REPLACEMENT, SUPERVISING, time, settings.recycle_check),
     .argument = "TIME", .help = "How often --recycle-memory checks the memory",
     .minimum = 100 * HF_USEC_PER_MSEC},
    {SETTING("drain-timeout", REPLACEMENT, SERVING, time, settings.drain_timeout),
     .argument = "TIME", .first = true,
     .help = "How long requests may continue at a reload, restart or stop; 0 ends them at once"},

    {SETTING("probe", HEALTH, SUPERVISING, health, settings.probe),
     .argument = "fastcgi:/PATH|http:/PATH|tcp|exec:COMMAND|none", .first = true,
     .help = "Probe the health of the active generation at intervals: ask for a page, connect, or "
             "run a command; an unhealthy one is replaced"},
    {SETTING("watchdog", HEALTH, SUPERVISING, period, settings.watchdog), .argument = "TIME|never",
     .help = "Expect WATCHDOG=1 from the service at least this often; otherwise it is unhealthy",
     .minimum = 10 * HF_USEC_PER_MSEC},
    {SETTING("http-header", HEALTH, SUPERVISING | 1U << HF_VERB_PROBE, header,
             settings.http_headers),
     .argument = "NAME: VALUE",
     .help = "Send this header with each request over HTTP, such as \"Host: www.example.org\"; "
             "repeat it for each (default: Host: localhost)"},
    {SETTING("probe-every", HEALTH, SUPERVISING, time, settings.probe_every), .argument = "TIME",
     .help = "From the end of one probe to the next", .minimum = 100 * HF_USEC_PER_MSEC},
    {SETTING("probe-timeout", HEALTH, SUPERVISING, time, settings.probe_timeout),
     .argument = "TIME", .help = "How long an answer may take", .minimum = 10 * HF_USEC_PER_MSEC},
    {SETTING("probe-failures", HEALTH, SUPERVISING, number, settings.probe_failures),
     .argument = "N",
     .help = "How many failed probes in a row replace a generation; twice as many each time a "
             "replacement did not help",
     .minimum = 1, .maximum = 1000},
    {SETTING("probe-hung-after", HEALTH, SUPERVISING, period, settings.probe_hung_after),
     .argument = "TIME|never",
     .help = "Also replace a php-fpm whose workers have all been busy for this long without "
             "finishing a single request",
     .minimum = HF_USEC_PER_SEC},

    {SETTING("log-format", LOGGING, SERVING, log_format, settings.log_format),
     .help = "How holdfast logs to standard error; to the journal it logs with fields"},
    {SETTING("log-level", LOGGING, SERVING, log_level, settings.log_level),
     .help = "The least urgent messages that are logged"},

    {SETTING("on-event", LOGGING, SUPERVISING, text, settings.on_event), .argument = "COMMAND",
     .first = true,
     .help = "Shell command to run when something happens, with HOLDFAST_EVENT, HOLDFAST_TEXT and "
             "more in its environment (default: none)"},
    {SETTING("on-event-timeout", LOGGING, SUPERVISING, time, settings.on_event_timeout),
     .argument = "TIME", .help = "How long the command of --on-event may take before it is killed",
     .minimum = 100 * HF_USEC_PER_MSEC},
    {SETTING("queue-every", LOGGING, SUPERVISING, period, settings.queue_every),
     .argument = "TIME|never", .help = "How often to check how full the connection queues are",
     .minimum = 10 * HF_USEC_PER_MSEC},
    {SETTING("queue-warn", LOGGING, SUPERVISING, number, settings.queue_warn),
     .argument = "PERCENT",
     .help = "A queue at least this full three times in a row is reported as the event queue-high",
     .minimum = 1, .maximum = 100},

    {OPTION("name", GENERAL, CALLING | HOLDING | LOOKING, instance, call.name),
     .argument = "NAME|DIR",
     .help = "The instance to talk to, by its name or runtime directory (default: the only one "
             "that runs)"},
    {OPTION("unit", GENERAL, 1U << HF_VERB_STOP, text, call.unit), .argument = "UNIT",
     .help = "Wait until systemd is done with UNIT, and end what is left in it, unless systemd "
             "starts it again; for the unit beside that of holdfast (default: stop an instance)"},
    {OPTION("drain-timeout", GENERAL, 1U << HF_VERB_STOP, time, settings.drain_timeout),
     .argument = "TIME", .help = "With --unit: how long requests may continue in what is left"},
    {OPTION("no-wait", GENERAL, CALLING, flag, call.no_wait),
     .help = "Return at once instead of waiting until it is done (default: wait)"},
    {OPTION("timeout", GENERAL, 1U << HF_VERB_HOLD, time, call.hold), .argument = "TIME",
     .help = "How long connections may wait; then they are answered with 503, or closed where the "
             "service does not speak FastCGI, until release (default: 30s)",
     .minimum = HF_HOLD_MINIMUM},
    {OPTION("quiet", GENERAL, (CALLING & ~(1U << HF_VERB_UPGRADE)) | HOLDING, flag, call.quiet),
     .letter = 'q', .help = "Print only what failed (default: what happens meanwhile, on stderr)"},
    {OPTION("json", GENERAL, 1U << HF_VERB_STATUS | 1U << HF_VERB_HISTORY, flag, call.json),
     .help = "Print one JSON object on one line (default: for people)"},
    {OPTION("http", GENERAL, 1U << HF_VERB_METRICS, flag, call.http),
     .help = "Answer one HTTP request on standard input and output, as holdfast-metrics.socket "
             "needs it (default: print the figures)"},
    {OPTION("watch", GENERAL, 1U << HF_VERB_STATUS, flag, call.watch),
     .help = "Refresh every second, with the queues as graphs, until Ctrl-C or the end of the "
             "instance (default: show it once)"},
    {OPTION("probe", GENERAL, 1U << HF_VERB_PROBE, health, settings.probe),
     .argument = "fastcgi:/PATH|http:/PATH|tcp",
     .help = "Ask for the page PATH, which must be answered with a status from 200 to 399 "
             "(default: only connect, as tcp)"},
    {OPTION("fastcgi", GENERAL, 1U << HF_VERB_PROBE, page, settings.probe), .argument = "/PATH",
     .help = "The same as --probe=fastcgi:/PATH (default: only connect)"},
    {OPTION("fastcgi-root", GENERAL, 1U << HF_VERB_PROBE, directory, probing.root),
     .argument = "DIR",
     .help = "Directory of the script that PATH names, as in a web server (default: PATH is the "
             "whole path of the script, or one of php-fpm's own pages)"},
    {OPTION("timeout", GENERAL, 1U << HF_VERB_PROBE, time, probing.timeout), .argument = "TIME",
     .help = "How long connection and answer may take", .minimum = HF_USEC_PER_MSEC},
    {OPTION("help", GENERAL, EVERY, help, help), .letter = 'h', .argument = "all", .first = true,
     .help = "Print this help, or all options of a verb that has many"},
    {OPTION("version", GENERAL, EVERY, flag, version), .letter = 'V', .first = true,
     .help = "Print the version"},
};
const size_t hf_option_count = sizeof(hf_option_table) / sizeof(*hf_option_table);
_Static_assert(sizeof(hf_option_table) / sizeof(*hf_option_table) <= HF_OPTIONS_MAX,
               "arrays of option names have room");

void hf_option_add_argument(const HfOption *option, HfText *text)
{
    const char *word;

    if (option->argument)
        hf_text_addf(text, option->type->optional_value ? "[=%s]" : "=%s", option->argument);
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

static int refuse_twins(const HfListenerSpec *a, const HfListenerSpec *b, HfText *error)
{
    char texts[2][HF_ADDRESS_TEXT_MAX];
    bool same = hf_address_equal(&a->address, &b->address);

    hf_address_format(&a->address, texts[0]);
    hf_address_format(&b->address, texts[1]);
    if (same && strcmp(texts[0], texts[1]) == 0)
        return hf_option_refuse(error, "--listen: %s is given twice; drop one", HF_QUOTE(texts[0]));
    if (same)
        return hf_option_refuse(error, "--listen: %s and %s are the same place; drop one",
                                HF_QUOTE(texts[0]), HF_QUOTE(texts[1]));
    return hf_option_refuse(error, "--listen: %s and %s are both named %s; rename one",
                            HF_QUOTE(texts[0]), HF_QUOTE(texts[1]), a->name);
}

static int validate_listeners(const HfSettings *settings, HfText *error)
{
    const HfListenerSpec *list = settings->listeners;

    if (settings->listens_nowhere && settings->n_listeners > 0)
        return hf_option_refuse(error, "--listen: none says that there is no socket, and another "
                                       "--listen names one; drop one of them");
    for (size_t i = 1; i < settings->n_listeners; i++)
        for (size_t j = 0; j < i; j++) {
            bool same_name =
                list[i].name && list[j].name && strcmp(list[i].name, list[j].name) == 0;
            if (same_name || hf_address_equal(&list[i].address, &list[j].address))
                return refuse_twins(&list[j], &list[i], error);
        }
    return 0;
}

static int validate_probe(const HfSettings *settings, HfText *error)
{
    HF_CLEANUP_SETTINGS HfSettings defaults;
    HfProbeKind kind = settings->probe.kind;

    hf_settings_init(&defaults);
    bool hung = settings->probe_hung_after != defaults.probe_hung_after;
    if (kind == HF_PROBE_NONE && (hung || settings->probe_every != defaults.probe_every ||
                                  settings->probe_timeout != defaults.probe_timeout ||
                                  settings->probe_failures != defaults.probe_failures))
        return hf_option_refuse(error,
                                "--probe-every, --probe-timeout, --probe-failures and "
                                "--probe-hung-after say how to probe, but nothing says what; add "
                                "--probe, as --probe=fastcgi:/ping");
    if (settings->recycle_memory == 0 && settings->recycle_check != defaults.recycle_check)
        return hf_option_refuse(error,
                                "--recycle-check says how often to look at the memory, but nothing "
                                "says how much it may be; add --recycle-memory=BYTES");
    return 0;
}

int hf_options_validate_call(const HfCommandLine *line, HfText *error)
{
    const HfCall *call = &line->call;
    HF_CLEANUP_SETTINGS HfSettings defaults;

    hf_settings_init(&defaults);
    if (call->unit && (call->name || call->no_wait))
        return hf_option_refuse(error, "--unit ends what is left of a systemd unit and waits for "
                                       "it; it cannot be used with --name or --no-wait");
    if (line->verb == HF_VERB_STOP && !call->unit &&
        line->settings.drain_timeout != defaults.drain_timeout)
        return hf_option_refuse(error, "--drain-timeout of stop is for what --unit finds; an "
                                       "instance has its own");
    return 0;
}

static int validate_headers(const HfSettings *settings, HfText *error)
{
    bool used = settings->probe.kind == HF_PROBE_HTTP || settings->canary.kind == HF_PROBE_HTTP ||
                hf_settings_warms(settings, HF_WARM_HTTP);

    if (settings->http_headers && !used)
        return hf_option_refuse(error, "--http-header is for requests over HTTP, but there are "
                                       "none; add --probe=http:/PATH, or drop it");
    return 0;
}

int hf_options_validate_probe(const HfCommandLine *line, HfText *error)
{
    HfProbeKind kind = line->settings.probe.kind;

    if (kind == HF_PROBE_EXEC)
        return hf_option_refuse(error, "--probe=exec: asks no ADDRESS; run the command itself");
    if (line->probing.root && kind != HF_PROBE_FASTCGI)
        return hf_option_refuse(error, "--fastcgi-root is for --fastcgi=/PATH only; add that, or "
                                       "drop it");
    return validate_headers(&line->settings, error);
}

int hf_options_validate(const HfSettings *settings, HfText *error)
{
    int r = validate_listeners(settings, error);

    if (r >= 0)
        r = validate_probe(settings, error);
    return r < 0 ? r : validate_headers(settings, error);
}
