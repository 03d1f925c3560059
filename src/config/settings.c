/* SPDX-License-Identifier: MIT */
#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "format/capability.h"

static const char *const handovers[] = {
    [HF_HANDOVER_AUTO] = "auto",
    [HF_HANDOVER_SWITCH] = "switch",
    [HF_HANDOVER_GENTLE] = "gentle",
    [HF_HANDOVER_AT_ONCE] = "at-once",
};
HF_STRTAB_DEFINE(hf_handover, HfHandover, handovers, HF_HANDOVER_MAX_)

static const char *const kill_modes[] = {
    [HF_KILL_MODE_SERVICE] = "service",
    [HF_KILL_MODE_ALL] = "all",
};
HF_STRTAB_DEFINE(hf_kill_mode, HfKillMode, kill_modes, HF_KILL_MODE_MAX_)

static const char *const notify_accesses[] = {"main", "all"};
HF_STRTAB_DEFINE(hf_notify_access, HfNotifyAccess, notify_accesses, HF_NOTIFY_ACCESS_MAX_)

static const char *const stdins[] = {"null", "inherit"};
HF_STRTAB_DEFINE(hf_stdin, HfStdin, stdins, HF_STDIN_MAX_)

static const char *const cgroup_uses[] = {
    [HF_CGROUP_USE_AUTO] = "auto",
    [HF_CGROUP_USE_OFF] = "off",
};
HF_STRTAB_DEFINE(hf_cgroup_use, HfCgroupUse, cgroup_uses, HF_CGROUP_USE_MAX_)

static const char *const readinesses[] = {
    [HF_READINESS_AUTO] = "auto",       [HF_READINESS_NOTIFY] = "notify",
    [HF_READINESS_PIDFILE] = "pidfile", [HF_READINESS_DELAY] = "delay",
    [HF_READINESS_LOG] = "log",
};
HF_STRTAB_DEFINE(hf_readiness, HfReadiness, readinesses, HF_READINESS_MAX_)

static const char *const verb_names[] = {
    [HF_VERB_RUN] = "run",           [HF_VERB_EXEC] = "exec",       [HF_VERB_CHECK] = "check",
    [HF_VERB_ROLLBACK] = "rollback", [HF_VERB_RELOAD] = "reload",   [HF_VERB_RESTART] = "restart",
    [HF_VERB_HOLD] = "hold",         [HF_VERB_RELEASE] = "release", [HF_VERB_STOP] = "stop",
    [HF_VERB_STATUS] = "status",     [HF_VERB_HISTORY] = "history", [HF_VERB_METRICS] = "metrics",
    [HF_VERB_PROBE] = "probe",       [HF_VERB_UPGRADE] = "upgrade",
};
HF_STRTAB_DEFINE(hf_verb, HfVerb, verb_names, HF_VERB_MAX_)

void hf_listener_spec_init(HfListenerSpec *spec)
{
    *spec = (HfListenerSpec){.backlog = HF_BACKLOG_MAXIMUM, .mode = HF_MODE_UNSET};
}

void hf_listener_spec_clear(HfListenerSpec *spec)
{
    hf_freep(&spec->name);
    hf_freep(&spec->owner);
    hf_freep(&spec->group);
    hf_freep(&spec->acl_users);
    hf_freep(&spec->acl_groups);
    hf_listener_spec_init(spec);
}

int hf_listener_spec_copy(const HfListenerSpec *spec, HfListenerSpec *ret)
{
    HfListenerSpec copy = *spec;
    copy.name = copy.owner = copy.group = copy.acl_users = copy.acl_groups = NULL;
    copy.names = NULL;
    if (hf_string_set(&copy.name, spec->name) < 0 || hf_string_set(&copy.owner, spec->owner) < 0 ||
        hf_string_set(&copy.group, spec->group) < 0 ||
        hf_string_set(&copy.acl_users, spec->acl_users) < 0 ||
        hf_string_set(&copy.acl_groups, spec->acl_groups) < 0) {
        hf_listener_spec_clear(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void hf_settings_init(HfSettings *settings)
{
    *settings = (HfSettings){
        .ready_timeout = 60 * HF_USEC_PER_SEC,
        .drain_timeout = 30 * HF_USEC_PER_SEC,
        .ready_delay = HF_USEC_PER_SEC,
        .warm_timeout = 10 * HF_USEC_PER_SEC,
        .max_draining = 4,
        .backoff_max = 30 * HF_USEC_PER_SEC,
        .recycle_every = HF_USEC_INFINITY,
        .on_event_timeout = 30 * HF_USEC_PER_SEC,
        .queue_every = HF_USEC_INFINITY,
        .queue_warn = 80,
        .probe_every = 10 * HF_USEC_PER_SEC,
        .probe_timeout = 5 * HF_USEC_PER_SEC,
        .probe_failures = 3,
        .watchdog = HF_USEC_INFINITY,
        .probe_hung_after = HF_USEC_INFINITY,
        .recycle_check = 30 * HF_USEC_PER_SEC,
        .busy_after = 10 * HF_USEC_PER_SEC,
        .log_level = HF_LOG_LEVEL_INFO,
        .capabilities = HF_CAPABILITIES_ALL,
    };
}

HfWarm hf_warm_kind(const char *text, const char **ret_what)
{
    static const char *const words[HF_WARM_MAX_] = {
        [HF_WARM_AUTO] = "auto",        [HF_WARM_NONE] = "none",  [HF_WARM_RECENT] = "recent",
        [HF_WARM_FASTCGI] = "fastcgi:", [HF_WARM_HTTP] = "http:", [HF_WARM_FILE] = "file:",
        [HF_WARM_EXEC] = "exec:",
    };

    for (HfWarm kind = 0; kind < HF_WARM_MAX_; kind++) {
        size_t length = strlen(words[kind]);
        bool whole = words[kind][length - 1] != ':';
        if (strncmp(text, words[kind], length) == 0 && (!whole || text[length] == '\0')) {
            *ret_what = text + length;
            return kind;
        }
    }
    return HF_WARM_MAX_;
}

bool hf_settings_warms(const HfSettings *settings, HfWarm kind)
{
    const char *what;

    for (char *const *entry = settings->warm; entry && *entry; entry++)
        if (hf_warm_kind(*entry, &what) == kind)
            return true;
    return false;
}

void hf_settings_clear(HfSettings *settings)
{
    for (size_t i = 0; i < settings->n_listeners; i++)
        hf_listener_spec_clear(&settings->listeners[i]);
    hf_freep(&settings->listeners);
    hf_freep(&settings->name);
    hf_freep(&settings->adapter);
    hf_freep(&settings->handoff);
    hf_freep(&settings->directory);
    hf_freep(&settings->preflight);
    hf_freep(&settings->canary.what);
    hf_freep(&settings->document_root);
    hf_strv_free(settings->warm);
    hf_freep(&settings->ready_text);
    hf_freep(&settings->user);
    hf_freep(&settings->group);
    hf_freep(&settings->on_event);
    hf_strv_free(settings->environment);
    hf_strv_free(settings->http_headers);
    hf_freep(&settings->probe.what);
    hf_strv_free(settings->command);
    hf_settings_init(settings);
}

void hf_call_clear(HfCall *call)
{
    hf_string_set(&call->name, NULL);
    hf_string_set(&call->unit, NULL);
    *call = (HfCall){0};
}

void hf_probing_init(HfProbing *probing)
{
    *probing = (HfProbing){.timeout = 5 * HF_USEC_PER_SEC};
}

void hf_probing_clear(HfProbing *probing)
{
    hf_freep(&probing->root);
    hf_probing_init(probing);
}

void hf_command_line_clear(HfCommandLine *line)
{
    hf_settings_clear(&line->settings);
    hf_call_clear(&line->call);
    hf_string_set(&line->config, NULL);
    hf_probing_clear(&line->probing);
}

/* The character that replaces any other one in a name. */
static char clean(char character, bool lower, bool first)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *capital = strchr(capitals, character);

    if (capital && lower)
        return others[capital - capitals];
    if (capital || (strchr(others, character) && !(character == '.' && first)))
        return character;
    return '-';
}

int hf_name_clean(const char *text, bool lower, char **ret)
{
    char name[HF_NAME_MAX + 1];
    size_t n = 0;

    for (; text[n] && n < HF_NAME_MAX; n++)
        name[n] = clean(text[n], lower, n == 0);
    if (n == 0)
        name[n++] = '-';
    name[n] = '\0';
    *ret = NULL;
    return hf_string_set(ret, name);
}

int hf_name_of_address(const HfAddress *address, char **ret)
{
    char text[HF_ADDRESS_TEXT_MAX];
    const char *start = text;

    hf_address_format(address, text);
    while (*start == '/' || *start == '[' || *start == '@')
        start++;
    return hf_name_clean(start, false, ret);
}

int hf_name_of_instance(const HfSettings *settings, char **ret)
{
    const char *slash = strrchr(settings->command[0], '/');

    if (settings->name) {
        *ret = NULL;
        return hf_string_set(ret, settings->name);
    }
    return hf_name_clean(slash ? slash + 1 : settings->command[0], true, ret);
}

/* systemd creates the directory of an instance (RuntimeDirectory=holdfast/NAME) below the usual
 * base, even for a user who could not create it. systemd.exec(5) RUNTIME_DIRECTORY. */
static bool given_by_systemd(void)
{
    static const char beginning[] = HF_RUNTIME_BASE "/";
    const char *list = getenv("RUNTIME_DIRECTORY");

    for (; list && *list; list += strcspn(list, ":"), list += *list == ':')
        if (strncmp(list, beginning, sizeof(beginning) - 1) == 0)
            return true;
    return false;
}

int hf_name_of_runtime_base(char **ret)
{
    const char *own = getenv("XDG_RUNTIME_DIR");
    HF_CLEANUP_TEXT HfText path = {0};

    if (geteuid() != 0 && !given_by_systemd() && own && own[0] == '/')
        hf_text_addf(&path, "%s/holdfast", own);
    else
        hf_text_add(&path, HF_RUNTIME_BASE);
    return hf_text_take(&path, ret);
}

bool hf_name_is_reserved(const char *entry)
{
    static const struct {
        const char *name;
        bool prefix;
    } reserved[] = {
        {"LISTEN_FD", true},      {"LISTEN_PID", true},    {"FPM_SOCKETS", true},
        {"NOTIFY_SOCKET", false}, {"WATCHDOG_PID", false}, {"WATCHDOG_USEC", false},
        {"MAINPID", false},       {"FDSTORE", false},      {"SERVER_STARTER_", true},
        {"HOLDFAST_", true},
    };
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
        size_t n = strlen(reserved[i].name);
        if (length >= n && memcmp(entry, reserved[i].name, n) == 0 &&
            (reserved[i].prefix || length == n))
            return true;
    }
    return false;
}
