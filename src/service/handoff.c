#include "service/handoff.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define ENTRIES_MAX 128 /* of one variable, as php-fpm's fpm_sockets.c writes it */
#define VARIABLE_MAX                                                                               \
    (128 * 1024) /* bytes of one variable with its NUL, MAX_ARG_STRLEN of execve(2) */

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

static int append_text(char ***environment, HfText *text)
{
    char *entry;
    int r = hf_text_take(text, &entry);
    return r < 0 ? r : hf_strv_consume(environment, entry);
}

static int add_listen_fds(const HfHandoffListener *listeners, size_t n, char ***environment)
{
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_addf(&text, "LISTEN_FDS=%zu", n);
    int r = append_text(environment, &text);
    if (r < 0)
        return r;
    hf_text_add(&text, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < n; i++) {
        const char *name = listeners[i].name;
        hf_text_addf(&text, "%s%s", i > 0 ? ":" : "", name && *name ? name : "unknown");
    }
    /* Names are optional; one variable that is too long would make every exec fail. */
    if (text.length >= VARIABLE_MAX)
        return 0;
    return append_text(environment, &text);
}

static int add_server_starter(const HfHandoffListener *listeners, size_t n, char ***environment)
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
    return append_text(environment, &text);
}

/* FPM_SOCKETS, FPM_SOCKETS_1, ... as they fill. */
typedef struct Variables {
    char **environment;
    HfText text;
    size_t n_entries; /* of the variable in text */
    size_t n_variables;
} Variables;

static int finish_variable(Variables *variables)
{
    if (variables->n_entries == 0)
        return 0;
    variables->n_entries = 0;
    return append_text(&variables->environment, &variables->text);
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

/* Gives each key its descriptor; sources has room for all and its first n are set. */
static int add_fpm_sockets(const HfHandoffListener *listeners, size_t n, HfPlacement *placement)
{
    Variables variables = {.environment = HF_STEAL(placement->environment)};
    int r = 0;
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

int hf_handoff_place(HfHandoff kind, const HfHandoffListener *listeners, size_t n_listeners,
                     HfPlacement *ret)
{
    assert(kind > HF_HANDOFF_AUTO && kind < HF_HANDOFF_MAX_);
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    if (kind == HF_HANDOFF_STDIN && n_listeners > 1)
        return -E2BIG;

    size_t n_sources = 0;
    for (size_t i = 0; i < n_listeners; i++) {
        int r = check_listener(&listeners[i]);
        if (r < 0)
            return r;
        size_t n_keys = kind == HF_HANDOFF_PHP_FPM ? listeners[i].n_keys : 0;
        n_sources += n_keys > 1 ? n_keys : 1;
    }
    placement.environment = hf_allocate(1, sizeof(*placement.environment));
    placement.sources = hf_allocate(n_sources, sizeof(*placement.sources));
    if (!placement.environment || !placement.sources)
        return -ENOMEM;

    if (kind == HF_HANDOFF_STDIN) {
        placement.on_stdin = n_listeners > 0;
    } else if (n_listeners > 0) {
        bool starter = kind == HF_HANDOFF_SERVER_STARTER;
        placement.listen_pid = !starter;
        placement.n_sources = n_listeners;
        for (size_t i = 0; i < n_listeners; i++)
            placement.sources[i] = i;
        int r = (starter ? add_server_starter : add_listen_fds)(listeners, n_listeners,
                                                                &placement.environment);
        if (r == 0 && kind == HF_HANDOFF_PHP_FPM)
            r = add_fpm_sockets(listeners, n_listeners, &placement);
        if (r < 0)
            return r;
    }
    *ret = placement;
    placement = (HfPlacement){0};
    return 0;
}

bool hf_handoff_is_foreign(const char *entry)
{
    static const struct {
        const char *name;
        bool prefix;
    } foreign[] = {
        {"LISTEN_FD", true},      {"LISTEN_PID", true},    {"FPM_SOCKETS", true},
        {"NOTIFY_SOCKET", false}, {"WATCHDOG_PID", false}, {"WATCHDOG_USEC", false},
        {"MAINPID", false},       {"FDSTORE", false},      {"SERVER_STARTER_", true},
        {"HOLDFAST_", true},
    };
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        size_t n = strlen(foreign[i].name);
        if (length >= n && memcmp(entry, foreign[i].name, n) == 0 &&
            (foreign[i].prefix || length == n))
            return true;
    }
    return false;
}
