/* SPDX-License-Identifier: MIT */
/* The parts: each is a folder of src/parts, and can be left out (meson's option "without"). What a
 * moment is stands in run/part.h; in which order they come, in main.c. */
#pragma once

#include "run/part.h"

/* The D-Bus object on the private socket. holdfast-control(7), sd-bus(3). */
extern const HfPart hf_part_control;

/* The part that says what happened: to the log, to a short memory and a history, to the user's
 * commands, and to the supervisor above. */
extern const HfPart hf_part_events;

/* The helper process that answers in an outage: FastCGI listeners with 503, others by closing. In a
 * process of its own a lost race for accept(2) blocks nobody else. */
extern const HfPart hf_part_fallback;

/* Comes after others: takes a running server's sockets over (--take-over), and what a holdfast that
 * died left; ends what a unit left that was stopped meanwhile (holdfast stop --unit). */
extern const HfPart hf_part_inherit;

/* Least privilege: as root, holdfast keeps only the capabilities that its plan goes on needing.
 * What a plan, once its sockets are bound, does not need is given up for good: before its first
 * generation is spawned, and first thing after an upgrade, since execve(2) gave everything back.
 * Later plans must do with what was kept. Without root there is nothing to do. */
extern const HfPart hf_part_privileges;

/* Performs the machine's PROBE: asks the active generation whether it is healthy, one probe at a
 * time, and finds out of a php-fpm that does not answer whether it is only busy. */
extern const HfPart hf_part_probe;

/* Readiness by a text in the log (--ready=log): a generation's relay passes its output on, and
 * tells when the text has come by. */
extern const HfPart hf_part_ready_log;

/* Who waits in a queue is served before what he waits at is let go.
 *
 * Addresses that left the settings: free before whoever asked for the reload hears that it is done,
 * though the generations before still finish what they have accepted, with copies of the sockets.
 * A stop, and a side that was switched from: looks who waits until nobody does. */
extern const HfPart hf_part_release;

/* Outlives a crash (systemd's fd store, adoption) and an upgrade of holdfast itself. */
extern const HfPart hf_part_survive;

/* What a plan must pass before it counts: the user's own test (--preflight), then a canary. */
extern const HfPart hf_part_trial;

/* The verbs that neither run an instance nor ask one: `holdfast check` prints what run would do and
 * binds nothing; `holdfast exec`. */
extern const HfPart hf_part_verbs;

/* Looks at the listeners' queues every --queue-every, and says when one stays too full; looks at
 * the memory of the active generation every --recycle-check, and posts OVERSIZE when it is more
 * than --recycle-memory. */
extern const HfPart hf_part_watch;
