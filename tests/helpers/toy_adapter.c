/* SPDX-License-Identifier: MIT */
/* A fourth kind of server and a fifth convention, for holdfast-toy: that one file is all they need.
 * tests/helpers/toy_server.py is such a server. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "service/adapter.h"

#define ANSWER_MAX 4096 /* bytes */

/* ---- the convention: TOY_SOCKETS=3=NAME+4=NAME ---- */

static int add_toy(const HfHandoffListener *listeners, size_t n, HfPlacement *placement)
{
    HF_CLEANUP_TEXT HfText text = {0};
    char *entry;

    hf_text_add(&text, "TOY_SOCKETS=");
    for (size_t i = 0; i < n; i++)
        hf_text_addf(&text, "%s%zu=%s", i > 0 ? "+" : "", HF_HANDOFF_FIRST_FD + i,
                     listeners[i].name);
    int r = hf_text_take(&text, &entry);
    return r < 0 ? r : hf_strv_consume(&placement->environment, entry);
}

static const char *const variables[] = {"TOY_SOCKETS=", "TOY_NUMBER=", NULL};

static const HfHandoff handoff_toy = {
    .name = "toy",
    .add = add_toy,
    .generation = "TOY_NUMBER",
    .variables = variables,
};

/* ---- the kind of server ---- */

static int ask(const HfPlan *plan, const char *option, HfQuestion *question)
{
    int r = hf_strv_copy(plan->arguments, &question->arguments);
    if (r >= 0)
        r = hf_strv_append(&question->arguments, option);
    hf_text_add(&question->input, "asked\n");
    question->most = ANSWER_MAX;
    return r < 0 ? r : HF_STEP_ASK;
}

/* One address a line. */
static int take_listeners(HfPlan *plan, const HfAnswer *answer, HfText *error)
{
    HF_CLEANUP_FREE char *copy = strdup(answer->output);
    char *rest = copy;

    if (!copy)
        return -ENOMEM;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
        HfListenerSpec spec;
        hf_listener_spec_init(&spec);
        int r = hf_address_parse(line, &spec.address);
        if (r >= 0)
            r = hf_plan_want(plan, &spec, NULL);
        if (r < 0) {
            hf_text_addf(error, "the toy listens at no address: %s", line);
            return r;
        }
    }
    return HF_STEP_BIND;
}

static int discover(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret, HfText *error)
{
    HfPlan *plan = discovery->plan;

    switch (discovery->step++) {
    case 0:
        plan->readiness = HF_READINESS_PIDFILE;
        int r = hf_strv_copy(discovery->settings->command, &plan->arguments);
        return r < 0 ? r : ask(plan, "--where", ret);
    case 1:
        return take_listeners(plan, answer, error);
    case 2:
        return ask(plan, "--test", ret);
    default:
        if (answer->status == 0)
            return HF_STEP_DONE;
        hf_text_addf(error, "the toy rejects its settings: %s", answer->output);
        return -EBADMSG;
    }
}

static int overlay(const HfPlan *plan, const char *pid_file, const char *statuses, HfText *text)
{
    (void)plan, (void)statuses;
    hf_text_addf(text, "%s\n", pid_file);
    return 0;
}

static const char *const overlay_arguments[] = {"--overlay", NULL};

static const HfAdapter adapter_toy = {
    .name = "toy",
    .program = "toy_server",
    .handoff = &handoff_toy,
    .stop_signal = SIGTERM,
    .finds_listeners = true,
    .discover = discover,
    .overlay = overlay,
    .overlay_arguments = overlay_arguments,
};

/* In the place of service/table.c. */
const HfAdapter *const hf_adapters[] = {
    &hf_adapter_php_fpm, &adapter_toy, &hf_adapter_php_cgi, &hf_adapter_generic, NULL,
};

const HfHandoff *const hf_handoffs[] = {
    &hf_handoff_listen_fds, &hf_handoff_php_fpm,        &hf_handoff_stdin,
    &handoff_toy,           &hf_handoff_server_starter, NULL,
};
