#include "run/service_credentials.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "format/capability.h"
#include "kernel/privilege.h"

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

int hf_service_credentials_find(const HfSettings *settings, HfNames *names, HfCredentials *ret,
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
