#include "run/plan_settings.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "format/capability.h"
#include "kernel/privilege.h"
#include "kernel/process.h"

/* ---- whose it is ---- */

static int explain_account(const char *option, const char *name, int r, HfText *error)
{
    if (r == -ENOENT)
        hf_text_addf(error, "--%s: there is no %s \"%s\" on this system", option, option, name);
    else if (r < 0)
        hf_text_addf(error, "--%s: \"%s\" cannot be looked up: %s", option, name, strerror(-r));
    return r;
}

static int find_account(const HfSettings *settings, HfNames *names, HfCredentials *credentials,
                        HfText *error)
{
    int r = 0;

    if (settings->user)
        r = explain_account("user", settings->user,
                            hf_names_service_user(names, credentials, settings->user), error);
    if (r >= 0 && settings->group) {
        r = explain_account("group", settings->group,
                            hf_names_group(names, settings->group, &credentials->gid), error);
        credentials->has_group = true;
    }
    if (r >= 0 && credentials->has_user && !credentials->has_group) {
        hf_text_addf(error, "--user: %s has no entry that names its group; add --group",
                     settings->user);
        r = -EINVAL;
    }
    return r;
}

/* The service's own user is one that needs no right to switch to. */
static int check_rights(HfCredentials *credentials, HfText *error)
{
    if (hf_credentials_are_own(credentials)) {
        if (!hf_privilege_has(CAP_SETUID) || !hf_privilege_has(CAP_SETGID))
            credentials->has_user = credentials->has_group = false;
    } else if ((credentials->has_user && !hf_privilege_has(CAP_SETUID)) ||
               !hf_privilege_has(CAP_SETGID)) {
        hf_text_add(error, "--user and --group need holdfast to run as root, or as that user "
                           "already; start it as root, or leave them out");
        return -EPERM;
    }
    if (credentials->capabilities != HF_CAPABILITIES_ALL && !hf_privilege_has(CAP_SETPCAP)) {
        hf_text_add(error, "--capabilities needs holdfast to run as root (CAP_SETPCAP); start it "
                           "as root, or leave it out");
        return -EPERM;
    }
    return 0;
}

static int find_credentials(const HfSettings *settings, HfNames *names, HfCredentials *ret,
                            HfText *error)
{
    HfCredentials credentials = HF_CREDENTIALS_NONE;

    credentials.no_new_privileges = settings->no_new_privileges;
    credentials.capabilities = settings->capabilities;
    int r = find_account(settings, names, &credentials, error);
    if (r >= 0)
        r = check_rights(&credentials, error);
    if (r < 0) {
        hf_credentials_clear(&credentials);
        return r;
    }
    *ret = credentials;
    return 0;
}

/* ---- what it runs ---- */

static int find_program(const HfSettings *settings, char **ret, HfText *error)
{
    const char *command = settings->command[0];

    int r = hf_process_find(command, getenv("PATH"), settings->directory, ret);
    if (r == -ENOENT && strchr(command, '/'))
        hf_text_addf(error, "there is no program %s; check the path", command);
    else if (r == -ENOENT)
        hf_text_addf(error, "the program %s was not found in PATH; install it, or give its path",
                     command);
    else if (r == -EACCES)
        hf_text_addf(error, "%s is not executable; check its mode and its directories'", command);
    else if (r < 0)
        hf_text_addf(error, "%s cannot be run: %s", command, strerror(-r));
    return r;
}

static int stop_signal_of(const HfSettings *settings)
{
    static const int numbers[] = {
        [HF_STOP_SIGNAL_TERM] = SIGTERM, [HF_STOP_SIGNAL_QUIT] = SIGQUIT,
        [HF_STOP_SIGNAL_INT] = SIGINT,   [HF_STOP_SIGNAL_HUP] = SIGHUP,
        [HF_STOP_SIGNAL_USR1] = SIGUSR1, [HF_STOP_SIGNAL_USR2] = SIGUSR2,
    };
    _Static_assert(sizeof(numbers) / sizeof(*numbers) == HF_STOP_SIGNAL_MAX_, "each signal");

    if (settings->stop_signal != HF_STOP_SIGNAL_AUTO)
        return numbers[settings->stop_signal];
    return hf_adapter_of(settings)->stop_signal;
}

static int make_environment(HfPlan *plan, const HfSettings *settings)
{
    int r = hf_strv_copy(plan->credentials.environment, &plan->environment);

    for (char *const *entry = settings->environment; r >= 0 && entry && *entry; entry++)
        r = hf_strv_set(&plan->environment, *entry);
    return r;
}

int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error)
{
    HfPlan *plan;

    int r = hf_plan_new(&plan);
    if (r < 0)
        return r;
    plan->adapter = hf_adapter_of(settings);
    plan->handoff = hf_handoff_of(settings);
    plan->drain_timeout = settings->drain_timeout;
    plan->readiness = settings->readiness;
    plan->ready_delay = settings->ready_delay;
    plan->stop_signal = stop_signal_of(settings);
    plan->kill_mode = settings->kill_mode;
    plan->reopen_signal = plan->adapter->reopen_signal;
    r = find_program(settings, &plan->program, error);
    if (r >= 0 && plan->readiness == HF_READINESS_LOG)
        r = hf_string_set(&plan->ready_text, settings->ready_text);
    if (r >= 0)
        r = find_credentials(settings, names, &plan->credentials, error);
    if (r >= 0)
        r = make_environment(plan, settings);
    if (r >= 0)
        r = hf_string_set(&plan->directory, settings->directory);
    if (r < 0) {
        hf_plan_unref(plan);
        return r;
    }
    *ret = plan;
    return 0;
}

/* ---- the environment ---- */

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
