/* SPDX-License-Identifier: MIT */
#include "service/adapter.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/option.h"
#include "config/settings.h"
#include "kernel/file.h"

#define PHP_ENTRYPOINT "docker-php-entrypoint" /* of the official images */
#define NAMES_MAX      16                      /* of adapters, of handoffs */

/* ---- by name ---- */

const HfAdapter *hf_adapter_find(const char *name)
{
    for (size_t i = 0; hf_adapters[i]; i++)
        if (strcmp(hf_adapters[i]->name, name) == 0)
            return hf_adapters[i];
    return NULL;
}

const HfHandoff *hf_handoff_find(const char *name)
{
    for (size_t i = 0; hf_handoffs[i]; i++)
        if (strcmp(hf_handoffs[i]->name, name) == 0)
            return hf_handoffs[i];
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const HfAdapter *hf_adapter_of_program(const char *program)
{
    const char *name = base_name(program);
    size_t i = 0;

    while (hf_adapters[i]->program &&
           strncmp(name, hf_adapters[i]->program, strlen(hf_adapters[i]->program)) != 0)
        i++;
    return hf_adapters[i];
}

/* ---- behind other programs ---- */

/* Programs that execute another one in their place. */
static const char *const runners[] = {
    "nice", "chrt",    "ionice",  "taskset", "numactl",   "prlimit",      "stdbuf",       "env",
    "gosu", "su-exec", "setpriv", "chpst",   "setuidgid", "s6-setuidgid", PHP_ENTRYPOINT, NULL,
};
/* Programs that run it as their child, forward signals and reap orphans, as holdfast does. */
static const char *const inits[] = {"dumb-init", "tini", "tini-static", "docker-init", NULL};

static bool is_one_of(const char *const *names, const char *word)
{
    for (; *names; names++)
        if (strcmp(*names, base_name(word)) == 0)
            return true;
    return false;
}

/* Is word a program of that adapter, rather than a file or a user with a similar name? */
static bool is_program_of(const HfAdapter *adapter, const char *word)
{
    const char *name = base_name(word);
    size_t length = adapter->program ? strlen(adapter->program) : 0;

    return length > 0 && !strchr(word, '=') && strncmp(name, adapter->program, length) == 0 &&
           strspn(name + length, "0123456789.-") == strlen(name + length);
}

size_t hf_adapter_program_word(const HfSettings *settings)
{
    const HfAdapter *named = settings->adapter ? hf_adapter_find(settings->adapter) : NULL;
    char *const *words = settings->command;

    if (!words || !words[0] ||
        (!named && !is_one_of(runners, words[0]) && !is_one_of(inits, words[0])))
        return 0;
    for (size_t i = 0; words[i]; i++)
        for (size_t j = 0; hf_adapters[j]; j++)
            if ((!named || hf_adapters[j] == named) && is_program_of(hf_adapters[j], words[i]))
                return i;
    return 0;
}

size_t hf_adapter_first_word(const HfSettings *settings)
{
    size_t program = hf_adapter_program_word(settings);
    size_t first = 0;

    if (program == 0 || !is_one_of(inits, settings->command[0]))
        return 0;
    do { /* -p SIGNAL, -e STATUS and -r FROM:TO take a value */
        const char *option = settings->command[first++];
        if (option[0] == '-' && option[1] && strchr("per", option[1]) && !option[2])
            first++;
    } while (first < program && settings->command[first][0] == '-');
    return first < program ? first : program;
}

const HfAdapter *hf_adapter_of(const HfSettings *settings)
{
    char *const *words = settings->command;
    const char *program = words ? words[hf_adapter_program_word(settings)] : NULL;

    /* The entrypoint adds php-fpm itself in front of options. */
    if (program && strcmp(base_name(program), PHP_ENTRYPOINT) == 0 && words[1] &&
        words[1][0] == '-')
        program = "php-fpm";
    const HfAdapter *adapter = settings->adapter ? hf_adapter_find(settings->adapter)
                                                 : hf_adapter_of_program(program ? program : "");

    assert(adapter);
    return adapter;
}

const HfHandoff *hf_handoff_of(const HfSettings *settings)
{
    const HfHandoff *handoff =
        settings->handoff ? hf_handoff_find(settings->handoff) : hf_adapter_of(settings)->handoff;

    assert(handoff);
    return handoff;
}

bool hf_handoff_is_foreign(const char *entry)
{
    if (hf_name_is_reserved(entry))
        return true;
    for (size_t i = 0; hf_handoffs[i]; i++)
        for (const char *const *name = hf_handoffs[i]->variables; name && *name; name++)
            if (strncmp(entry, *name, strlen(*name)) == 0)
                return true;
    return false;
}

static bool entries_set(const char *const *entries, const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (; entries && *entries; entries++)
        if (strcspn(*entries, "=") == length && memcmp(*entries, entry, length) == 0)
            return true;
    return false;
}

static int add_entries(char ***environment, const char *const *entries)
{
    for (; entries && *entries; entries++) {
        int r = hf_strv_append(environment, *entries);
        if (r < 0)
            return r;
    }
    return 0;
}

int hf_environment_make(char *const *first, const char *const *second, char ***ret)
{
    HF_CLEANUP_STRV char **environment = NULL;

    const char *const *before = (const char *const *)first;
    int r = 0;

    for (char *const *entry = environ; entry && *entry && r >= 0; entry++)
        if (!hf_handoff_is_foreign(*entry) && !entries_set(before, *entry) &&
            !entries_set(second, *entry))
            r = hf_strv_append(&environment, *entry);
    if (r >= 0)
        r = add_entries(&environment, before);
    if (r >= 0)
        r = add_entries(&environment, second);
    if (r < 0)
        return r;
    *ret = HF_STEAL(environment);
    return 0;
}

/* ---- do they agree? ---- */

static int refuse_name(const char *option, const char *value, const char *const *names,
                       HfText *error)
{
    const char *words[NAMES_MAX] = {"auto"};
    size_t n = 1;

    for (; names[n - 1]; n++)
        words[n] = names[n - 1];
    hf_text_addf(error, "--%s: %s is not a valid %s; write ", option, HF_QUOTE(value), option);
    hf_option_join(error, words, n, " or ");
    return -EINVAL;
}

static int check_names(const HfSettings *settings, HfText *error)
{
    const char *names[NAMES_MAX] = {NULL};

    if (settings->adapter && !hf_adapter_find(settings->adapter)) {
        for (size_t i = 0; hf_adapters[i] && i < NAMES_MAX - 2; i++)
            names[i] = hf_adapters[i]->name;
        return refuse_name("adapter", settings->adapter, names, error);
    }
    if (settings->handoff && !hf_handoff_find(settings->handoff)) {
        for (size_t i = 0; hf_handoffs[i] && i < NAMES_MAX - 2; i++)
            names[i] = hf_handoffs[i]->name;
        return refuse_name("handoff", settings->handoff, names, error);
    }
    return 0;
}

/* exec needs no --listen where systemd passes sockets. */
static int check_number(HfVerb verb, const HfSettings *settings, HfText *error)
{
    const HfHandoff *handoff = hf_handoff_of(settings);
    const char *option = settings->handoff ? "--handoff=" : "";
    const char *who = settings->handoff ? settings->handoff : hf_adapter_of(settings)->name;

    if (handoff->most == 0)
        return 0;
    if (settings->n_listeners > handoff->most)
        return hf_option_refuse(error,
                                "%s%s takes one socket, not %zu; drop --listen until one is left",
                                option, who, settings->n_listeners);
    if (settings->n_listeners == 0 && (verb != HF_VERB_EXEC || settings->listens_nowhere))
        return hf_option_refuse(error,
                                "%s%s needs a socket; add --listen=ADDR, as "
                                "--listen=127.0.0.1:9000",
                                option, who);
    return 0;
}

static int check_http(const HfSettings *settings, const char *option, const HfProbe *probe,
                      HfText *error)
{
    const HfAdapter *adapter = hf_adapter_of(settings);

    if (probe->kind != HF_PROBE_HTTP || !adapter->fastcgi)
        return 0;
    return hf_option_refuse(error,
                            "--%s=http:%s asks over HTTP, which %s does not speak; write "
                            "--%s=fastcgi:/PATH",
                            option, probe->what, adapter->name, option);
}

static int check_warm(const HfSettings *settings, HfText *error)
{
    const HfAdapter *adapter = hf_adapter_of(settings);
    bool only_fpm =
        hf_settings_warms(settings, HF_WARM_AUTO) || hf_settings_warms(settings, HF_WARM_RECENT);

    if (only_fpm && !adapter->warm_script)
        return hf_option_refuse(error, "--warm=auto and --warm=recent are for php-fpm only; write "
                                       "--warm=http:/PATH");
    bool pages = settings->canary.kind == HF_PROBE_FASTCGI ||
                 settings->probe.kind == HF_PROBE_FASTCGI || settings->warm;
    if (settings->document_root && !pages && !adapter->warm_script)
        return hf_option_refuse(error, "--document-root is for pages, but none is asked for; add "
                                       "--canary=fastcgi:/PATH, --probe or --warm, or drop it");
    if (hf_settings_warms(settings, HF_WARM_HTTP) && adapter->fastcgi)
        return hf_option_refuse(error,
                                "--warm=http:/PATH asks over HTTP, which %s does not speak; write "
                                "--warm=fastcgi:/PATH",
                                adapter->name);
    return 0;
}

static int check_probe(const HfSettings *settings, HfText *error)
{
    const HfAdapter *adapter = hf_adapter_of(settings);
    HfProbeKind kind = settings->probe.kind;

    if (kind == HF_PROBE_FASTCGI && !adapter->fastcgi && !hf_handoff_of(settings)->fastcgi)
        return hf_option_refuse(error,
                                "--probe=fastcgi:%s asks over FastCGI, which COMMAND does not "
                                "speak; write --probe=http:/PATH, --probe=tcp or "
                                "--probe=exec:COMMAND, or say "
                                "--handoff=stdin if it does",
                                settings->probe.what);
    if ((kind == HF_PROBE_TCP || kind == HF_PROBE_HTTP) && settings->n_listeners == 0 &&
        !adapter->finds_listeners)
        return hf_option_refuse(error, "--probe=%s needs a socket; add --listen=ADDR",
                                kind == HF_PROBE_TCP ? "tcp" : "http");
    if (settings->probe_hung_after != HF_USEC_INFINITY &&
        (kind != HF_PROBE_FASTCGI || !adapter->scoreboard))
        return hf_option_refuse(error,
                                "--probe-hung-after needs php-fpm's own count of requests; write "
                                "--probe=fastcgi:/ping, or drop it");
    return 0;
}

/* The user to which a program in front of the service's switches, or NULL: none, or root. */
static const char *runner_user(const HfSettings *settings, const char **ret_runner)
{
    static const struct {
        const char *name;
        const char *option; /* NULL: the user is the next word */
    } runs_as[] = {{"gosu", NULL},         {"su-exec", NULL}, {"setuidgid", NULL},
                   {"s6-setuidgid", NULL}, {"chpst", "-u"},   {"setpriv", "--reuid"}};
    const size_t program = hf_adapter_program_word(settings);
    char *const *words = settings->command;

    for (size_t i = 0; i + 1 < program; i++)
        for (size_t j = 0; j < sizeof(runs_as) / sizeof(*runs_as); j++) {
            const char *option = runs_as[j].option;
            size_t at = i + 1;
            if (strcmp(base_name(words[i]), runs_as[j].name) != 0)
                continue;
            while (option && at < program && strncmp(words[at], option, strlen(option)) != 0)
                at++;
            const char *user = words[at];
            if (option && at < program)
                user = words[at][strlen(option)] ? words[at] + strlen(option) : words[at + 1];
            user += *user == '=';
            *ret_runner = runs_as[j].name;
            if (at < program && strcmp(user, "root") != 0 && strcmp(user, "0") != 0)
                return user;
        }
    return NULL;
}

/* Only --user tells holdfast who must own a generation's files. */
static int check_user(HfVerb verb, const HfSettings *settings, HfText *error)
{
    const char *runner;
    const char *user = runner_user(settings, &runner);

    if (!user || verb == HF_VERB_EXEC || !hf_adapter_of(settings)->overlay)
        return 0;
    return hf_option_refuse(error,
                            "%s starts %s as another user, who cannot use the files that holdfast "
                            "makes for it; write --user=%.*s in its place",
                            runner, hf_adapter_of(settings)->name, (int)strcspn(user, ":"), user);
}

static int check_all(HfVerb verb, const HfSettings *settings, HfText *error)
{
    int r = check_names(settings, error);

    if (r >= 0)
        r = check_http(settings, "probe", &settings->probe, error);
    if (r >= 0)
        r = check_http(settings, "canary", &settings->canary, error);
    if (r >= 0)
        r = check_probe(settings, error);
    if (r >= 0)
        r = check_warm(settings, error);
    if (r >= 0)
        r = check_user(verb, settings, error);
    if (r < 0)
        return r;
    const HfAdapter *adapter = hf_adapter_of(settings);
    if (settings->readiness == HF_READINESS_PIDFILE && !adapter->overlay)
        return hf_option_refuse(error,
                                "--ready=pidfile is for php-fpm only; write --ready=notify or "
                                "--ready=delay:2s");
    if (settings->standard_input == HF_STDIN_INHERIT && hf_handoff_of(settings)->on_stdin)
        return hf_option_refuse(error, "--stdin=inherit: the standard input of COMMAND is its "
                                       "socket; drop it, or say --handoff=listen-fds");
    if (settings->watchdog != HF_USEC_INFINITY && adapter->scoreboard)
        return hf_option_refuse(error, "--watchdog: php-fpm never says WATCHDOG=1; write "
                                       "--probe=fastcgi:/ping");
    if (adapter->validate)
        r = adapter->validate(settings, settings->command + hf_adapter_program_word(settings),
                              error);
    return r < 0 || adapter->finds_listeners ? r : check_number(verb, settings, error);
}

int hf_adapter_validate(const HfCommandLine *line, HfText *error)
{
    bool starts =
        line->verb == HF_VERB_RUN || line->verb == HF_VERB_EXEC || line->verb == HF_VERB_CHECK;
    HF_CLEANUP_TEXT HfText why = {0};

    if (!starts || line->help || line->version)
        return 0;
    int r = check_all(line->verb, &line->settings, &why);
    if (r >= 0)
        return 0;
    if (line->config)
        hf_text_addf(error, "%s: ", line->config);
    hf_text_add(error, hf_text_peek(&why));
    hf_text_fail(error, why.failed);
    return r;
}

/* ---- the configuration file ---- */

static int explain(const char *path, int r, HfText *error)
{
    if (r == -EFBIG)
        hf_text_addf(error, "%s: the file is too large; it may have %d KiB", path,
                     HF_OPTIONS_FILE_MAX / 1024);
    else if (r == -EINVAL)
        hf_text_addf(error, "%s is not a regular file", path);
    else
        hf_text_addf(error, "%s cannot be read: %s", path, strerror(-r));
    return r;
}

static int read_file(const char *path, char **ret_text, HfOptionsFile *ret, HfText *error)
{
    *ret = (HfOptionsFile){.path = path};
    int r = hf_file_read(path, HF_OPTIONS_FILE_MAX, ret_text, &ret->length);
    ret->text = *ret_text;
    return r < 0 ? explain(path, r, error) : 0;
}

int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error)
{
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = {0};
    HF_CLEANUP_COMMAND_LINE HfCommandLine whole = {0};
    HF_CLEANUP_FREE char *text = NULL;
    HfCommandLine *read = &line;
    HfOptionsFile file;

    int r = hf_options_parse(argc, argv, &line, error);
    if (r >= 0 && line.config && !line.help && !line.version) {
        read = &whole;
        r = read_file(line.config, &text, &file, error);
        if (r >= 0)
            r = hf_options_parse_with_file(argc, argv, &file, &whole, error);
    }
    if (r >= 0)
        r = hf_adapter_validate(read, error);
    if (r < 0)
        return r;
    *ret = *read;
    *read = (HfCommandLine){0};
    return 0;
}
