/* SPDX-License-Identifier: MIT */
#include "parts/trial/trial_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"
#include "kernel/notify_socket.h"
#include "loop/output.h"
#include "loop/reaper.h"
#include "parts/probe/request.h"
#include "run/generation.h"
#include "run/inputs.h"

#define OUTPUT_MAX      (64U * 1024)
#define COMPLAINT_LINES 20
#define SOCKET_MODE     0600 /* only our own user may connect */

/* Private sockets in place of the plan's listeners and in their order. */
typedef struct StandIns {
    HfListener **listeners; /* owned */
    size_t n;
} StandIns;

struct HfCanary {
    sd_event *loop;
    HfReaper *reaper;
    HfRuntime runtime; /* borrowed, except for notify */
    const HfSettings *settings;
    HfPlan *plan;
    StandIns standins;
    size_t asked; /* listener asked now or last */
    HfOutput *output;
    int notify; /* notify socket */
    sd_event_source *notified;
    HfGeneration *generation;
    bool ready;
    HfRequest *request;
    HfProcessSet *members; /* being ended */
    bool ends;
    sd_event_source *deadline; /* for the whole canary */
    sd_event_source *gone;
    int result;
    HfText error;
    HfCanaryCallback callback;
    void *userdata;
};

static void canary_free(HfCanary *canary)
{
    hf_process_set_free(canary->members);
    sd_event_source_disable_unref(canary->deadline);
    sd_event_source_disable_unref(canary->gone);
    sd_event_source_disable_unref(canary->notified);
    hf_request_abort(canary->request);
    hf_generation_free(canary->generation);
    hf_output_free(canary->output);
    hf_fd_close(canary->notify);
    if (canary->runtime.notify && !canary->runtime.in_memory)
        unlink(canary->runtime.notify);
    free(canary->runtime.notify);
    hf_listener_array_clear(&canary->standins.listeners, &canary->standins.n);
    hf_plan_unref(canary->plan);
    hf_text_clear(&canary->error);
    free(canary);
}

HfCanary *hf_canary_abort(HfCanary *canary)
{
    if (!canary)
        return NULL;
    canary->ends = true;
    if (canary->generation)
        hf_generation_signal(canary->generation, HF_STAGE_KILL, 0);
    canary_free(canary);
    return NULL;
}

/* ---- the end ---- */

static int on_gone_at_last(sd_event_source *source, void *userdata)
{
    HfCanary *canary = userdata;
    HfText error = canary->error;
    int r = canary->result;
    HfCanaryCallback callback = canary->callback;
    void *callback_data = canary->userdata;

    (void)source;
    canary->error = (HfText){0};
    canary_free(canary);
    callback(r, hf_text_peek(&error), callback_data);
    hf_text_clear(&error);
    return 0;
}

/* A generation must not be freed from within its own callback. */
static void leave_later(HfCanary *canary)
{
    sd_event_source_set_enabled(canary->gone, SD_EVENT_ONESHOT);
}

/* Its own process set also waits for processes that we cannot end. */
static void on_members_ended(void *userdata)
{
    HfCanary *canary = userdata;

    if (hf_process_set_left_some(canary->members))
        leave_later(canary);
}

static int is_of_canary(pid_t pid, const void *wanted)
{
    const HfGeneration *generation = ((const HfCanary *)wanted)->generation;

    if (!generation->main_exited && pid == generation->main.pid)
        return 1; /* even before it has executed the service */
    return hf_members_counts(pid, &generation->members);
}

/* As long as it can, the main process ends the others. */
static int signal_for_one(pid_t pid, int signal, void *userdata)
{
    const HfGeneration *generation = ((const HfCanary *)userdata)->generation;

    if (signal == SIGKILL || (!generation->main_exited && pid == generation->main.pid))
        return signal;
    return generation->main_exited ? SIGTERM : 0;
}

/* It has nothing to finish. */
static void end_canary(HfCanary *canary, int signal)
{
    const HfEscalation escalation = {.first = signal, .patience = HF_KILL_INTERVAL};

    canary->ends = true;
    sd_event_source_set_enabled(canary->deadline, SD_EVENT_OFF);
    hf_process_set_end(canary->members, &escalation);
}

/* Adds the service's own output to the reason. */
static void conclude(HfCanary *canary)
{
    HfOutput *output = canary->output;
    HF_CLEANUP_TEXT HfText complaint = {0};

    canary->result = -EBADMSG;
    canary->request = hf_request_abort(canary->request);
    hf_output_read(output);
    if (!canary->plan->adapter->complain) {
        hf_output_show(hf_text_peek(&output->text), output->text.length, &canary->error);
        return;
    }
    canary->plan->adapter->complain(hf_text_peek(&output->text), output->text.length,
                                    COMPLAINT_LINES, &complaint);
    if (complaint.length > 0)
        hf_text_addf(&canary->error, ":\n%s", hf_text_peek(&complaint));
}

static void end_badly(HfCanary *canary)
{
    conclude(canary);
    end_canary(canary, SIGTERM);
}

static void on_spawn_failed(HfCanary *canary)
{
    if (!canary->ends)
        hf_text_addf(&canary->error, "the canary cannot be started: %s",
                     canary->generation->failure);
    canary->result = -EBADMSG;
    leave_later(canary);
}

static void on_main_exited(HfCanary *canary)
{
    if (canary->ends)
        return;
    hf_text_add(&canary->error, "the canary ");
    hf_generation_explain_status(canary->generation, &canary->error);
    end_badly(canary); /* ends the remaining processes */
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfCanary *canary = userdata;

    (void)source;
    (void)usec;
    hf_text_add(&canary->error,
                canary->ready ? "the canary did not answer in " : "the canary was not ready in ");
    hf_text_add_time(&canary->error, canary->settings->ready_timeout);
    end_badly(canary);
    return 0;
}

/* ---- the questions ---- */

/* The next listener that serves requests, unlike that of pm.status_listen; canary->standins.n:
 * none. */
static size_t next_serving(const HfCanary *canary, size_t from)
{
    while (from < canary->standins.n &&
           (canary->plan->wanted[from].status || canary->plan->listeners[from]->bound.type != 0))
        from++;
    return from;
}

static int ask_standin(HfCanary *canary);

static void on_canary_reply(const HfReply *reply, void *userdata)
{
    HfCanary *canary = userdata;
    const char *label = canary->plan->listeners[canary->asked]->label;

    canary->request = NULL;
    if (reply->result < 0) {
        hf_text_addf(&canary->error, "the canary of %s is unhealthy: %s", label, reply->error);
        end_badly(canary);
        return;
    }
    size_t next = next_serving(canary, canary->asked + 1);
    if (next == canary->standins.n) {
        end_canary(canary, canary->plan->stop_signal);
        return;
    }
    canary->asked = next;
    int r = ask_standin(canary);
    if (r < 0) {
        hf_text_addf(&canary->error, "the canary cannot be asked: %s", strerror(-r));
        end_badly(canary);
    }
}

static int ask_standin(HfCanary *canary)
{
    const HfSettings *settings = canary->settings;
    const HfAddress *address = &canary->standins.listeners[canary->asked]->spec.address;
    HF_CLEANUP_TEXT HfText entry = {0};
    struct sockaddr_storage sockaddr;
    socklen_t length;

    hf_text_addf(&entry, "HOLDFAST_CANARY_ADDRESS=unix:%s", address->name);
    const char *const more[] = {hf_text_peek(&entry), NULL};
    const HfProbe probe = hf_plan_probe(canary->plan, canary->asked, address, &settings->canary);
    const HfRequestSpec question = {
        .kind = probe.kind,
        .what = probe.what,
        .root = settings->document_root,
        .headers = (const char *const *)settings->http_headers,
        .reaper = canary->reaper,
        .directory = canary->plan->directory,
        .environment = more,
        .timeout = settings->ready_timeout,
    };
    int r = hf_address_to_sockaddr(address, &sockaddr, &length);
    return r < 0 ? r
                 : hf_request_start(canary->loop, &question, (const struct sockaddr *)&sockaddr,
                                    length, on_canary_reply, canary, &canary->request);
}

static void on_ready(HfCanary *canary)
{
    if (canary->ready || canary->ends)
        return;
    canary->ready = true;
    int r = ask_standin(canary);
    if (r < 0) {
        hf_text_addf(&canary->error, "the canary cannot be asked: %s", strerror(-r));
        end_badly(canary);
    }
}

static void on_happened(HfGeneration *generation, HfEventType event, void *userdata)
{
    (void)generation;
    if (event == HF_EVENT_SPAWN_FAILED)
        on_spawn_failed(userdata);
    else if (event == HF_EVENT_READY)
        on_ready(userdata);
    else if (event == HF_EVENT_MAIN_EXITED)
        on_main_exited(userdata);
    else
        leave_later(userdata);
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfCanary *canary = userdata;

    (void)source;
    (void)revents;
    hf_inputs_canary(canary->generation, canary->settings->notify_access, fd);
    return 0;
}

static void on_last_words(HfGeneration *generation, void *userdata)
{
    HfCanary *canary = userdata;

    hf_inputs_canary(generation, canary->settings->notify_access, canary->notify);
}

/* ---- the start ---- */

static int bind_standin(const HfRuntime *runtime, size_t number, int type, HfListener **ret,
                        HfText *error)
{
    HfListenerSpec spec;

    hf_listener_spec_init(&spec);
    spec.mode = SOCKET_MODE;
    int r = hf_runtime_canary(runtime, number, &spec.address);
    spec.address.type = type;
    return r < 0 ? r : hf_listener_bind(&spec, false, ret, error);
}

static int bind_standins(HfCanary *canary, HfText *error)
{
    StandIns *standins = &canary->standins;
    size_t n = canary->plan->n_listeners;

    standins->listeners = hf_allocate(n + 1, sizeof(HfListener *));
    if (!standins->listeners)
        return -ENOMEM;
    while (standins->n < n) {
        int r = bind_standin(&canary->runtime, standins->n,
                             canary->plan->listeners[standins->n]->bound.type,
                             &standins->listeners[standins->n], error);
        if (r < 0)
            return r;
        standins->n++;
    }
    canary->asked = next_serving(canary, 0);
    if (canary->asked < n)
        return 0;
    hf_text_add(error, "the service has no socket to be asked at; add --listen=ADDR");
    return -ENODATA;
}

static int listen_to_it(HfCanary *canary)
{
    int r = hf_runtime_file(&canary->runtime, 0, "notify", &canary->runtime.notify);
    if (r >= 0)
        r = canary->notify = hf_notifysocket_open(canary->runtime.notify);
    if (r >= 0)
        r = sd_event_add_io(canary->loop, &canary->notified, canary->notify, EPOLLIN, on_notify,
                            canary);
    if (r >= 0)
        r = sd_event_add_defer(canary->loop, &canary->gone, on_gone_at_last, canary);
    if (r >= 0)
        r = sd_event_source_set_enabled(canary->gone, SD_EVENT_OFF);
    uint64_t timeout = canary->settings->ready_timeout;
    if (r >= 0)
        r = sd_event_add_time_relative(canary->loop, &canary->deadline, CLOCK_MONOTONIC, timeout,
                                       HF_LOOP_ACCURACY(timeout), on_deadline, canary);
    return r;
}

static int spawn(HfCanary *canary, HfText *error)
{
    HF_CLEANUP_FD int writing = -1;
    const HfGenerationCallbacks callbacks = {
        .happened = on_happened,
        .last_words = on_last_words,
        .userdata = canary,
    };

    int r = hf_output_open(canary->loop, OUTPUT_MAX, &canary->output, &writing);
    if (r < 0)
        return r;
    const HfProcessSetSpec spec = {
        .loop = canary->loop,
        .match = is_of_canary,
        .wanted = canary,
        .who = "the canary",
        .signal_for = signal_for_one,
        .gone = on_members_ended,
        .userdata = canary,
    };
    r = hf_process_set_new(&spec, &canary->members);
    if (r < 0)
        return r;
    const HfStandIn stand_in = {.listeners = canary->standins.listeners, .output = writing};
    return hf_generation_spawn(canary->loop, canary->reaper, &canary->runtime, canary->plan, 0, 0,
                               0, HF_CAUSE_RELOAD, &stand_in, &callbacks, &canary->generation,
                               error);
}

int hf_canary_start(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime,
                    const HfSettings *settings, HfPlan *plan, HfCanaryCallback callback,
                    void *userdata, HfCanary **ret, HfText *error)
{
    HfCanary *canary = hf_allocate(1, sizeof(*canary));
    if (!canary)
        return -ENOMEM;
    *canary = (HfCanary){
        .loop = loop,
        .reaper = reaper,
        .runtime = *runtime,
        .settings = settings,
        .plan = hf_plan_ref(plan),
        .notify = -1,
        .callback = callback,
        .userdata = userdata,
    };
    canary->runtime.notify = NULL;
    int r = bind_standins(canary, error);
    if (r >= 0)
        r = listen_to_it(canary);
    if (r >= 0)
        r = spawn(canary, error);
    if (r < 0) {
        canary_free(canary);
        return r;
    }
    *ret = canary;
    return 0;
}
