/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/memory.h"
#include "parts/survive/survive_parts.h"
#include "run/actions.h"
#include "run/pid_file.h"

typedef struct HfSurvive {
    HfSupervisor *supervisor;
    HfPredecessor before;
    HfFdStore *store; /* NULL: none */
    HfUpgrading *upgrading;
} HfSurvive;

static int survive_verb(const HfCommandLine *line, const HfPart *const *parts)
{
    (void)parts;
    if (line->verb != HF_VERB_RUN || hf_reexec_mode() != HF_SELF_TESTED)
        return -1;
    HF_CLEANUP_FD int fd = hf_reexec_take_snapshot();
    return hf_adoption_test(&line->settings, fd);
}

static void survive_clear(void *state)
{
    HfSurvive *survive = state;

    hf_upgrading_free(survive->upgrading);
    hf_fdstore_free(survive->store);
    hf_snapshot_clear(&survive->before.snapshot);
}

static int survive_begin(void *state, HfText *error)
{
    HfSurvive *survive = state;
    HfSupervisor *supervisor = survive->supervisor;

    hf_snapshot_init(&survive->before.snapshot);
    int r = hf_upgrading_new(supervisor, &survive->upgrading);
    if (r < 0 || hf_reexec_mode() != HF_SELF_RESUMED)
        return r;
    HF_CRASH_POINT("upgrade-executed");
    supervisor->first = HF_EVENT_RESUME;
    HF_CLEANUP_FD int fd = hf_reexec_take_snapshot();
    return hf_adoption_read(fd, &survive->before.snapshot, &supervisor->notes, error);
}

static int survive_claimed(void *state, HfText *error)
{
    HfSurvive *survive = state;

    HF_CRASH_POINT("adopt-claimed");
    int r = hf_fdstore_new(survive->supervisor, &survive->store);
    return r < 0 ? r : hf_adoption_find(survive->supervisor, &survive->before, error);
}

/* What depends on the process: systemd expects READY=1 again, and the user's pid file our pid. */
static void adapt_to_process(HfSupervisor *supervisor)
{
    int active = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    hf_string_set(&supervisor->pid_file, NULL);
    if (active >= 0 && supervisor->generations[active])
        hf_pid_file_write(supervisor, supervisor->generations[active]->plan);
}

static int survive_begun(void *state, HfText *error)
{
    HfSurvive *survive = state;
    HfSupervisor *supervisor = survive->supervisor;

    hf_fdstore_continue(survive->store, survive->before.sequence);
    if (supervisor->first == HF_EVENT_START)
        return 0;
    HF_CRASH_POINT("restore");
    int r = hf_adoption_restore(supervisor, &survive->before.snapshot,
                                hf_actions_callbacks(supervisor), error);
    hf_reaper_sweep(supervisor->reaper); /* children that ended meanwhile */
    if (r >= 0 && supervisor->first == HF_EVENT_ADOPT)
        adapt_to_process(supervisor);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "what the previous holdfast left cannot be taken over: %s",
                     strerror(-r));
    HF_CRASH_POINT("restored");
    return r;
}

static int survive_offer(void *state, HfPlan *plan, HfOffer *offer, HfText *error)
{
    const HfPredecessor *before = &((const HfSurvive *)state)->before;

    (void)plan;
    (void)error;
    return hf_offer_add(offer, before->restored, before->n_restored);
}

static void drop_restored(HfSurvive *survive)
{
    hf_listener_array_clear(&survive->before.restored, &survive->before.n_restored);
}

static void sync_store(HfSurvive *survive)
{
    hf_fdstore_sync(survive->store, survive->before.restored, survive->before.n_restored);
}

static void leave_store(HfSurvive *survive)
{
    hf_fdstore_leave(survive->store, survive->before.restored, survive->before.n_restored);
}

static void survive_performed(void *state, const HfAction *action)
{
    HfSurvive *survive = state;

    if (action->type == HF_ACTION_COMMIT)
        drop_restored(survive);
    else if (action->type == HF_ACTION_SPAWN || action->type == HF_ACTION_SAVE)
        sync_store(survive); /* whoever continues after our death must know every process */
    else if (action->type == HF_ACTION_TEST_UPGRADE)
        hf_upgrading_test(survive->upgrading, survive->store);
    else if (action->type == HF_ACTION_UPGRADE)
        hf_upgrading_execute(survive->upgrading, survive->store);
    else if (action->type == HF_ACTION_END) {
        sync_store(survive);
        leave_store(survive);
    }
}

static void survive_stepped(void *state)
{
    sync_store(state);
}

static void survive_detach(void *state)
{
    leave_store(state);
    drop_restored(state);
}

const HfPart hf_part_survive = {
    .name = "survive",
    .strip_words = hf_reexec_init,
    .verb = survive_verb,
    .state_size = sizeof(HfSurvive),
    .begin = survive_begin,
    .claimed = survive_claimed,
    .begun = survive_begun,
    .offer = survive_offer,
    .performed = survive_performed,
    .stepped = survive_stepped,
    .detach = survive_detach,
    .clear = survive_clear,
};
