/* Least privilege: as root, holdfast keeps only the capabilities that its plan goes on needing. */
#pragma once

#include "run/supervisor.h"

/* Gives up for good what plan, whose sockets are bound, does not need, and makes sure of it: to be
 * called before its first generation is spawned, and first thing after an upgrade, since execve(2)
 * gave everything back. Without root there is nothing to do. Returns 0, or negative errno with one
 * line in error: then nothing may be served. */
int hf_drop_capabilities(HfSupervisor *supervisor, const HfPlan *plan, HfText *error);

/* May a later plan be bound and served with what was kept? Returns 0, or -EPERM with one line in
 * error that says what is missing and for what. */
int hf_drop_capabilities_permits(const HfSupervisor *supervisor, const HfPlan *plan, HfText *error);

/* For `holdfast check`: what would be kept and why. */
void hf_drop_capabilities_describe(const HfPlan *plan, HfText *report);
