#include "run/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "config/names.h"
#include "parts/control/control.h"
#include "parts/events/hooks.h"
#include "parts/events/sd_notify.h"
#include "parts/fallback/outage.h"
#include "parts/inherit/orphans.h"
#include "parts/survive/fd_store.h"
#include "parts/survive/upgrade.h"
#include "parts/watch/queue_watch.h"
#include "run/actions.h"
#include "run/activated.h"
#include "run/final_kill.h"
#include "run/inputs.h"
#include "run/instance.h"
#include "run/pid_file.h"
#include "run/reconfigure.h"
#include "run/stop_delay.h"

#define TERM_TIMEOUT    (5 * HF_USEC_PER_SEC)
#define KILL_INTERVAL   (1 * HF_USEC_PER_SEC)
#define STABLE_TIME     (10 * HF_USEC_PER_SEC)
#define SETTLE_TIME     (100 * HF_USEC_PER_MSEC)
#define PROBE_DOUBLINGS 6 /* 64 times as many failures */
#define RETIRE_TIME     (500 * HF_USEC_PER_MSEC)

/* What a service may say as often as it likes waits once for each generation; the last one counts.
 */
static bool merge_event(HfSupervisor *supervisor, const HfEvent *event)
{
    if (event->type != HF_EVENT_READY && event->type != HF_EVENT_LEAVING &&
        event->type != HF_EVENT_EXTEND)
        return false;
    for (size_t i = 0; i < supervisor->n_events; i++) {
        HfEvent *waiting =
            &supervisor->events[(supervisor->first_event + i) % HF_SUPERVISOR_EVENTS];
        if (waiting->type == event->type && waiting->slot == event->slot) {
            *waiting = *event;
            return true;
        }
    }
    return false;
}

void hf_supervisor_post(HfSupervisor *supervisor, const HfEvent *event)
{
    if (merge_event(supervisor, event))
        return;
    assert(supervisor->n_events < HF_SUPERVISOR_EVENTS);
    size_t last = (supervisor->first_event + supervisor->n_events) % HF_SUPERVISOR_EVENTS;
    supervisor->events[last] = *event;
    supervisor->n_events++;
    sd_event_source_set_enabled(supervisor->step, SD_EVENT_ON);
}

static void trace(const HfEvent *event, const HfActions *actions, HfPhase phase)
{
    HF_CLEANUP_TEXT HfText text = {0};

    for (size_t i = 0; i < actions->n; i++)
        hf_text_addf(&text, " %s", hf_action_name(actions->list[i].type));
    hf_log(LOG_DEBUG, NULL, "event %s of slot %u:%s; %s now", hf_event_name(event->type),
           event->slot, actions->n > 0 ? hf_text_peek(&text) : " nothing", hf_phase_name(phase));
}

static int on_step(sd_event_source *source, void *userdata)
{
    HfSupervisor *supervisor = userdata;
    HfActions *actions = &supervisor->actions;

    while (supervisor->n_events > 0) {
        HfEvent event = supervisor->events[supervisor->first_event];
        supervisor->n_events--;
        supervisor->first_event = (supervisor->first_event + 1) % HF_SUPERVISOR_EVENTS;
        if (supervisor->n_events == 0) /* so that the usual few touch no more memory */
            supervisor->first_event = 0;
        hf_machine_step(&supervisor->machine, &event, actions);
        supervisor->steps++;
        if (supervisor->settings->log_level == HF_LOG_LEVEL_DEBUG)
            trace(&event, actions, supervisor->machine.phase);
        for (size_t i = 0; i < actions->n; i++)
            hf_actions_perform(supervisor, &actions->list[i]);
    }
    hf_fd_store_sync(supervisor->store);
    malloc_trim(0); /* what a preparation took is not needed again soon */
    hf_sd_notify_state(supervisor);
    hf_control_update(supervisor->control);
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

bool hf_supervisor_waits_longer(const HfSupervisor *supervisor, HfTimer timer, unsigned slot,
                                uint64_t usec)
{
    sd_event_source *source = supervisor->timers[timer][slot];
    uint64_t now;
    uint64_t end;

    return source && sd_event_source_get_time(source, &end) >= 0 &&
           sd_event_now(supervisor->loop, CLOCK_MONOTONIC, &now) >= 0 && end > now &&
           end - now > usec;
}

HfGeneration *hf_supervisor_find(const HfSupervisor *supervisor, pid_t pid)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfGeneration *generation = supervisor->generations[i];
        if (generation && !generation->main_exited && generation->main.pid == pid)
            return generation;
    }
    return NULL;
}

HfGeneration *hf_supervisor_active(const HfSupervisor *supervisor)
{
    int slot = hf_machine_find(&supervisor->machine, HF_GENERATION_ACTIVE);

    return slot >= 0 ? supervisor->generations[slot] : NULL;
}

void hf_supervisor_set_failure(HfSupervisor *supervisor, const char *text)
{
    if (hf_string_set(&supervisor->failure, text) < 0)
        hf_string_set(&supervisor->failure, NULL);
}

static void on_probed(unsigned slot, HfVerdict verdict, const char *text, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    if (hf_string_set(&supervisor->finding, text) < 0)
        hf_string_set(&supervisor->finding, NULL);
    hf_supervisor_post(supervisor,
                       &(HfEvent){.type = HF_EVENT_PROBED, .slot = slot, .verdict = verdict});
}

static int set_up(HfSupervisor *supervisor, HfInstance *start, HfText *error)
{
    int r = hf_process_raise_files(); /* a listener, a member and a caller each take one */
    if (r >= 0)
        r = hf_runtime_name(supervisor->name, &supervisor->runtime);
    if (r >= 0)
        r = hf_instance_begin(supervisor, start, error);
    if (r >= 0)
        r = hf_cgroups_find(supervisor->name, supervisor->settings->cgroup == HF_CGROUP_USE_AUTO,
                            &supervisor->runtime.cgroups);
    if (r < 0)
        return r;
    r = sd_event_new(&supervisor->loop);
    if (r >= 0)
        r = sd_event_add_defer(supervisor->loop, &supervisor->step, on_step, supervisor);
    if (r >= 0) /* before any other source: what waits is decided before more is taken */
        r = sd_event_source_set_priority(supervisor->step, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = sd_event_source_set_enabled(supervisor->step, SD_EVENT_OFF);
    if (r >= 0)
        r = hf_inputs_new(supervisor, hf_fd_steal(&start->snapshot.notify_fd), &supervisor->watch);
    if (r >= 0)
        r = hf_reaper_new(supervisor->loop, &supervisor->reaper);
    if (r >= 0)
        r = hf_control_new(supervisor, hf_fd_steal(&start->snapshot.control_fd),
                           &supervisor->control);
    if (r >= 0)
        r = hf_hooks_new(supervisor, &supervisor->hooks);
    if (r >= 0)
        r = hf_queue_watch_new(supervisor, &supervisor->queuewatch);
    if (r >= 0)
        r = hf_upgrading_new(supervisor, &supervisor->upgrading);
    if (r >= 0)
        r = hf_memory_watch_new(supervisor, &supervisor->oversize);
    if (r >= 0)
        r = hf_health_new(supervisor->loop, supervisor->reaper, supervisor->name, on_probed,
                          supervisor, &supervisor->health);
    if (r >= 0)
        r = hf_fd_store_new(supervisor, &supervisor->store);
    if (r >= 0)
        r = hf_sd_notify_watchdog(supervisor);
    if (r >= 0)
        r = hf_instance_end(supervisor, start, error);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "the instance cannot be set up: %s", strerror(-r));
    return r;
}

/* Everything that has to do with the service; harmless when repeated. */
static void let_go(HfSupervisor *supervisor)
{
    hf_fd_store_leave();
    hf_pid_file_remove(supervisor);
    supervisor->takeover = hf_takeover_free(supervisor->takeover);
    supervisor->strays = hf_orphans_free(supervisor->strays);
    supervisor->farewell = hf_stop_delay_free(supervisor->farewell);
    hf_outage_end(supervisor);
    supervisor->health = hf_health_free(supervisor->health);
    supervisor->oversize = hf_memory_watch_free(supervisor->oversize);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        supervisor->generations[i] = hf_generation_free(supervisor->generations[i]);
    for (unsigned timer = 0; timer < HF_TIMER_MAX_; timer++)
        for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
            supervisor->timers[timer][i] =
                sd_event_source_disable_unref(supervisor->timers[timer][i]);
    supervisor->prepare = hf_prepare_abort(supervisor->prepare);
    supervisor->leftovers = hf_final_kill_free(supervisor->leftovers);
    supervisor->prepared = hf_plan_unref(supervisor->prepared);
    supervisor->current = hf_plan_unref(supervisor->current);
    hf_listener_array_clear(&supervisor->received, &supervisor->n_received);
    hf_listener_array_clear(&supervisor->kept, &supervisor->n_kept);
}

static void tear_down(HfSupervisor *supervisor)
{
    let_go(supervisor);
    hf_outage_await(supervisor);
    hf_relays_await(&supervisor->relays);
    hf_upgrading_free(supervisor->upgrading);
    hf_fd_store_free(supervisor->store);
    hf_queue_watch_free(supervisor->queuewatch);
    hf_hooks_free(supervisor->hooks);
    hf_inputs_free(supervisor->watch);
    hf_reaper_free(supervisor->reaper);
    hf_runtime_release(&supervisor->runtime);
    hf_control_free(supervisor->control); /* who asked for the stop sees by it that all is let go */
    sd_event_source_disable_unref(supervisor->step);
    sd_event_unref(supervisor->loop);
    hf_reconfigure_clear(supervisor);
    free(supervisor->failure);
    free(supervisor->finding);
    free(supervisor->told);
    hf_history_clear(&supervisor->history);
    hf_notices_clear(&supervisor->notices);
}

static void on_told(void *userdata)
{
    HfSupervisor *supervisor = userdata;

    sd_event_exit(supervisor->loop, supervisor->status);
}

void hf_supervisor_exit(HfSupervisor *supervisor, int status)
{
    let_go(supervisor);
    supervisor->status = status;
    if (hf_hooks_finish(supervisor->hooks, on_told, supervisor) < 0)
        on_told(supervisor);
}

_Static_assert(HF_DRAINING_MAX == HF_MACHINE_DRAINING_MAX, "the machine has room for them");

void hf_supervisor_make_limits(const HfSettings *settings, const HfSettings *before,
                               HfMachineLimits *ret)
{
    /* it is the generation before that is let go, the new one has to stand beside it */
    bool gentle = settings->handover == HF_HANDOVER_GENTLE &&
                  hf_settings_adapter(settings) == HF_ADAPTER_PHP_FPM &&
                  (!before || hf_settings_adapter(before) == HF_ADAPTER_PHP_FPM);

    *ret = (HfMachineLimits){
        .ready_timeout = settings->ready_timeout,
        .drain_timeout = settings->drain_timeout,
        .term_timeout = TERM_TIMEOUT,
        .kill_interval = KILL_INTERVAL,
        .backoff_max = settings->backoff_max,
        .stable_time = STABLE_TIME,
        .gentle = gentle,
        .settle_time = SETTLE_TIME,
        .retire_time = RETIRE_TIME,
        .busy_after = settings->busy_after,
        .probe_every = settings->probe.kind == HF_PROBE_NONE ? 0 : settings->probe_every,
        .probe_failures = (unsigned)settings->probe_failures,
        .probe_hung = hf_health_hung_probes(settings),
        .probe_doublings = PROBE_DOUBLINGS,
        .recycle_every = settings->recycle_every == HF_USEC_INFINITY ? 0 : settings->recycle_every,
        .max_draining = (unsigned)settings->max_draining,
    };
}

int hf_supervisor_run(const HfCommandLine *line)
{
    HF_CLEANUP_FREE char *name = NULL;
    HF_CLEANUP_TEXT HfText error = {0};
    HF_CLEANUP_START HfInstance start = {0};
    static HfSupervisor
        instance; /* its rings are hardly touched: on the heap they would be cleared */
    HfSupervisor *supervisor = &instance;
    const HfSettings *settings = &line->settings;
    HfMachineLimits limits;

    if (hf_name_of_instance(settings, &name) < 0) {
        hf_log(LOG_ERR, NULL, "out of memory");
        return EXIT_FAILURE;
    }
    hf_log_setup(name, hf_log_priority(settings->log_level), settings->log_format);
    supervisor->line = line;
    supervisor->settings = settings;
    supervisor->name = name;
    supervisor->runtime.lock = -1;
    supervisor->answerer = HF_PROCESS_NONE;
    supervisor->dismissed = HF_PROCESS_NONE;
    supervisor->service_status = -1;
    supervisor->answerer_released = -1;
    hf_supervisor_make_limits(settings, NULL, &limits);
    hf_machine_init(&supervisor->machine, &limits);
    hf_snapshot_init(&start.snapshot);
    int status = EXIT_FAILURE;
    int r = set_up(supervisor, &start, &error);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", error.length > 0 ? hf_text_peek(&error) : strerror(-r));
    } else {
        r = sd_event_loop(supervisor->loop);
        status = r < 0 ? EXIT_FAILURE : r;
    }
    tear_down(supervisor);
    return status;
}
