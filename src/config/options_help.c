/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "config/option.h"
#include "config/options.h"

#define WIDTH         79
#define OPTION_COLUMN 26 /* where the description of an option starts */
#define VERB_COLUMN   12

static void add_blanks(HfText *text, size_t n)
{
    hf_text_addf(text, "%*s", (int)n, "");
}

/* Adds string, wrapped, from column on, which the current line has reached; further lines are
 * indented to it. */
static void add_wrapped(HfText *text, const char *string, size_t column)
{
    size_t reached = column;

    while (*(string += strspn(string, " "))) {
        size_t length = strcspn(string, " ");
        if (reached > column && reached + 1 + length > WIDTH) {
            hf_text_add(text, "\n");
            add_blanks(text, column);
            reached = column;
        }
        if (reached > column) {
            hf_text_add(text, " ");
            reached++;
        }
        hf_text_add_bytes(text, string, length);
        reached += length;
        string += length;
    }
    hf_text_add(text, "\n");
}

/* Adds left, and right in its column beside it, or below when left is too wide. */
static void add_entry(HfText *text, const char *left, const char *right, size_t column)
{
    size_t length = strlen(left);

    hf_text_add(text, left);
    if (length + 2 > column) {
        hf_text_add(text, "\n");
        length = 0;
    }
    add_blanks(text, column - length);
    add_wrapped(text, right, column);
}

static const struct {
    const char *summary;
    const char *words; /* what follows the options */
} verbs[] = {
    [HF_VERB_RUN] = {"Hold sockets and supervise COMMAND behind them", " [--] COMMAND [ARG...]"},
    [HF_VERB_EXEC] = {"Hand the sockets that systemd passed to COMMAND, and become it",
                      " [--] COMMAND [ARG...]"},
    [HF_VERB_CHECK] = {"Print what run would do and every problem found; bind nothing",
                       " [--] COMMAND [ARG...]"},
    [HF_VERB_RELOAD] = {"Replace the service: the next is ready before the old one leaves", ""},
    [HF_VERB_RESTART] = {"Replace the service, stopping it first; connections queue meanwhile", ""},
    [HF_VERB_ROLLBACK] = {"Return to the generation before the last reload, which --park keeps",
                          ""},
    [HF_VERB_STOP] = {"Let the service finish its requests, end it, close the sockets", ""},
    [HF_VERB_HOLD] = {"Make new connections wait, for a while, until release", ""},
    [HF_VERB_RELEASE] = {"Let through the connections that hold made wait", ""},
    [HF_VERB_STATUS] = {"Show what runs and what is held: generations, queues, the last events",
                        ""},
    [HF_VERB_HISTORY] = {"Show the last 100 generations and how they ended", ""},
    [HF_VERB_METRICS] = {"Print the figures for Prometheus", ""},
    [HF_VERB_PROBE] = {"Check the service at one address; exits 0 if it is healthy, else 1",
                       " ADDRESS"},
    [HF_VERB_UPGRADE] = {"Put the installed holdfast in the place of the one that runs", ""},
};
_Static_assert(sizeof(verbs) / sizeof(*verbs) == HF_VERB_MAX_, "a summary for each verb");

const char *hf_option_verb_summary(HfVerb verb)
{
    return verbs[verb].summary;
}

static const char *const group_titles[] = {
    [HF_OPTION_GROUP_SERVICE] = "Service",         [HF_OPTION_GROUP_SOCKETS] = "Sockets",
    [HF_OPTION_GROUP_REPLACEMENT] = "Replacement", [HF_OPTION_GROUP_HEALTH] = "Health",
    [HF_OPTION_GROUP_LOGGING] = "Logging",         [HF_OPTION_GROUP_GENERAL] = "General",
};
_Static_assert(sizeof(group_titles) / sizeof(*group_titles) == HF_OPTION_GROUP_MAX_,
               "a title for each group");

static void add_option(HfText *text, const HfOption *option)
{
    HF_CLEANUP_TEXT HfText left = {0};
    HF_CLEANUP_TEXT HfText right = {0};
    HfCommandLine defaults = {0};

    if (option->letter)
        hf_text_addf(&left, "  -%c --%s", option->letter, option->name);
    else
        hf_text_addf(&left, "     --%s", option->name);
    hf_option_add_argument(option, &left);

    hf_text_add(&right, option->help);
    if (option->type->show && !strstr(option->help, "(default: ")) {
        hf_settings_init(&defaults.settings);
        hf_probing_init(&defaults.probing);
        hf_text_add(&right, " (default: ");
        option->type->show(option, (const char *)&defaults + option->offset, &right);
        hf_text_add(&right, ")");
        hf_command_line_clear(&defaults);
    }
    add_entry(text, hf_text_peek(&left), hf_text_peek(&right), OPTION_COLUMN);
    hf_text_fail(text, left.failed || right.failed);
}

/* Returns how many options were left out. */
static size_t add_group(HfText *text, HfOptionGroup group, HfVerb verb, bool all)
{
    size_t left_out = 0;
    bool titled = false;

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        if (option->group != group || !hf_option_is_of(option, verb))
            continue;
        if (!all && !option->first) {
            left_out++;
            continue;
        }
        if (!titled)
            hf_text_addf(text, "\n%s:\n", group_titles[group]);
        titled = true;
        add_option(text, option);
    }
    return left_out;
}

static void add_values(HfText *text)
{
    hf_text_add(text, "\nValues:\n");
    add_entry(text, "  ADDR",
              "127.0.0.1:9000, [::1]:9000, localhost:9000, 9000 for every interface, /run/x.sock "
              "or unix:/run/x.sock, @abstract",
              OPTION_COLUMN);
    add_entry(text, "  KEY=VALUE",
              "backlog=N or backlog=max, name=NAME; of a unix path mode=0660, owner=USER, "
              "group=GROUP; of a TCP address ipv6-only=yes (so that [::] leaves IPv4 alone), "
              "interface=NAME, and socket options: see the manual",
              OPTION_COLUMN);
    add_entry(text, "  TIME", "30s, 1min 30s, 500ms; a number alone is seconds", OPTION_COLUMN);
}

static void add_examples(HfText *text)
{
    hf_text_add(text, "\nExamples:\n"
                      "  holdfast run -- php-fpm8.2\n"
                      "  holdfast run --listen=127.0.0.1:8000 -- ./server\n");
}

static void add_verb_help(HfText *text, HfVerb verb, bool all)
{
    size_t left_out = 0;

    all |= verb != HF_VERB_RUN && verb != HF_VERB_CHECK;
    hf_text_addf(text, "Usage: holdfast %s [OPTION...]%s\n\n%s.\n", hf_verb_name(verb),
                 verbs[verb].words, verbs[verb].summary);
    for (HfOptionGroup group = 0; group < HF_OPTION_GROUP_MAX_; group++)
        left_out += add_group(text, group, verb, all);
    if (left_out > 0)
        hf_text_addf(text, "\nThe other %zu options: holdfast %s --help=all\n", left_out,
                     hf_verb_name(verb));
    if (hf_option_find("listen", strlen("listen"), verb))
        add_values(text);
    if (verb == HF_VERB_RUN)
        add_examples(text);
}

static void add_overview(HfText *text)
{
    hf_text_add(text, "Usage: holdfast VERB [OPTION...] [--] [COMMAND [ARG...]]\n\n");
    add_wrapped(text,
                "Holds the listening sockets of a service and replaces the service behind them, so "
                "that no restart refuses a connection.",
                0);
    hf_text_add(text, "\nVerbs:\n");
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        HF_CLEANUP_TEXT HfText left = {0};
        hf_text_addf(&left, "  %s", hf_verb_name(verb));
        add_entry(text, hf_text_peek(&left), verbs[verb].summary, VERB_COLUMN);
        hf_text_fail(text, left.failed);
    }
    hf_text_add(text, "\nOptions:\n");
    for (size_t i = 0; i < hf_option_count; i++) {
        bool everywhere = hf_option_table[i].verbs == (1U << HF_VERB_MAX_) - 1;
        if (everywhere)
            add_option(text, &hf_option_table[i]);
    }
    add_examples(text);
    hf_text_add(text, "\nThe options of a verb: holdfast VERB --help\n");
}

void hf_options_help(const HfVerb *verb, bool all, HfText *text)
{
    if (verb)
        add_verb_help(text, *verb, all);
    else
        add_overview(text);
}
