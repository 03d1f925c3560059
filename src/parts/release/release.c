/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/sock_diag.h"
#include "loop/reaper.h"
#include "parts.h"
#include "run/supervisor.h"

/* Nothing tells when a queue is empty. */
static int look_again(sd_event_source *timer, uint64_t usec)
{
    int r = sd_event_source_set_time_relative(timer, usec);

    return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- a side that was switched from ---- */

#define SIDE_TIME      (5 * HF_USEC_PER_MSEC)
#define SIDE_TIME_MAX  (100 * HF_USEC_PER_MSEC) /* a handshake is looked for in the whole table */
#define CALM           2 /* empty looks in a row, as other processors may still be busy */
#define HANDSHAKES_MAX 4096

typedef struct SideWatch {
    HfSupervisor *supervisor;
    sd_event_source *timer;
    HfEvent event;        /* posted at the end */
    uint64_t *handshakes; /* peers of handshakes that had begun at the start */
    size_t n;
    size_t capacity;
    bool more; /* there were more */
    unsigned calm;
    uint64_t pause;
} SideWatch;

/* Accepts and returns NULL. */
static SideWatch *free_side(SideWatch *watch)
{
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->timer);
    free(watch->handshakes);
    free(watch);
    return NULL;
}

static bool is_of_generation(const SideWatch *watch, const struct sockaddr_storage *address)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    const in_port_t port = ((const struct sockaddr_in *)address)->sin_port; /* IPv6: as well */

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++)
        if (hf_address_is_tcp(&generation->listeners[i]->bound) &&
            htons(generation->listeners[i]->bound.port) == port)
            return true;
    return false;
}

static bool note_handshake(const HfSockDiag *socket, void *userdata)
{
    SideWatch *watch = userdata;

    if (!is_of_generation(watch, &socket->address))
        return true;
    watch->more = watch->n == HANDSHAKES_MAX ||
                  hf_array_reserve(&watch->handshakes, &watch->capacity, watch->n + 1,
                                   sizeof(*watch->handshakes)) < 0;
    if (!watch->more)
        watch->handshakes[watch->n++] = socket->peer;
    return !watch->more;
}

typedef struct Search {
    const SideWatch *watch;
    bool found;
} Search;

static bool find_handshake(const HfSockDiag *socket, void *userdata)
{
    Search *search = userdata;

    for (size_t i = 0; i < search->watch->n && !search->found; i++)
        search->found = search->watch->handshakes[i] == socket->peer;
    return !search->found;
}

/* Visits handshakes of the families that the generation's TCP listeners have: once for all of them,
 * as the kernel goes through its whole table each time. */
static void visit_handshakes(const SideWatch *watch, HfSockDiagVisit visit, void *userdata)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    bool v4 = false;
    bool v6 = false;

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++) {
        const HfAddress *bound = &generation->listeners[i]->bound;
        v4 |= hf_address_is_tcp(bound);
        v6 |= hf_address_is_tcp(bound) && bound->kind != HF_ADDRESS_INET;
    }
    if (v4)
        hf_sock_diag_tcp(AF_INET, 0, UINT32_C(1) << TCP_SYN_RECV, visit, userdata);
    if (v6)
        hf_sock_diag_tcp(AF_INET6, 0, UINT32_C(1) << TCP_SYN_RECV, visit, userdata);
}

static bool waits_at_side(const SideWatch *watch)
{
    const HfGeneration *generation = watch->supervisor->generations[watch->event.slot];
    Search search = {.watch = watch, .found = watch->more};
    HfQueue queue;

    for (size_t i = 0; generation && i < generation->plan->n_listeners; i++) {
        HfListener *listener = generation->listeners[i];
        unsigned side = hf_listener_has_sides(listener) ? generation->side : listener->side;
        if (hf_listener_queue(listener, side, &queue) >= 0 && queue.depth > 0)
            return true;
    }
    if (watch->n > 0 && !search.found)
        visit_handshakes(watch, find_handshake, &search);
    return search.found;
}

static int on_look_at_side(sd_event_source *source, uint64_t usec, void *userdata)
{
    SideWatch *watch = userdata;
    bool waits = waits_at_side(watch);

    (void)source;
    (void)usec;
    watch->calm = waits ? 0 : watch->calm + 1;
    if (waits && watch->n > 0 && watch->pause * 2 <= SIDE_TIME_MAX)
        watch->pause *= 2;
    if (watch->calm == CALM || look_again(watch->timer, watch->pause) < 0)
        hf_supervisor_post(watch->supervisor, &watch->event);
    return 0;
}

static int begin_watch(HfSupervisor *supervisor, const HfEvent *event, SideWatch **ret)
{
    SideWatch *watch = *ret = hf_allocate(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->supervisor = supervisor;
    watch->event = *event;
    watch->pause = SIDE_TIME;
    visit_handshakes(watch, note_handshake, watch);
    return sd_event_add_time_relative(supervisor->loop, &watch->timer, CLOCK_MONOTONIC, SIDE_TIME,
                                      HF_LOOP_ACCURACY(SIDE_TIME), on_look_at_side, watch);
}

/* Performs WATCH_SIDE; *watch belongs to the action's slot. */
static void watch_side(HfSupervisor *supervisor, const HfAction *action, SideWatch **watch)
{
    const HfEvent event = {
        .type = HF_EVENT_SIDE_EMPTY, .slot = action->slot, .number = action->number};

    *watch = free_side(*watch);
    if (action->raised && begin_watch(supervisor, &event, watch) < 0)
        hf_supervisor_post(supervisor, &event);
}

/* Answers to callers that wait. */
typedef struct Answers {
    HfAction *list;
    size_t n;
    size_t capacity;
} Answers;

typedef struct HfRelease {
    HfSupervisor *supervisor;
    sd_event_source *timer;      /* for addresses */
    sd_event_source *stop_timer; /* for a stop */
    SideWatch *sides[HF_MACHINE_SLOTS];
    uint64_t asked[HF_MACHINE_SLOTS]; /* to leave: usec, CLOCK_MONOTONIC */
    uint64_t began;                   /* likewise */
    Answers answers;
    HfCapture *complaint; /* in progress */
    HfPlan *plan;         /* its plan, a reference */
    char *failure;        /* the reason known so far */
    Answers failed;       /* what waits for the complaint */
} HfRelease;

/* Returns whether it is kept. */
static bool keep_answer(Answers *answers, const HfAction *answer)
{
    if (answers->n == HF_MACHINE_REQUESTS ||
        hf_array_reserve(&answers->list, &answers->capacity, answers->n + 1, sizeof(*answer)) < 0)
        return false;
    answers->list[answers->n++] = *answer;
    return true;
}

static void answer_all(const HfSupervisor *supervisor, Answers *answers)
{
    HF_CLEANUP_FREE HfAction *list = answers->list;
    size_t n = answers->n;

    *answers = (Answers){0};
    for (size_t i = 0; i < n; i++)
        HF_EACH_PART (supervisor, j, performed)
            supervisor->parts[j]->performed(supervisor->states[j], &list[i]);
}

/* ---- a complaint: if a start was the verdict on a plan, and failed, the service is asked ---- */

#define COMPLAINT_LINES 20

static void clear_complaint(HfRelease *release)
{
    release->complaint = hf_capture_abort(release->complaint);
    release->plan = hf_plan_unref(release->plan);
    free(HF_STEAL(release->failure));
}

/* Answers the callers with everything that is known. */
static void end_complaint(HfRelease *release)
{
    HfSupervisor *supervisor = release->supervisor;
    char *later = HF_STEAL(supervisor->failure);

    supervisor->failure = HF_STEAL(release->failure);
    clear_complaint(release);
    answer_all(supervisor, &release->failed);
    free(supervisor->failure);
    supervisor->failure = later;
}

static void on_words(const HfCaptured *captured, void *userdata)
{
    HfRelease *release = userdata;
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText words = {0};

    release->complaint = NULL;
    if (hf_command_succeeded(captured))
        hf_text_add(&words, "it finds no fault in its configuration; its own log says more");
    else if (captured->error == 0 && !captured->timed_out)
        release->plan->adapter->complain(captured->output, captured->length, COMPLAINT_LINES,
                                         &words);
    if (words.length > 0) {
        hf_log_lines(LOG_ERR, NULL, hf_text_peek(&words));
        hf_text_addf(&text, "%s:\n%s", release->failure, hf_text_peek(&words));
        (void)hf_string_set(&release->failure, hf_text_peek(&text));
    }
    end_complaint(release);
}

static void begin_complaint(HfRelease *release, HfPlan *plan)
{
    HfSupervisor *supervisor = release->supervisor;
    HF_CLEANUP_QUESTION HfQuestion question = {0};

    clear_complaint(release);
    if (hf_string_set(&release->failure, supervisor->failure) < 0 || !release->failure ||
        plan->adapter->verdict(plan, &question) < 0)
        return;
    release->plan = hf_plan_ref(plan);
    if (hf_prepare_put(supervisor->loop, supervisor->reaper, plan, &question, true,
                       supervisor->machine.limits.ready_timeout, on_words, release,
                       &release->complaint) < 0)
        clear_complaint(release);
}

/* Not for a generation that merely was not ready in time: its configuration is fine. */
static void look_for_complaint(HfRelease *release, const HfAction *action)
{
    if (action->type == HF_ACTION_REPORT && action->report == HF_REPORT_RELOAD_FAILED) {
        const HfGeneration *generation = release->supervisor->generations[action->slot];
        if (generation && generation->plan->unproven && !action->timed_out && !generation->failure)
            begin_complaint(release, generation->plan);
    } else if (release->complaint &&
               (action->type == HF_ACTION_PREPARE || action->type == HF_ACTION_UPGRADE ||
                action->type == HF_ACTION_END)) {
        end_complaint(release);
    }
}

/* ---- addresses ---- */

#define LOOK_TIME   (10 * HF_USEC_PER_MSEC)
#define LAZY_TIME   (200 * HF_USEC_PER_MSEC) /* once no caller waits for it */
#define ANSWER_TIME (3 * HF_USEC_PER_SEC)    /* after which the caller is answered anyway */
#define CLOSE_TIME  HF_USEC_PER_SEC /* for a server that was asked to leave to stop accepting */

static bool plan_has(const HfPlan *plan, const HfListener *listener)
{
    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (plan->listeners[i] == listener)
            return true;
    return false;
}

static bool slot_has(const HfSupervisor *supervisor, unsigned slot, const HfListener *listener)
{
    const HfGeneration *generation = supervisor->generations[slot];

    return generation && plan_has(generation->plan, listener);
}

/* Do only leaving generations have it, and may we release it? */
static bool has_left(const HfSupervisor *supervisor, const HfListener *listener)
{
    if (listener->activated || listener->taken || plan_has(supervisor->current, listener) ||
        plan_has(supervisor->prepared, listener))
        return false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(supervisor, i, listener) &&
            !hf_stage_leaves(supervisor->machine.generations[i].stage))
            return false;
    return hf_listener_can_be_released(listener) && !hf_listener_is_lost(listener);
}

/* php-fpm's workers accept until they are asked to leave. If accept(2) fails a worker leaves, and
 * its master, which is stopped or leaving, starts no other. Another server may not cope with such a
 * failure while it finishes requests: it gets time to close its copy first. */
static bool accepts(const HfRelease *release, unsigned slot)
{
    const HfSupervisor *supervisor = release->supervisor;
    HfStage stage = supervisor->machine.generations[slot].stage;

    if (supervisor->generations[slot]->plan->adapter->retires)
        return stage < HF_STAGE_RETIRE;
    return stage < HF_STAGE_STOP || hf_clock_monotonic() < release->asked[slot] + CLOSE_TIME;
}

static bool has_waiting(HfListener *listener)
{
    HfQueue queue;

    HF_EACH_SIDE (listener)
        if (hf_listener_queue(listener, side, &queue) >= 0 && queue.depth > 0)
            return true;
    return false;
}

/* Clients that wait at an unlinked path are still served. */
static bool can_release(const HfRelease *release, HfListener *listener)
{
    if (listener->inodes[listener->side].inode != 0)
        return true;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(release->supervisor, i, listener) && accepts(release, i))
            return false;
    return !has_waiting(listener);
}

/* act: releases those with empty queues. Returns how many are left. */
static size_t survey_addresses(const HfRelease *release, bool act)
{
    const HfSupervisor *supervisor = release->supervisor;
    size_t left = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfPlan *plan = supervisor->generations[i] ? supervisor->generations[i]->plan : NULL;
        for (size_t j = 0; plan && j < plan->n_listeners; j++) {
            HfListener *listener = plan->listeners[j];
            if (!has_left(supervisor, listener))
                continue;
            if (!act || !can_release(release, listener)) {
                left++;
                continue;
            }
            const HfLogFields fields = {.listener = listener->label,
                                        .error = hf_listener_release(listener)};
            if (fields.error < 0)
                hf_log(LOG_WARNING, &fields, "%s stays in use until generation %llu is gone",
                       listener->label, (unsigned long long)supervisor->generations[i]->number);
        }
    }
    return left;
}

static int on_look_at_addresses(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfRelease *release = userdata;
    bool left = survey_addresses(release, true) > 0;

    if (!left || usec >= release->began + ANSWER_TIME)
        answer_all(release->supervisor, &release->answers);
    return left ? look_again(source, release->answers.n > 0 ? LOOK_TIME : LAZY_TIME) : 0;
}

static bool release_holds(void *state, const HfAction *answer)
{
    HfRelease *release = state;

    if (release->complaint && answer->outcome == HF_OUTCOME_FAILED)
        return keep_answer(&release->failed, answer);
    if (answer->outcome != HF_OUTCOME_DONE || survey_addresses(release, false) == 0 ||
        !keep_answer(&release->answers, answer))
        return false;
    release->began = hf_clock_monotonic();
    return true;
}

/* Starts watching for listeners that can be released. */
static void release_stepped(void *state)
{
    HfRelease *release = state;
    int enabled = SD_EVENT_OFF;

    if (survey_addresses(release, false) == 0 ||
        sd_event_source_get_enabled(release->timer, &enabled) < 0 ||
        (enabled == SD_EVENT_OFF && look_again(release->timer, LOOK_TIME) < 0))
        answer_all(release->supervisor, &release->answers);
}

/* ---- before a stop ---- */

static bool somebody_waits(const HfSupervisor *supervisor)
{
    const HfPlan *plan = supervisor->current;

    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (has_waiting(plan->listeners[i]))
            return true;
    return false;
}

static int on_look_at_queues(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    (void)usec;
    if (!somebody_waits(supervisor) || look_again(source, LOOK_TIME) < 0)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED});
    return 0;
}

/* on: watches until the queues are empty. */
static void watch_queues(HfRelease *release, bool on)
{
    HfSupervisor *supervisor = release->supervisor;

    sd_event_source_set_enabled(release->stop_timer, SD_EVENT_OFF);
    if (!on)
        return;
    if (!somebody_waits(supervisor) || look_again(release->stop_timer, LOOK_TIME) < 0) {
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED});
        return;
    }
    hf_log(LOG_NOTICE, NULL,
           "asked to stop: connections that wait in a queue are served first, unless asked again");
}

/* ---- the part ---- */

static void release_detach(void *state)
{
    HfRelease *release = state;

    answer_all(release->supervisor, &release->answers);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        release->sides[i] = free_side(release->sides[i]);
    release->timer = sd_event_source_disable_unref(release->timer);
    release->stop_timer = sd_event_source_disable_unref(release->stop_timer);
}

static void release_clear(void *state)
{
    HfRelease *release = state;

    release_detach(state);
    clear_complaint(release);
    free(release->failed.list);
}

static int add_timer(HfRelease *release, sd_event_source **timer, sd_event_time_handler_t callback,
                     void *userdata)
{
    int r = sd_event_add_time(release->supervisor->loop, timer, CLOCK_MONOTONIC, 0,
                              HF_LOOP_ACCURACY(LOOK_TIME), callback, userdata);
    return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_OFF);
}

static int release_begin(void *state, HfText *error)
{
    HfRelease *release = state;
    HfSupervisor *supervisor = release->supervisor;

    (void)error;
    int r = add_timer(release, &release->timer, on_look_at_addresses, release);
    return r < 0 ? r : add_timer(release, &release->stop_timer, on_look_at_queues, supervisor);
}

static void release_performed(void *state, const HfAction *action)
{
    HfRelease *release = state;

    look_for_complaint(release, action);
    if (action->type == HF_ACTION_SIGNAL && action->stage == HF_STAGE_STOP)
        release->asked[action->slot] = hf_clock_monotonic();
    if (action->type == HF_ACTION_WATCH_QUEUE)
        watch_queues(state, action->raised);
    else if (action->type == HF_ACTION_WATCH_SIDE)
        watch_side(release->supervisor, action, &release->sides[action->slot]);
    else if (action->type == HF_ACTION_UPGRADE || action->type == HF_ACTION_END)
        answer_all(release->supervisor, &release->answers);
}

const HfPart hf_part_release = {
    .name = "release",
    .state_size = sizeof(HfRelease),
    .begin = release_begin,
    .holds = release_holds,
    .performed = release_performed,
    .stepped = release_stepped,
    .detach = release_detach,
    .clear = release_clear,
};
