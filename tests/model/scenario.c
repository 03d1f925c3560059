/* SPDX-License-Identifier: MIT */
/* Plays scenarios to the machine and compares its actions with the expected ones (TAP).
 *
 *     set drain 5s              limits: ready drain term kill backoff stable max-draining,
 *                               handover (switch, gentle, at-once) settle retire, side,
 *                               tries (yes, no) trial park, busy-after,
 *                               probe-every probe-failures probe-hung probe-doublings,
 *                               recycle-every, stop-delay, exit-with-service (yes, no)
 *     offer drain 5s            the same for what is being prepared
 *     given active              the first start is over, generation 1 serves
 *     > reload #1               an event; generations by number, callers by #ID or #FIRST..LAST, or
 *     > reload x1000            many times without a caller
 *     > main-exited 1 3         with status 3, as > spawn-failed, gone; > main-exited 1 remain;
 *                               > prepared takeover, > prepared one-sided
 *       prepare                 the actions that it must cause, in order, none omitted
 *     = preparing, 1 active     the state after it
 *
 * --fill FILE prints the scenario with the lines as they are. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "text.h"

typedef struct Player {
    HfMachineLimits limits;
    bool switches; /* plans have two sides, unless said otherwise */
    HfMachine machine;
    bool begun;
    Lines expected;
    Lines actual;
    unsigned event_line;
    char event[TEXT_LINE_MAX];
    FILE *fill; /* or NULL */
    const char *path;
    bool failed;
} Player;

static const HfMachineLimits defaults = {
    .ready_timeout = 60000000,
    .drain_timeout = 30000000,
    .term_timeout = 5000000,
    .kill_interval = 1000000,
    .backoff_max = 30000000,
    .stable_time = 10000000,
    .settle_time = 100000,
    .retire_time = 500000,
    .side_time = 3000000,
    .trial_time = 20000000,
    .busy_after = HF_USEC_INFINITY,
    .probe_failures = 3,
    .probe_doublings = 6,
    .max_draining = 4,
};

static void complain(Player *player, unsigned number, const char *what, const char *line)
{
    printf("# %s:%u: %s: %s\n", player->path, number, what, line);
    player->failed = true;
}

/* ---- set ---- */

static bool set_number(const char *value, unsigned most, unsigned *ret)
{
    unsigned long n = strtoul(value, NULL, 10);

    if (n < 1 || n > most)
        return false;
    *ret = (unsigned)n;
    return true;
}

static bool set_limit(HfMachineLimits *limits, const char *key, const char *value)
{
    const struct {
        const char *key;
        uint64_t *limit;
    } keys[] = {
        {"ready", &limits->ready_timeout},
        {"drain", &limits->drain_timeout},
        {"term", &limits->term_timeout},
        {"kill", &limits->kill_interval},
        {"backoff", &limits->backoff_max},
        {"stable", &limits->stable_time},
        {"settle", &limits->settle_time},
        {"retire", &limits->retire_time},
        {"busy-after", &limits->busy_after},
        {"probe-every", &limits->probe_every},
        {"recycle-every", &limits->recycle_every},
        {"stop-delay", &limits->stop_delay},
        {"side", &limits->side_time},
        {"trial", &limits->trial_time},
        {"park", &limits->park_time},
    };

    if (strcmp(key, "max-draining") == 0)
        return set_number(value, HF_MACHINE_DRAINING_MAX, &limits->max_draining);
    if (strcmp(key, "probe-failures") == 0)
        return set_number(value, 100, &limits->probe_failures);
    if (strcmp(key, "probe-hung") == 0)
        return set_number(value, 100, &limits->probe_hung);
    if (strcmp(key, "probe-doublings") == 0)
        return set_number(value, 6, &limits->probe_doublings);
    if (strcmp(key, "busy-after") == 0 && strcmp(value, "never") == 0) {
        limits->busy_after = HF_USEC_INFINITY;
        return true;
    }
    if (strcmp(key, "exit-with-service") == 0) {
        limits->exit_with_service = strcmp(value, "yes") == 0;
        return true;
    }
    if (strcmp(key, "tries") == 0) {
        limits->tries = strcmp(value, "yes") == 0;
        return true;
    }
    if (strcmp(key, "handover") == 0) {
        limits->retires = true;
        limits->gentle = strcmp(value, "at-once") != 0;
        return !limits->gentle || strcmp(value, "gentle") == 0 || strcmp(value, "switch") == 0;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(key, keys[i].key) == 0)
            return text_parse_time(value, keys[i].limit) == 0;
    return false;
}

/* ---- events ---- */

/* A generation that was forgotten is looked for in an empty slot: such an event comes too late. */
static bool parse_slot(const HfMachine *machine, const char *text, HfEvent *ret)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    int empty = hf_machine_find(machine, HF_STAGE_EMPTY);

    if (end == text || *end || number == 0)
        return false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        if (machine->generations[i].number == number) {
            ret->slot = i;
            ret->number = number;
            return true;
        }
    }
    if (number > machine->last_number || empty < 0)
        return false;
    ret->slot = (unsigned)empty;
    ret->number = number;
    return true;
}

typedef struct Times {
    uint64_t first_id; /* 0: nobody waits */
    uint64_t n;
} Times;

static bool parse_times(const char *text, Times *ret)
{
    char *end;

    *ret = (Times){.n = 1};
    if (!*text)
        return true;
    if (*text == 'x') {
        ret->n = strtoull(text + 1, &end, 10);
        return end > text + 1 && !*end && ret->n <= 100000;
    }
    if (*text != '#')
        return false;
    ret->first_id = strtoull(text + 1, &end, 10);
    if (strncmp(end, "..", 2) == 0)
        ret->n = strtoull(end + 2, &end, 10) - ret->first_id + 1;
    return ret->first_id > 0 && !*end && ret->n > 0 && ret->n <= 100000;
}

static bool parse_verdict(const char *text, HfVerdict *ret)
{
    int verdict = hf_verdict_value(text);

    if (verdict < 0)
        return false;
    *ret = (HfVerdict)verdict;
    return true;
}

static bool has_status(HfEventType type)
{
    return type == HF_EVENT_SPAWN_FAILED || type == HF_EVENT_MAIN_EXITED || type == HF_EVENT_GONE;
}

static bool parse_event(const HfMachine *machine, const char *word, const char *argument,
                        const char *more, HfEvent *ret, Times *ret_times)
{
    int type = hf_event_value(word);
    int timer = hf_timer_value(word);
    int request = hf_request_kind_value(word);

    *ret_times = (Times){.n = 1};
    if (*more && type < 0)
        return false;
    if (request > HF_REQUEST_NONE) {
        *ret = (HfEvent){.type = HF_EVENT_REQUEST, .request = (HfRequestKind)request};
        return parse_times(argument, ret_times);
    }
    if (timer >= 0) {
        *ret = (HfEvent){.type = HF_EVENT_TIMER, .timer = (HfTimer)timer};
        return timer != HF_TIMER_DEADLINE ? !*argument : parse_slot(machine, argument, ret);
    }
    if (type < 0)
        return false;
    *ret = (HfEvent){.type = (HfEventType)type};
    if (*more && ret->type != HF_EVENT_EXTEND && ret->type != HF_EVENT_PROBED &&
        ret->type != HF_EVENT_TRIED && !has_status(ret->type))
        return false;
    if (has_status(ret->type)) {
        ret->remain = strcmp(more, "remain") == 0;
        ret->status = (int)strtol(more, NULL, 10);
    }
    switch (ret->type) {
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_READY:
    case HF_EVENT_MAIN_EXITED:
    case HF_EVENT_GONE:
    case HF_EVENT_RETIRED:
    case HF_EVENT_SIDE_EMPTY:
    case HF_EVENT_OVERSIZE:
    case HF_EVENT_LEAVING:
        return parse_slot(machine, argument, ret);
    case HF_EVENT_START:
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_UNBLOCKED:
    case HF_EVENT_QUEUE_SERVED:
    case HF_EVENT_ENDED:
    case HF_EVENT_REOPEN:
    case HF_EVENT_FALLBACK_GONE:
    case HF_EVENT_UPGRADE_TESTED:
    case HF_EVENT_UPGRADE_FAILED:
    case HF_EVENT_RESUME:
    case HF_EVENT_ADOPT:
        return !*argument;
    case HF_EVENT_PREPARED:
        ret->takeover = strcmp(argument, "takeover") == 0;
        ret->switches = strcmp(argument, "one-sided") != 0;
        return ret->takeover || !ret->switches || !*argument;
    case HF_EVENT_EXTEND:
        return parse_slot(machine, argument, ret) && text_parse_time(more, &ret->usec) == 0;
    case HF_EVENT_TRIED:
        ret->passed = strcmp(more, "passed") == 0;
        return parse_slot(machine, argument, ret) && (ret->passed || strcmp(more, "failed") == 0);
    case HF_EVENT_PROBED:
        return parse_slot(machine, argument, ret) && parse_verdict(more, &ret->verdict);
    case HF_EVENT_STOP_SIGNAL:
        return parse_times(argument, ret_times) && ret_times->first_id == 0;
    case HF_EVENT_TIMER:
    case HF_EVENT_REQUEST:
    case HF_EVENT_MAX_:
        break;
    }
    return false;
}

static void take_event(Player *player, const char *text)
{
    char word[TEXT_LINE_MAX] = "";
    char argument[TEXT_LINE_MAX] = "";
    char more[TEXT_LINE_MAX] = "";
    char rest;
    HfEvent event;
    Times times;

    int n = sscanf(text, " %159s %159s %159s %c", word, argument, more, &rest);
    if (n > 3 || !parse_event(&player->machine, word, argument, more, &event, &times)) {
        complain(player, player->event_line, "not an event", text);
        return;
    }
    for (uint64_t i = 0; i < times.n; i++) {
        HfActions actions;
        char line[TEXT_LINE_MAX];
        event.id = times.first_id > 0 ? times.first_id + i : 0;
        event.switches = event.switches && player->switches;
        hf_machine_step(&player->machine, &event, &actions);
        for (size_t j = 0; j < actions.n;) {
            j += text_action(&actions.list[j], actions.n - j, line);
            lines_add(&player->actual, line);
        }
    }
}

/* ---- lines ---- */

static void finish_event(Player *player)
{
    if (player->fill) {
        for (size_t i = 0; i < player->actual.n; i++)
            fprintf(player->fill, "  %s\n", player->actual.list[i]);
    } else if (!lines_equal(&player->expected, &player->actual)) {
        printf("# %s:%u: > %s\n", player->path, player->event_line, player->event);
        lines_diff(&player->expected, &player->actual, stdout);
        player->failed = true;
    }
    lines_clear(&player->expected);
    lines_clear(&player->actual);
}

static void check_state(Player *player, unsigned number, const char *expected)
{
    char state[TEXT_STATE_MAX];

    finish_event(player);
    text_state(&player->machine, state);
    if (player->fill) {
        fprintf(player->fill, "= %s\n", state);
    } else if (strcmp(state, expected) != 0) {
        complain(player, number, "expected", expected);
        complain(player, number, "but it is", state);
    }
}

static void take_setting(Player *player, unsigned number, const char *line)
{
    char key[TEXT_LINE_MAX] = "";
    char value[TEXT_LINE_MAX] = "";

    if (player->begun || sscanf(line, "set %159s %159s", key, value) != 2 ||
        !set_limit(&player->limits, key, value))
        complain(player, number, "not a setting that may stand here", line);
    if (strcmp(key, "handover") == 0)
        player->switches = strcmp(value, "switch") == 0;
}

static void begin(Player *player)
{
    if (!player->begun)
        hf_machine_init(&player->machine, &player->limits);
    player->begun = true;
}

static void take_offer(Player *player, unsigned number, const char *line)
{
    HfMachineLimits limits = player->machine.next;
    char key[TEXT_LINE_MAX] = "";
    char value[TEXT_LINE_MAX] = "";

    if (!player->begun || player->machine.phase != HF_PHASE_PREPARING ||
        sscanf(line, "offer %159s %159s", key, value) != 2 || !set_limit(&limits, key, value))
        complain(player, number, "not an offer that may stand here", line);
    else
        hf_machine_offer(&player->machine, &limits);
}

static void take_given(Player *player, unsigned number, const char *line)
{
    if (player->begun || strcmp(line, "given active") != 0) {
        complain(player, number, "not a beginning", line);
        return;
    }
    begin(player);
    take_event(player, "start");
    take_event(player, "prepared");
    take_event(player, "ready 1");
    lines_clear(&player->actual);
}

static void take_line(Player *player, unsigned number, char *line)
{
    char *text = line + strspn(line, " ");
    bool setting = strncmp(text, "set ", 4) == 0;
    bool offer = strncmp(text, "offer ", 6) == 0;
    bool given = strncmp(text, "given ", 6) == 0;
    bool comment = !*text || *text == '#';

    if (setting || offer || given || comment || *text == '>') {
        finish_event(player);
        if (player->fill)
            fprintf(player->fill, "%s\n", line);
    }
    if (comment)
        return;
    if (setting) {
        take_setting(player, number, text);
    } else if (offer) {
        take_offer(player, number, text);
    } else if (given) {
        take_given(player, number, text);
    } else if (*text == '>') {
        begin(player);
        text += 1 + strspn(text + 1, " ");
        player->event_line = number;
        snprintf(player->event, sizeof(player->event), "%s", text);
        take_event(player, text);
    } else if (*text == '=' && player->begun) {
        check_state(player, number, text + 1 + strspn(text + 1, " "));
    } else {
        lines_add(&player->expected, text);
    }
}

static bool play(const char *path, FILE *fill)
{
    Player player = {.limits = defaults, .fill = fill, .path = path};
    char line[1024];
    unsigned number = 0;

    FILE *file = fopen(path, "re");
    if (!file) {
        printf("# %s: %s\n", path, strerror(errno));
        return false;
    }
    while (!player.failed && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        take_line(&player, ++number, line);
    }
    finish_event(&player);
    fclose(file);
    lines_clear(&player.expected);
    lines_clear(&player.actual);
    if (!player.begun)
        complain(&player, number, "nothing happens", path);
    return !player.failed;
}

/* ---- the directory ---- */

static int is_scenario(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && strcmp(dot, ".txt") == 0;
}

static int play_directory(const char *directory)
{
    struct dirent **entries;
    bool failed = false;

    int n = scandir(directory, &entries, is_scenario, alphasort);
    if (n <= 0) {
        printf("Bail out! no scenarios in %s\n", directory);
        return EXIT_FAILURE;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        bool ok = play(path, NULL);
        printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, entries[i]->d_name);
        failed = failed || !ok;
        free(entries[i]);
    }
    free(entries);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--fill") == 0)
        return play(argv[2], stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (argc == 2)
        return play_directory(argv[1]);
    fprintf(stderr, "usage: %s DIRECTORY | --fill FILE\n", argv[0]);
    return 2;
}
