/* SPDX-License-Identifier: MIT */
/* The moments at which the parts in src/parts are called. run knows parts only through the list in
 * main.c; parts know run, and of each other only events and probe. Each moment may be NULL. Parts
 * are called in the order of the list, with their own state if they have one. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/text.h"
#include "config/options.h"
#include "policy/machine.h"
#include "run/activated.h"
#include "run/plan.h"
#include "run/prepare.h"

typedef struct HfSupervisor HfSupervisor;

#define HF_PARTS_MAX 16

/* Listeners for the next plan to choose from. */
typedef struct HfOffer {
    HfListener **list; /* borrowed */
    size_t n;
    size_t size;
} HfOffer;

/* Adds n of them. Returns 0 or -ENOMEM. */
int hf_offer_add(HfOffer *offer, HfListener *const *listeners, size_t n);

typedef struct HfPart HfPart;
struct HfPart {
    const char *name; /* as in meson's option "without" */

    /* A helper process of this program: its first word, reserved for it, and its function. */
    const char *mode;
    int (*mode_main)(int argc, char **argv);
    /* Removes words of its own from the beginning of argc and argv, for good. */
    void (*strip_words)(int *argc, char ***argv);
    /* Runs the verb in line if it is the part's own. Returns its exit status, or -1 if it is not.
     */
    int (*verb)(const HfCommandLine *line, const HfPart *const *parts);
    /* For `holdfast check`: appends lines about plan to report. */
    void (*describe)(const HfPlan *plan, const HfSettings *settings, HfText *report);

    /* The part's state: run makes it, zeroed, and frees it. Its first member is a pointer to the
     * supervisor, which is set. 0: there is none. */
    size_t state_size;

    /* Sets the machine's limits that depend on the part. */
    void (*limit)(const HfSettings *settings, HfMachineLimits *limits);

    /* ---- the beginning; each returns 0, or negative errno with one line in error ---- */

    /* The loop exists, nothing has been claimed. */
    int (*begin)(void *state, HfText *error);
    /* The runtime directory is ours; supervisor->first is the first event, and supervisor->notes
     * are those of the previous holdfast. */
    int (*claimed)(void *state, HfText *error);
    /* The first event has been posted, and everything is restored. */
    int (*begun)(void *state, HfText *error);

    /* ---- a replacement ---- */

    /* Adds listeners that plan may use to offer, or refuses the plan. Returns 0, or negative errno
     * with one line in error; -EINPROGRESS: not known yet, see unprepared. */
    int (*offer)(void *state, HfPlan *plan, HfOffer *offer, HfText *error);
    /* An address for the plan is in use: finds its listener elsewhere. Returns 0 and one reference,
     * or negative errno. */
    int (*find)(void *state, const HfListenerSpec *spec, HfListener **ret);
    /* The plan is bound and has passed everything: the last chance to refuse it. Returns as offer.
     */
    int (*bound)(void *state, const HfPlan *plan, HfText *error);
    /* What a bound plan must pass before it counts; at most one part has it. */
    const HfTrialStep *trial;
    /* The plan's address is in use: will the part post UNBLOCKED when it is free, or when offer
     * knows more? */
    bool (*unprepared)(void *state);

    /* ---- each step ---- */

    /* Is it too early for this answer? Then the part performs it later. */
    bool (*holds)(void *state, const HfAction *answer);
    /* Another plan is current; its listeners have not got their new names, backlogs and permissions
     * yet. */
    void (*committed)(void *state);
    /* run has performed action; for FORGET and END: is about to. */
    void (*performed)(void *state, const HfAction *action);
    /* No event is waiting; or a generation is known to be ready, and that comes next. */
    void (*stepped)(void *state);

    /* Makes new connections wait, for at most usec, or, with 0, serves them again. Returns 0, or
     * negative errno with one line in error. */
    int (*hold)(void *state, uint64_t usec, HfText *error);

    /* Something was removed from the runtime directory, which exists again: the part restores its
     * own files. Returns 1 if any was missing, or 0. */
    int (*placed)(void *state);

    /* ---- this program is replaced by the next ---- */

    /* Adds notes for the next holdfast; descriptors are borrowed. */
    int (*captured)(void *state, HfNotes *notes);
    /* Appends a line to why if it cannot be replaced now. */
    void (*objects)(void *state, HfText *why);
    /* Is something in progress that must not be interrupted? The part then begins nothing new, and
     * posts UPGRADE_TESTED when it is done. */
    bool (*busy)(void *state);
    /* going: the program is about to be executed; not going: that failed, and everything goes on.
     */
    void (*replacing)(void *state, bool going);

    /* ---- the end ---- */

    /* Is pid a helper that ends by itself, and must not be killed? */
    bool (*owns)(void *state, pid_t pid);
    /* The service is gone. Returns true to keep the loop running until hf_supervisor_ended. */
    bool (*end)(void *state);
    /* Releases everything that concerns the service. Harmless when repeated. */
    void (*detach)(void *state);
    /* Frees what the state owns, also after a failed begin. */
    void (*clear)(void *state);
};

/* Is the part of that name in this build? */
bool hf_parts_have(const HfPart *const *parts, const char *name);
/* Checks that settings need no part that is missing. Returns 0, or -EINVAL with one line in error.
 */
int hf_parts_check(const HfPart *const *parts, const HfSettings *settings, HfText *error);
#define HF_PART_MISSING "this build of holdfast has no part " /* followed by its name */

/* The trial of the part that has one, or NULL. */
const HfTrialStep *hf_parts_trial(const HfPart *const *parts);

/* Iterates over the parts that have state and the moment. */
#define HF_EACH_PART(supervisor, i, moment)                                                        \
    for (size_t i = 0; (supervisor)->parts[i]; (i)++)                                              \
        if ((supervisor)->states[i] && (supervisor)->parts[i]->moment)
