/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "config/option.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

#define OVERLAY_PATH    "/proc/self/fd/3" /* where a question reads its input */
#define COMPLAINT_LINES 20
#define VARIABLES_MAX   (64U * 1024) /* bytes of their names */

static int validate(const HfSettings *settings, char *const *command, HfText *error)
{
    const char *handoff = settings->handoff;
    HfPhpfpmArguments arguments = {0};

    if (handoff && strcmp(handoff, hf_handoff_php_fpm.name) != 0)
        return hf_option_refuse(error,
                                "--handoff=%s does not work with php-fpm, which cannot read it; "
                                "drop it, or say --adapter=generic if COMMAND is not php-fpm",
                                handoff);
    if (settings->n_listeners > 0 || settings->listens_nowhere)
        return hf_option_refuse(error,
                                "--listen does not go with php-fpm, whose sockets are those of its "
                                "pools; set listen in the pool, or say --adapter=generic if "
                                "COMMAND is not php-fpm");
    int r = hf_phpfpm_arguments_parse(command, &arguments, error);
    hf_phpfpm_arguments_clear(&arguments);
    return r;
}

/* ---- the overlay ---- */

/* Unix paths are listed by their alias, host names by the address that was bound, whatever the
 * resolver says next time. So are all others: a pool that has been removed from the user's files
 * before the next crash then causes an error that names it, and one that has moved still gets its
 * callers. */
static void override_listen(const HfPlanned *planned, char *buffer, const char **ret)
{
    const HfAddress *address = hf_planned_address(planned);

    if (planned->alias) {
        *ret = planned->alias;
    } else if (address->kind != HF_ADDRESS_HOST) {
        hf_address_format(address, buffer);
        *ret = buffer;
    }
}

/* For sockets in a directory that only the users of the main process and of holdfast may enter. */
static const char *socket_mode(const HfPlan *plan)
{
    return plan->credentials.has_user ? "0666" : "0600";
}

static void override_probed(const HfPlan *plan, const char *statuses, size_t pool, char *buffer,
                            HfPhpfpmOverride *override)
{
    const HfPlanPool *probed = &plan->pools[pool];
    const HfCredentials *credentials = &plan->credentials;

    if (probed->probe & HF_POOL_PINGS)
        override->ping_path = HF_PLAN_PING;
    override->allowed_clients = probed->allowed;
    if (!statuses || !(probed->probe & HF_POOL_COUNTS))
        return;
    if (probed->probe & HF_POOL_WRITES_PATH)
        override->status_path = probed->status_path;
    if (probed->probe & HF_POOL_LISTENS) {
        hf_plan_status_socket(statuses, pool, buffer);
        override->status_listen = buffer;
    }
    if ((probed->probe & HF_POOL_GIVES) || credentials->has_user) {
        override->mode = socket_mode(plan);
        override->owner = credentials->has_user ? credentials->uid : geteuid();
        override->group = credentials->has_group ? credentials->gid : getegid();
    }
}

/* Sections that are of use only for a switch. */
static int add_sections(const HfPlan *plan, const char *statuses, HfText *text)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && statuses && plan->switches && i < plan->n_pools; i++)
        if (plan->pools[i].warms)
            r = hf_phpfpm_warm_section(&plan->pools[i], i, statuses, hf_plan_keeps(plan, i),
                                       socket_mode(plan), text);
    return r < 0 ? r : text->failed ? -ENOMEM : 0;
}

static int make_overlay(const HfPlan *plan, const char *pid_file, const char *statuses,
                        HfText *text)
{
    const size_t n_pools = plan->n_pools;
    HF_CLEANUP_FREE HfPhpfpmOverride *list = hf_allocate(n_pools + 1, sizeof(*list));
    HF_CLEANUP_FREE char *buffers = hf_allocate(plan->n_wanted + n_pools + 1, HF_ADDRESS_TEXT_MAX);

    if (!list || !buffers)
        return -ENOMEM;
    for (size_t i = 0; i < n_pools; i++)
        list[i].pool = plan->pools[i].name;
    for (size_t i = 0; i < plan->n_wanted; i++) {
        HfPhpfpmOverride *override = &list[plan->wanted[i].pool];
        override_listen(&plan->wanted[i], &buffers[i * HF_ADDRESS_TEXT_MAX],
                        plan->wanted[i].status ? &override->status_listen : &override->listen);
    }
    for (size_t i = 0; i < n_pools; i++)
        override_probed(plan, statuses, i, &buffers[(plan->n_wanted + i) * HF_ADDRESS_TEXT_MAX],
                        &list[i]);
    HF_CLEANUP_TEXT HfText sections = {0};
    int r = add_sections(plan, statuses, &sections);
    if (r < 0)
        return r;
    const HfPhpfpmOverlay overlay = {
        .sections = hf_text_peek(&sections),
        .include = plan->include,
        .restated = plan->failures % 2 == 1 ? plan->restated : NULL,
        .pid_file = pid_file,
        .drain_timeout = plan->drain_timeout,
        .systemd_interval = plan->systemd_interval,
        .overrides = list,
        .n_overrides = n_pools,
    };
    return hf_phpfpm_overlay(&overlay, text);
}

/* ---- the discovery ---- */

/* The step to be taken or in progress. */
enum {
    STEP_BEGIN,
    STEP_DUMP,      /* -tt, without php.ini */
    STEP_VARIABLES, /* does the configuration contain any that need php.ini? */
    STEP_INI,       /* -tt again, with php.ini */
    STEP_BOUND,
    STEP_VERDICT, /* -t */
};

/* Runs php-fpm with more options and an overlay that only this run sees. Without a preload script,
 * which may take seconds and do anything. */
static int ask(const HfPlan *plan, const char *const *options, HfQuestion *question)
{
    static const char *const unloaded[] = {"-d", "opcache.preload=", NULL};
    int r = hf_strv_copy(plan->arguments, &question->arguments);

    for (const char *const *more = unloaded; r >= 0 && *more; more++)
        r = hf_strv_append(&question->arguments, *more);
    for (; r >= 0 && *options; options++)
        r = hf_strv_append(&question->arguments, *options);
    question->most = HF_PHPFPM_DUMP_MAX;
    return r < 0 ? r : question->input.failed ? -ENOMEM : HF_STEP_ASK;
}

/* ini: with php.ini and all extensions. They take most of the time and do not affect pools, unless
 * the configuration uses a variable of php.ini's. */
static int ask_pools(const HfDiscovery *discovery, const HfPhpfpmArguments *arguments, bool ini,
                     HfQuestion *question)
{
    static const char *const options[] = {"-n", "-F", "-O", "-tt", "-y", OVERLAY_PATH, NULL};
    HfPlan *plan = discovery->plan;
    char *include;

    int r = hf_phpfpm_include(arguments, discovery->base, discovery->attempt, &include);
    if (r < 0)
        return r;
    free(plan->include);
    plan->include = include;
    hf_phpfpm_question(include, &question->input);
    return ask(plan, options + (ini ? 1 : 0), question);
}

/* Reads the configuration files behind the dump. */
static int ask_variables(const HfDiscovery *discovery, const HfPhpfpmArguments *arguments,
                         const HfPhpfpmConfig *config, HfQuestion *question)
{
    HfText *input = &question->input;
    const char *prefix = arguments->prefix ? arguments->prefix : config->prefix;
    const char *file = arguments->configuration ? arguments->configuration
                       : arguments->prefix      ? "etc/php-fpm.conf"
                                                : config->file;
    const char *below = arguments->configuration ? "" : prefix;

    if (!prefix || !file)
        file = prefix = "";
    if (*file != '/' && *below != '/')
        hf_text_addf(input, "%s/", discovery->base);
    if (*file != '/')
        hf_text_addf(input, "%s/", below);
    hf_text_addf(input, "%s\n", file);
    if (*prefix != '/')
        hf_text_addf(input, "%s/", discovery->base);
    hf_text_add(input, prefix);
    question->call = hf_phpfpm_scan;
    question->most = VARIABLES_MAX;
    return input->failed ? -ENOMEM : HF_STEP_ASK;
}

static int ask_verdict(const HfPlan *plan, HfQuestion *question)
{
    static const char *const options[] = {"-F", "-O", "-t", "-y", OVERLAY_PATH, NULL};

    int r = make_overlay(plan, OVERLAY_PATH ".pid", NULL, &question->input);
    return r < 0 ? r : ask(plan, options, question);
}

/* About the user's files, even if a failed start would be repeated from the restated ones. */
static int question_verdict(const HfPlan *plan, HfQuestion *ret)
{
    HfPlan asked = *plan;

    asked.failures = 0;
    int r = ask_verdict(&asked, ret);

    return r < 0 ? r : 0;
}

static int explain_answer(const HfSettings *settings, const HfAnswer *answer, const char *what,
                          HfText *error)
{
    if (answer->timed_out) {
        hf_text_add(error, "php-fpm did not finish the test of its configuration in ");
        hf_text_add_time(error, settings->ready_timeout);
    } else if (answer->signal != 0) {
        hf_text_addf(error, "php-fpm died of signal %d while it tested its configuration",
                     answer->signal);
    } else {
        HF_CLEANUP_TEXT HfText words = {0};
        hf_phpfpm_complaint(answer->output, answer->length, COMPLAINT_LINES, &words);
        hf_text_add(error, what);
        if (words.length > 0)
            hf_text_addf(error, ":\n%s", hf_text_peek(&words));
        else
            hf_text_addf(error, ": it exits with status %d and says nothing", answer->status);
    }
    return -EBADMSG;
}

static bool succeeded(const HfAnswer *answer)
{
    return !answer->timed_out && answer->signal == 0 && answer->status == 0;
}

/* php-fpm would only report that an include matches nothing. */
static int check_configuration(const HfPhpfpmArguments *arguments, const char *directory,
                               HfText *error)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (!arguments->configuration)
        return 0;
    if (arguments->configuration[0] != '/' && directory)
        hf_text_addf(&path, "%s/", directory);
    hf_text_add(&path, arguments->configuration);
    if (access(hf_text_peek(&path), R_OK) == 0)
        return 0;
    int r = -errno;
    hf_text_addf(error, "php-fpm's configuration %s cannot be read: %s", hf_text_peek(&path),
                 strerror(-r));
    return r;
}

static int begin(HfDiscovery *discovery, const HfPhpfpmArguments *arguments, HfQuestion *question,
                 HfText *error)
{
    const HfSettings *settings = discovery->settings;
    char ***words = &discovery->plan->arguments;
    int r = check_configuration(arguments, settings->directory, error);

    for (size_t i = discovery->first; r >= 0 && i < discovery->program; i++)
        r = hf_strv_append(words, settings->command[i]);
    for (char **word = arguments->arguments; r >= 0 && *word; word++)
        r = hf_strv_append(words, *word);
    if (r < 0)
        return r;
    if (discovery->first > 0)
        discovery->note = "the init before php-fpm is left out: holdfast does what it does";
    if (arguments->daemonize)
        discovery->note = "php-fpm's option -D is left out: holdfast keeps it in the foreground";
    discovery->step = STEP_DUMP;
    return ask_pools(discovery, arguments, false, question);
}

static int explain_dump(const HfSettings *settings, const HfAnswer *answer, HfText *error)
{
    bool missed = hf_phpfpm_include_missed(answer->output, answer->length);

    return explain_answer(settings, answer,
                          missed ? "php-fpm's configuration was not found, name it with -y FILE"
                                 : "php-fpm rejects its configuration",
                          error);
}

static int parse_dump(const char *dump, size_t length, HfPhpfpmConfig *ret, HfText *error)
{
    int r = hf_phpfpm_config_parse(dump, length, ret);

    if (r < 0)
        hf_text_addf(error, "the output of php-fpm -tt cannot be parsed: %s", strerror(-r));
    return r;
}

/* The first dump was made without php.ini, which may be why it failed. */
static int take_dump(HfDiscovery *discovery, const HfPhpfpmArguments *arguments,
                     const HfAnswer *answer, HfQuestion *question, HfText *error)
{
    HfPhpfpmConfig config;

    if (answer->timed_out)
        return explain_dump(discovery->settings, answer, error);
    if (hf_phpfpm_include_missed(answer->output, answer->length)) {
        discovery->attempt++;
        int again = ask_pools(discovery, arguments, false, question);
        return again != -ENOENT ? again : explain_dump(discovery->settings, answer, error);
    }
    discovery->step = STEP_INI;
    if (!succeeded(answer) || answer->truncated)
        return ask_pools(discovery, arguments, true, question);
    int r = hf_phpfpm_config_parse(answer->output, answer->length, &config);
    if (r < 0)
        return ask_pools(discovery, arguments, true, question);
    discovery->step = STEP_VARIABLES;
    hf_text_add_bytes(&discovery->earlier, answer->output, answer->length);
    r = ask_variables(discovery, arguments, &config, question);
    hf_phpfpm_config_clear(&config);
    return discovery->earlier.failed ? -ENOMEM : r;
}

/* A configuration that cannot be restated can only be started from the user's files. */
static int restate_plan(HfPlan *plan, const char *dump, size_t length)
{
    HF_CLEANUP_TEXT HfText text = {0};

    int r = hf_phpfpm_restate(dump, length, &text);
    if (r == -EINVAL || r == -E2BIG)
        return 0;
    return r < 0 ? r : hf_text_take(&text, &plan->restated);
}

static int plan_pools(HfDiscovery *discovery, const HfPhpfpmArguments *arguments, const char *dump,
                      size_t length, HfText *error)
{
    const HfSettings *settings = discovery->settings;
    const char *page = settings->probe.kind == HF_PROBE_FASTCGI ? settings->probe.what : "";
    bool pages = *page || hf_settings_warms(settings, HF_WARM_RECENT) ||
                 hf_settings_warms(settings, HF_WARM_FASTCGI) ||
                 hf_settings_warms(settings, HF_WARM_FILE);
    HfPhpfpmConfig config;

    int r = parse_dump(dump, length, &config, error);
    if (r < 0)
        return r;
    r = hf_phpfpm_plan(&config, arguments, discovery->base, discovery->aliases,
                       pages || config.n_pools <= HF_PHPFPM_FIGURES_MAX ? page : NULL,
                       !hf_settings_warms(settings, HF_WARM_NONE), discovery->plan, error);
    hf_phpfpm_config_clear(&config);
    if (r >= 0)
        r = restate_plan(discovery->plan, dump, length);
    discovery->step = STEP_BOUND;
    return r < 0 ? r : HF_STEP_BIND;
}

static int take_variables(HfDiscovery *discovery, const HfPhpfpmArguments *arguments,
                          const HfAnswer *answer, HfQuestion *question, HfText *error)
{
    const HfText *dump = &discovery->earlier;

    if (!succeeded(answer) || answer->truncated ||
        hf_phpfpm_needs_ini(answer->output, discovery->plan->environment, environ)) {
        discovery->step = STEP_INI;
        return ask_pools(discovery, arguments, true, question);
    }
    return plan_pools(discovery, arguments, hf_text_peek(dump), dump->length, error);
}

static int take_ini_dump(HfDiscovery *discovery, const HfPhpfpmArguments *arguments,
                         const HfAnswer *answer, HfText *error)
{
    if (!succeeded(answer))
        return explain_dump(discovery->settings, answer, error);
    return plan_pools(discovery, arguments, answer->output,
                      answer->truncated ? HF_PHPFPM_DUMP_MAX + 1 : answer->length, error);
}

/* Asks for the pools (-tt) and, once they are bound (if that fails php-fpm should not have logged
 * anything), for its verdict (-t). */
static int discover(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret, HfText *error)
{
    HfPhpfpmArguments arguments = {0};

    const HfSettings *settings = discovery->settings;

    int r = hf_phpfpm_arguments_parse(settings->command + discovery->program, &arguments, error);
    if (r < 0)
        return r;
    switch (discovery->step) {
    case STEP_BEGIN:
        r = begin(discovery, &arguments, ret, error);
        break;
    case STEP_DUMP:
        r = take_dump(discovery, &arguments, answer, ret, error);
        break;
    case STEP_VARIABLES:
        r = take_variables(discovery, &arguments, answer, ret, error);
        break;
    case STEP_INI:
        r = take_ini_dump(discovery, &arguments, answer, error);
        break;
    case STEP_BOUND:
        discovery->step = STEP_VERDICT;
        r = ask_verdict(discovery->plan, ret);
        break;
    case STEP_VERDICT:
    default:
        r = succeeded(answer) ? HF_STEP_DONE
                              : explain_answer(discovery->settings, answer,
                                               "php-fpm rejects its configuration", error);
        break;
    }
    hf_phpfpm_arguments_clear(&arguments);
    return r;
}

static const char *const overlay_arguments[] = {"-F", "-y", NULL};
static const char *const limit_arguments[] = {"-d", "opcache.preload=", "-i", NULL};

const HfAdapter hf_adapter_php_fpm = {
    .name = "php-fpm",
    .program = "php-fpm",
    .handoff = &hf_handoff_php_fpm,
    .stop_signal = SIGQUIT,
    .reopen_signal = SIGUSR1,
    .fastcgi = true,
    .finds_listeners = true,
    .leaks = true,
    .retires = true,
    .needs_blocking = true,
    .keeper = HF_PHPFPM_KEEPER,
    .validate = validate,
    .discover = discover,
    .verdict = question_verdict,
    .overlay = make_overlay,
    .overlay_arguments = overlay_arguments,
    .complain = hf_phpfpm_complaint,
    .scoreboard = hf_phpfpm_status_parse,
    .cache = hf_phpfpm_cache_parse,
    .limit_arguments = limit_arguments,
    .recent = hf_phpfpm_recent,
    .warm_script = hf_phpfpm_warm_script,
    .limit_key = "\nmemory_limit => ",
};
