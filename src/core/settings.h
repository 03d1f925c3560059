/* What the user asked for. Filled by core/options from the command line and the configuration file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strtab.h"
#include "core/address.h"

typedef enum HfAdapter {
    HF_ADAPTER_AUTO, /* by the program's name */
    HF_ADAPTER_PHP_FPM,
    HF_ADAPTER_PHP_CGI,
    HF_ADAPTER_GENERIC,
    HF_ADAPTER_MAX_,
} HfAdapter;
HF_STRTAB_DECLARE(hf_adapter, HfAdapter); /* auto, php-fpm, php-cgi, generic */

typedef enum HfHandoff {
    HF_HANDOFF_AUTO, /* by the adapter */
    HF_HANDOFF_LISTEN_FDS,
    HF_HANDOFF_PHP_FPM,
    HF_HANDOFF_STDIN,
    HF_HANDOFF_MAX_,
} HfHandoff;
HF_STRTAB_DECLARE(hf_handoff, HfHandoff); /* auto, listen-fds, php-fpm, stdin */

#define HF_NAME_MAX 64 /* bytes of an instance's or listener's name */

#define HF_BACKLOG_MAXIMUM (-1) /* net.core.somaxconn */
#define HF_MODE_UNSET      UINT32_MAX

/* One socket to be bound. Owned strings. */
typedef struct HfListenerSpec {
    HfAddress address;
    char *name;       /* LISTEN_FDNAMES entry, [A-Za-z0-9._-]{1,64}; NULL: made from the address */
    int backlog;      /* > 0, or HF_BACKLOG_MAXIMUM */
    uint32_t mode;    /* of a unix path; HF_MODE_UNSET: as the umask leaves it */
    char *owner;      /* user name or number, NULL unset; sets the user's group too without group */
    char *group;      /* NULL unset */
    char *acl_users;  /* comma-separated names, NULL unset; */
    char *acl_groups; /* with either ACL set owner and group are ignored */
} HfListenerSpec;

/* Nothing set: no address, the largest backlog, no mode. */
void hf_listener_spec_init(HfListenerSpec *spec);
/* Frees what it owns; as after hf_listener_spec_init then. */
void hf_listener_spec_clear(HfListenerSpec *spec);
/* Deep copy. Returns 0 or -ENOMEM. */
int hf_listener_spec_copy(const HfListenerSpec *spec, HfListenerSpec *ret);

#define HF_LISTENERS_MAX 4096 /* listeners of one instance */

typedef struct HfSettings {
    char *name; /* instance, [a-z0-9._-]{1,64}; NULL: the program's base name */
    HfAdapter adapter;
    HfHandoff handoff;
    HfListenerSpec *listeners;
    size_t n_listeners;
    char *directory;        /* of the service; NULL: holdfast's own at its start */
    uint64_t ready_timeout; /* usec, default 60 s */
    uint64_t drain_timeout; /* usec, default 30 s */
    char **command;         /* COMMAND [ARG...], NULL-terminated vector, at least one string */
} HfSettings;

/* The defaults. */
void hf_settings_init(HfSettings *settings);
/* Frees what it owns, takes a zeroed one too; as after hf_settings_init then. */
void hf_settings_clear(HfSettings *settings);
#define HF_CLEANUP_SETTINGS __attribute__((cleanup(hf_settings_clear)))

/* Resolves AUTO: php-fpm* and php-cgi* by the base name of command[0], else generic. */
HfAdapter hf_settings_adapter(const HfSettings *settings);
/* Resolves AUTO: php-fpm for php-fpm, stdin for php-cgi, else listen-fds. */
HfHandoff hf_settings_handoff(const HfSettings *settings);
