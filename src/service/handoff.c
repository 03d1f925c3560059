/* SPDX-License-Identifier: MIT */
#include "service/handoff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "service/php_fpm/php_fpm.h"

#define ENTRIES_MAX 128 /* per variable, as php-fpm's fpm_sockets.c writes it */
#define VARIABLE_MAX                                                                               \
    (128 * 1024) /* bytes of a variable with its NUL, MAX_ARG_STRLEN of execve(2) */

void hf_placement_clear(HfPlacement *placement)
{
    hf_strv_free(placement->environment);
    hf_freep(&placement->sources);
    *placement = (HfPlacement){0};
}

static bool is_clean(const char *text, const char *forbidden)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f || strchr(forbidden, *text))
            return false;
    return true;
}

static int check_listener(const HfHandoffListener *listener)
{
    if (listener->name && !is_clean(listener->name, ":"))
        return -EINVAL;
    for (size_t i = 0; i < listener->n_keys; i++) {
        const char *key = listener->keys[i];
        if (*key == '\0' || strlen(key) > VARIABLE_MAX / 2 || !is_clean(key, ",;="))
            return -EINVAL;
    }
    return 0;
}

static int add_listen_fds(const HfHandoffListener *listeners, size_t n, HfPlacement *placement)
{
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_addf(&text, "LISTEN_FDS=%zu", n);
    int r = hf_strv_take(&placement->environment, &text);
    if (r < 0)
        return r;
    hf_text_add(&text, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < n; i++) {
        const char *name = listeners[i].name;
        hf_text_addf(&text, "%s%s", i > 0 ? ":" : "", name && *name ? name : "unknown");
    }
    /* Names are optional, whereas a variable that is too long would make every exec fail. */
    if (text.length >= VARIABLE_MAX)
        return 0;
    return hf_strv_take(&placement->environment, &text);
}

static int add_server_starter(const HfHandoffListener *listeners, size_t n, HfPlacement *placement)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_add(&text, "SERVER_STARTER_PORT=");
    for (size_t i = 0; i < n; i++) {
        if (listeners[i].n_keys != 1)
            return -EINVAL;
        hf_text_addf(&text, "%s%s=%zu", i > 0 ? ";" : "", listeners[i].keys[0],
                     HF_HANDOFF_FIRST_FD + i);
    }
    if (text.length >= VARIABLE_MAX)
        return -E2BIG;
    return hf_strv_take(&placement->environment, &text);
}

/* FPM_SOCKETS, then FPM_SOCKETS_1 and so on as they fill up. */
typedef struct Variables {
    char **environment;
    HfText text;
    size_t n_entries; /* in the current variable */
    size_t n_variables;
} Variables;

static int finish_variable(Variables *variables)
{
    if (variables->n_entries == 0)
        return 0;
    variables->n_entries = 0;
    return hf_strv_take(&variables->environment, &variables->text);
}

static int add_key(Variables *variables, const char *key, size_t fd)
{
    size_t longest = strlen(",=18446744073709551615") + strlen(key);
    if (variables->n_entries == ENTRIES_MAX || variables->text.length + longest >= VARIABLE_MAX) {
        int r = finish_variable(variables);
        if (r < 0)
            return r;
    }
    if (variables->n_entries++ > 0)
        hf_text_add(&variables->text, ",");
    else if (variables->n_variables++ == 0)
        hf_text_add(&variables->text, "FPM_SOCKETS=");
    else
        hf_text_addf(&variables->text, "FPM_SOCKETS_%zu=", variables->n_variables - 1);
    hf_text_addf(&variables->text, "%s=%zu", key, fd);
    return 0;
}

/* Assigns a descriptor to each key. */
static int add_fpm_sockets(const HfHandoffListener *listeners, size_t n, HfPlacement *placement)
{
    int r = add_listen_fds(listeners, n, placement);
    if (r < 0)
        return r;
    Variables variables = {.environment = HF_STEAL(placement->environment)};
    for (size_t i = 0; i < n && r == 0; i++)
        for (size_t k = 0; k < listeners[i].n_keys && r == 0; k++) {
            size_t position = i;
            if (k > 0) {
                position = placement->n_sources++;
                placement->sources[position] = i;
            }
            r = add_key(&variables, listeners[i].keys[k], HF_HANDOFF_FIRST_FD + position);
        }
    if (r == 0)
        r = finish_variable(&variables);
    hf_text_clear(&variables.text);
    placement->environment = variables.environment;
    return r;
}

/* ---- the conventions ---- */

static int php_fpm_key(const HfPlanned *planned, unsigned index, char *ret)
{
    if (planned->alias) {
        if (index > 0)
            return -ENOENT;
        snprintf(ret, HF_ADDRESS_TEXT_MAX, "%s", planned->alias);
        return 0;
    }
    int r = hf_phpfpm_key(hf_planned_address(planned), index, ret);
    if (r == -EINVAL && index == 0) /* a host name that has not been resolved yet */
        hf_address_format(hf_planned_address(planned), ret);
    return r == -EINVAL && index == 0 ? 0 : r;
}

/* As Server::Starter writes them: HOST:PORT, PORT or a path. */
static int server_starter_key(const HfPlanned *planned, unsigned index, char *ret)
{
    if (index > 0)
        return -ENOENT;
    hf_address_format(&planned->spec.address, ret);
    return 0;
}

const HfHandoff hf_handoff_listen_fds = {
    .name = "listen-fds",
    .listen_pid = true,
    .add = add_listen_fds,
};

const HfHandoff hf_handoff_php_fpm = {
    .name = "php-fpm",
    .listen_pid = true,
    .key = php_fpm_key,
    .descriptor_each = true,
    .add = add_fpm_sockets,
};

const HfHandoff hf_handoff_stdin = {
    .name = "stdin",
    .most = 1,
    .fastcgi = true,
    .on_stdin = true,
    .too_many = "--handoff=stdin takes exactly one listener; add --listen=ADDRESS",
};

const HfHandoff hf_handoff_server_starter = {
    .name = "server-starter",
    .key = server_starter_key,
    .add = add_server_starter,
    .too_many = "--handoff=server-starter cannot name so many listeners; drop some",
    .generation = "SERVER_STARTER_GENERATION",
};

/* ---- what a generation gets ---- */

int hf_handoff_place(const HfHandoff *handoff, const HfHandoffListener *listeners,
                     size_t n_listeners, HfPlacement *ret)
{
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    if (handoff->most > 0 && n_listeners > handoff->most)
        return -E2BIG;

    size_t n_sources = 0;
    for (size_t i = 0; i < n_listeners; i++) {
        int r = check_listener(&listeners[i]);
        if (r < 0)
            return r;
        size_t n_keys = handoff->descriptor_each ? listeners[i].n_keys : 0;
        n_sources += n_keys > 1 ? n_keys : 1;
    }
    placement.environment = hf_allocate(1, sizeof(*placement.environment));
    placement.sources = hf_allocate(n_sources, sizeof(*placement.sources));
    if (!placement.environment || !placement.sources)
        return -ENOMEM;

    if (handoff->on_stdin) {
        placement.on_stdin = n_listeners > 0;
    } else if (n_listeners > 0) {
        placement.listen_pid = handoff->listen_pid;
        placement.n_sources = n_listeners;
        for (size_t i = 0; i < n_listeners; i++)
            placement.sources[i] = i;
        int r = handoff->add(listeners, n_listeners, &placement);
        if (r < 0)
            return r;
    }
    *ret = placement;
    placement = (HfPlacement){0};
    return 0;
}

typedef struct Keys {
    char texts[HF_HANDOFF_KEYS_MAX][HF_ADDRESS_TEXT_MAX];
    const char *pointers[HF_HANDOFF_KEYS_MAX];
} Keys;

static void make_keys(const HfHandoff *handoff, const HfPlanned *planned, Keys *keys,
                      HfHandoffListener *ret)
{
    unsigned n = 0;

    for (; n < HF_HANDOFF_KEYS_MAX && handoff->key(planned, n, keys->texts[n]) == 0; n++)
        keys->pointers[n] = keys->texts[n];
    ret->keys = keys->pointers;
    ret->n_keys = n;
}

const HfAddress *hf_planned_address(const HfPlanned *planned)
{
    bool resolved = planned->bound.kind != HF_ADDRESS_NONE;

    return resolved && hf_address_is_looked_up(&planned->spec.address) ? &planned->bound
                                                                       : &planned->spec.address;
}

int hf_handoff_place_planned(const HfHandoff *handoff, const HfPlanned *wanted, size_t n,
                             HfPlacement *ret, HfText *error)
{
    HF_CLEANUP_FREE HfHandoffListener *listeners = hf_allocate(n + 1, sizeof(*listeners));
    HF_CLEANUP_FREE Keys *keys = hf_allocate(n + 1, sizeof(*keys));

    if (!listeners || !keys)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        listeners[i].name = wanted[i].spec.name;
        if (handoff->key)
            make_keys(handoff, &wanted[i], &keys[i], &listeners[i]);
    }
    int r = hf_handoff_place(handoff, listeners, n, ret);
    if (r == -E2BIG && handoff->too_many)
        hf_text_add(error, handoff->too_many);
    else if (r < 0)
        hf_text_addf(error, "the sockets cannot be handed over: %s", strerror(-r));
    return r;
}
