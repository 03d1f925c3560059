/* The environment that a child gets. */
#pragma once

/* A copy of holdfast's own environment without what was meant for holdfast alone
 * (hf_handoff_is_foreign), then the entries of each vector (NULL: none). Owned. Returns 0 or
 * -ENOMEM. */
int hf_environment_make(char *const *first, const char *const *second, char ***ret);
