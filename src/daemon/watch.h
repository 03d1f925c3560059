/* Signals and notify datagrams to events, nothing else. */
#pragma once

#include "daemon/supervisor.h"

/* Blocks the signals that are taken. fd: the notify socket, taken over, -1: opened anew. Returns 0
 * or negative errno. */
int hf_watch_new(HfSupervisor *supervisor, int fd, HfWatch **ret);
int hf_watch_fd(const HfWatch *watch); /* borrowed */
HfWatch *hf_watch_free(HfWatch *watch);
/* Hears at once what generations have said until now. */
void hf_watch_last_words(HfWatch *watch);
