/* SPDX-License-Identifier: MIT */
/* The moments at which the parts of src/parts are called. run knows of parts only what main.c
 * lists; parts know run, and of one another only events and probe. Each moment may be NULL. They
 * are called in the order of the list, with the part's own state where it has one. */
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

/* Listeners that the next plan may choose among. */
typedef struct HfOffer {
    HfListener **list; /* borrowed */
    size_t n;
    size_t size;
} HfOffer;

/* Returns 0 or -ENOMEM. */
int hf_offer_add(HfOffer *offer, HfListener *listener);

typedef struct HfPart HfPart;
struct HfPart {
    const char *name; /* as in meson's option "without" */

    /* This program as a helper process: its first word, which is for nobody else, and what it does
     * then. */
    const char *mode;
    int (*mode_main)(int argc, char **argv);
    /* Takes first words that are its own out of argc and argv, which stay there for good. */
    void (*take_words)(int *argc, char ***argv);
    /* Performs line, where it is the part's own. Returns the exit status, or -1: it is not. */
    int (*verb)(const HfCommandLine *line, const HfPart *const *parts);
    /* For `holdfast check`: appends lines on plan to report. */
    void (*describe)(const HfPlan *plan, const HfSettings *settings, HfText *report);

    /* What the machine is to know of settings, in place of what it has without the part. */
    void (*limit)(const HfSettings *settings, HfMachineLimits *limits);

    /* ---- the beginning; each returns 0, or negative errno with one line in error ---- */

    /* The loop stands, nothing is claimed. *ret: the part's state, NULL when there is none. */
    int (*begin)(HfSupervisor *supervisor, void **ret, HfText *error);
    /* The runtime directory is ours, supervisor->first is what goes on, supervisor->notes is what
     * the holdfast before this one noted. */
    int (*claimed)(void *state, HfText *error);
    /* The first event is posted; what was restored stands. */
    int (*begun)(void *state, HfText *error);

    /* ---- a replacement ---- */

    /* Adds what plan may use to offer, or objects. Returns 0, or negative errno with one line in
     * error; -EINPROGRESS: it cannot be said yet, see unprepared. */
    int (*lend)(void *state, HfPlan *plan, HfOffer *offer, HfText *error);
    /* An address that the plan is to bind is in use: finds its listener elsewhere. Returns 0 and
     * one reference, or negative errno. */
    int (*find)(void *state, const HfListenerSpec *spec, HfListener **ret);
    /* The plan is bound and has passed all: the last word before it counts. Returns as lend. */
    int (*bound)(void *state, const HfPlan *plan, HfText *error);
    /* What a bound plan must pass before it counts; of one part at most. */
    const HfTrialStep *trial;
    /* Somebody else has what the plan is to bind: does the part post UNBLOCKED when he has left, or
     * when lend can say more? */
    bool (*unprepared)(void *state);

    /* ---- each step ---- */

    /* Too early for this answer? Then the part has it performed by the others later. */
    bool (*holds)(void *state, const HfAction *answer);
    /* The current plan is another one; its listeners are not given yet what it wants of them. */
    void (*committed)(void *state);
    /* run has performed action; of FORGET and END: it is about to. */
    void (*performed)(void *state, const HfAction *action);
    /* Nothing waits to be decided; or a generation is known to be ready, and that is next. */
    void (*stepped)(void *state);

    /* Something was removed from the runtime directory, which stands again: the part's own in it is
     * to as well. Returns 1 when it had to be made again, or 0. */
    int (*placed)(void *state);

    /* ---- this program gives way to the next ---- */

    /* Adds what the next holdfast is to find in its notes; descriptors are borrowed. */
    int (*captured)(void *state, HfNotes *notes);
    /* Why it may not be replaced now: appends a line to why. */
    void (*objects)(void *state, HfText *why);
    /* Is something under way that must not be cut off? Nothing more is begun then, and when that
     * has ended UPGRADE_TESTED is posted. */
    bool (*busy)(void *state);
    /* The program is executed now; or, going false, was not, and everything goes on. */
    void (*replacing)(void *state, bool going);

    /* ---- the end ---- */

    /* A helper that ends by itself, and is not to be killed? */
    bool (*owns)(void *state, pid_t pid);
    /* The service is gone. Returns true when the loop is to go on until hf_supervisor_ended. */
    bool (*end)(void *state);
    /* Lets go of all that has to do with the service. Harmless when repeated. */
    void (*let_go)(void *state);
    void (*free)(void *state);
};

/* Is the part of that name in this build? */
bool hf_parts_have(const HfPart *const *parts, const char *name);
/* Asks settings for nothing that a missing part would do? Returns 0, or -EINVAL with one line in
 * error. */
int hf_parts_check(const HfPart *const *parts, const HfSettings *settings, HfText *error);
#define HF_PART_MISSING "this build of holdfast has no part " /* and its name */

/* The one trial of parts, or NULL. */
const HfTrialStep *hf_parts_trial(const HfPart *const *parts);

/* For i of each part with a state that has the moment. */
#define HF_EACH_PART(supervisor, i, moment)                                                        \
    for (size_t i = 0; (supervisor)->parts[i]; (i)++)                                              \
        if ((supervisor)->states[i] && (supervisor)->parts[i]->moment)
