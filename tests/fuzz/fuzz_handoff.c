/* SPDX-License-Identifier: MIT */
/* The environment of a handoff, read back by the rules of its readers. The first byte is the
 * convention, the second repeats everything; then for each listener a byte of switches, its name
 * and its keys as strings that end in NUL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "service/adapter.h"

#define LISTENERS_MAX  600
#define KEYS_MAX       4
#define BYTES_MAX      (512 * 1024) /* of keys that are repeated */
#define VARIABLE_MAX   (128 * 1024) /* execve(2), MAX_ARG_STRLEN */
#define ENTRIES_MAX    128
#define KEY_LENGTH_MAX (64 * 1024)

typedef struct Listeners {
    HfHandoffListener list[LISTENERS_MAX];
    char *names[LISTENERS_MAX];
    char *keys[LISTENERS_MAX][KEYS_MAX];
    size_t n_read;
    size_t n;
} Listeners;

static char *read_key(Input *input, bool lengthen)
{
    char *key = input_string(input);
    size_t length = strlen(key);
    size_t more = lengthen ? (size_t)input_byte(input) << 9 : 0;

    key = must(realloc(key, length + more + 1));
    memset(key + length, 'k', more);
    key[length + more] = '\0';
    return key;
}

static void read_listener(Input *input, Listeners *listeners)
{
    unsigned switches = input_byte(input);
    size_t i = listeners->n_read++;
    size_t n_keys = switches % (KEYS_MAX + 1);

    if (switches & 0x80)
        listeners->names[i] = input_string(input);
    for (size_t k = 0; k < n_keys; k++)
        listeners->keys[i][k] = read_key(input, switches & 0x40);
    listeners->list[i] = (HfHandoffListener){.name = listeners->names[i],
                                             .keys = (const char *const *)listeners->keys[i],
                                             .n_keys = n_keys};
}

static void free_listeners(Listeners *listeners)
{
    for (size_t i = 0; i < listeners->n_read; i++) {
        free(listeners->names[i]);
        for (size_t k = 0; k < KEYS_MAX; k++)
            free(listeners->keys[i][k]);
    }
    free(listeners);
}

static size_t key_bytes(const Listeners *listeners)
{
    size_t bytes = 0;

    for (size_t i = 0; i < listeners->n_read; i++)
        for (size_t k = 0; k < listeners->list[i].n_keys; k++)
            bytes += strlen(listeners->keys[i][k]);
    return bytes;
}

static bool good(const HfHandoff *kind, const Listeners *listeners)
{
    bool one_key = kind == &hf_handoff_server_starter;

    for (size_t i = 0; i < listeners->n; i++) {
        const HfHandoffListener *listener = &listeners->list[i];
        if (listener->name && (!is_clean(listener->name) || strchr(listener->name, ':')))
            return false;
        if (one_key && listener->n_keys != 1)
            return false;
        for (size_t k = 0; k < listener->n_keys; k++) {
            const char *key = listener->keys[k];
            if (!is_clean(key) || strpbrk(key, ",;=") || *key == '\0' ||
                strlen(key) > KEY_LENGTH_MAX)
                return false;
        }
    }
    return true;
}

static const char *find(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;

    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            CHECK(!found);
            found = *environment + length + 1;
        }
    return found;
}

/* sd_listen_fds_with_names(3) */
static void check_listen_fds(const Listeners *listeners, const HfPlacement *placement)
{
    const char *count = find(placement->environment, "LISTEN_FDS");
    const char *names = find(placement->environment, "LISTEN_FDNAMES");

    CHECK(placement->listen_pid);
    CHECK(count && strtoul(count, NULL, 10) == listeners->n);
    CHECK(placement->n_sources >= listeners->n);
    for (size_t i = 0; i < listeners->n; i++)
        CHECK(placement->sources[i] == i);
    for (size_t i = 0; names && i < listeners->n; i++) {
        const char *want = listeners->list[i].name;
        size_t length = strcspn(names, ":");
        if (!want || *want == '\0')
            want = "unknown";
        CHECK(strlen(want) == length && memcmp(names, want, length) == 0);
        CHECK((names[length] == ':') == (i + 1 < listeners->n));
        names += length + 1;
    }
}

/* The next key that has not had its turn. */
typedef struct Turn {
    size_t listener;
    size_t key;
} Turn;

static const char *take_turn(const Listeners *listeners, Turn *turn, size_t *ret_listener)
{
    while (turn->listener < listeners->n && turn->key == listeners->list[turn->listener].n_keys)
        *turn = (Turn){.listener = turn->listener + 1};
    if (turn->listener == listeners->n)
        return NULL;
    *ret_listener = turn->listener;
    return listeners->list[turn->listener].keys[turn->key++];
}

/* fpm_sockets.c: split at commas, then at the first equals sign; no descriptor under two keys. */
static void take_variable(const Listeners *listeners, const HfPlacement *placement, char *value,
                          Turn *turn, bool *used)
{
    size_t entries = 0;

    CHECK(*value != '\0');
    for (char *entry; (entry = strsep(&value, ",")); entries++) {
        char *number = strchr(entry, '=');
        char *end;
        size_t owner;
        CHECK(number);
        *number++ = '\0';
        unsigned long fd = strtoul(number, &end, 10);
        CHECK(*number != '\0' && *end == '\0');
        CHECK(fd >= HF_HANDOFF_FIRST_FD && fd - HF_HANDOFF_FIRST_FD < placement->n_sources);
        const char *key = take_turn(listeners, turn, &owner);
        CHECK(key && strcmp(key, entry) == 0);
        CHECK(placement->sources[fd - HF_HANDOFF_FIRST_FD] == owner);
        CHECK(!used[fd - HF_HANDOFF_FIRST_FD]);
        used[fd - HF_HANDOFF_FIRST_FD] = true;
    }
    CHECK(entries <= ENTRIES_MAX);
}

static void check_fpm_sockets(const Listeners *listeners, const HfPlacement *placement)
{
    HF_CLEANUP_FREE bool *used = must(hf_allocate(placement->n_sources, sizeof(*used)));
    Turn turn = {0};
    size_t owner;

    for (unsigned i = 0;; i++) {
        HF_CLEANUP_TEXT HfText name = {0};
        HF_CLEANUP_FREE char *value = NULL;
        hf_text_add(&name, "FPM_SOCKETS");
        if (i > 0)
            hf_text_addf(&name, "_%u", i);
        const char *found = find(placement->environment, hf_text_peek(&name));
        if (!found)
            break;
        CHECK(hf_string_set(&value, found) == 0);
        take_variable(listeners, placement, value, &turn, used);
    }
    CHECK(!take_turn(listeners, &turn, &owner));
}

/* Server::Starter: split at semicolons, then at the last equals sign. */
static void check_server_starter(const Listeners *listeners, const HfPlacement *placement)
{
    HF_CLEANUP_FREE char *value = NULL;
    const char *found = find(placement->environment, "SERVER_STARTER_PORT");
    size_t n = 0;

    CHECK(found && !placement->listen_pid && !find(placement->environment, "LISTEN_FDS"));
    CHECK(hf_string_set(&value, found) == 0);
    for (char *rest = value, *entry; (entry = strsep(&rest, ";")); n++) {
        char *number = strrchr(entry, '=');
        CHECK(number && n < listeners->n);
        *number++ = '\0';
        CHECK(strcmp(entry, listeners->list[n].keys[0]) == 0);
        CHECK(strtoul(number, NULL, 10) == HF_HANDOFF_FIRST_FD + n);
        CHECK(placement->sources[n] == n);
    }
    CHECK(n == listeners->n && placement->n_sources == n);
}

static void check_placement(const HfHandoff *kind, const Listeners *listeners,
                            const HfPlacement *placement)
{
    CHECK(placement->environment);
    for (char **entry = placement->environment; *entry; entry++) {
        CHECK(hf_handoff_is_foreign(*entry));
        CHECK(strchr(*entry, '=') && strlen(*entry) < VARIABLE_MAX);
        CHECK(is_clean(*entry));
    }
    if (listeners->n == 0 || kind == &hf_handoff_stdin) {
        CHECK(!*placement->environment && placement->n_sources == 0 && !placement->listen_pid);
        CHECK(placement->on_stdin == (listeners->n > 0));
        return;
    }
    CHECK(!placement->on_stdin);
    if (kind == &hf_handoff_server_starter) {
        check_server_starter(listeners, placement);
        return;
    }
    check_listen_fds(listeners, placement);
    if (kind == &hf_handoff_php_fpm) {
        check_fpm_sockets(listeners, placement);
    } else {
        CHECK(placement->n_sources == listeners->n);
        CHECK(!find(placement->environment, "FPM_SOCKETS"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    const HfHandoff *kind = hf_handoffs[input_byte(&input) % 4];
    size_t repeat = input_byte(&input) % 200 + 1;
    Listeners *listeners = must(hf_allocate(1, sizeof(*listeners)));
    HfPlacement placement = {.n_sources = 77};

    while (input.size > 0 && listeners->n_read < LISTENERS_MAX)
        read_listener(&input, listeners);
    listeners->n = listeners->n_read;
    size_t bytes = key_bytes(listeners) + 1;
    for (size_t i = 1; i < repeat && i * bytes < BYTES_MAX; i++)
        for (size_t k = 0; k < listeners->n_read && listeners->n < LISTENERS_MAX; k++)
            listeners->list[listeners->n++] = listeners->list[k];

    int r = hf_handoff_place(kind, listeners->list, listeners->n, &placement);
    if (kind == &hf_handoff_stdin && listeners->n > 1)
        CHECK(r == -E2BIG);
    else if (r == -E2BIG)
        CHECK(kind == &hf_handoff_server_starter && key_bytes(listeners) > 0 && listeners->n > 1);
    else
        CHECK(r == (good(kind, listeners) ? 0 : -EINVAL));
    if (r == 0) {
        check_placement(kind, listeners, &placement);
        hf_placement_clear(&placement);
        CHECK(!placement.environment && !placement.sources);
    } else {
        CHECK(placement.n_sources == 77 && !placement.environment);
    }
    free_listeners(listeners);
    return 0;
}
