/* SPDX-License-Identifier: MIT */
/* The parts: each is a folder in src/parts, and can be left out (meson's option "without").
 * run/part.h describes the moments, main.c the order. */
#pragma once

#include "run/part.h"

/* The D-Bus object on the private socket. holdfast-control(7), sd-bus(3). */
extern const HfPart hf_part_control;

/* Reports what happens: to the log, a short memory and a history, the user's commands, and the
 * supervisor above. */
extern const HfPart hf_part_events;

/* The helper process that answers in an outage: 503 for FastCGI listeners, others by closing. */
extern const HfPart hf_part_fallback;

/* Ends what outlived every generation, at the very end. */
extern const HfPart hf_part_final_kill;

/* Follows other programs: takes over a running server's sockets (--take-over) and what a dead
 * holdfast left; ends the remains of a stopped unit (holdfast stop --unit). */
extern const HfPart hf_part_inherit;

/* Least privilege: as root, holdfast keeps only the capabilities that its plan still needs once its
 * sockets are bound. It gives up the others for good before the first generation is spawned, and
 * again first thing after an upgrade, since execve(2) gives everything back. Later plans must do
 * with what was kept. Without root there is nothing to do. */
extern const HfPart hf_part_privileges;

/* Performs the machine's PROBE: asks the active generation whether it is healthy, one probe at a
 * time, and if a php-fpm does not answer finds out whether it is only busy. */
extern const HfPart hf_part_probe;

/* Readiness by a text in the log (--ready=log): a relay forwards a generation's output, and reports
 * when the text occurs. */
extern const HfPart hf_part_ready_log;

/* Lets clients in a queue be served before their socket is released: an address that left the
 * settings (free when its reload is answered, even while old generations with copies of the socket
 * still finish), all of them before a stop, and a side that was switched from. */
extern const HfPart hf_part_release;

/* Survives a crash (systemd's fd store, adoption) and upgrades of holdfast itself. */
extern const HfPart hf_part_survive;

/* What a plan must pass before it counts: the user's own test (--preflight), then a canary. */
extern const HfPart hf_part_trial;

/* Verbs that neither run an instance nor ask one: `holdfast check`, which predicts what run would
 * do and binds nothing, and `holdfast exec`. */
extern const HfPart hf_part_verbs;

/* Reads the queues every --queue-every, and reports one that stays too full; reads the active
 * generation's memory every --recycle-check, and posts OVERSIZE if it exceeds --recycle-memory. */
extern const HfPart hf_part_watch;
