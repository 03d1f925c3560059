/* What generations say on the notify socket, sd_notify(3), to events. */
#pragma once

#include "run/supervisor.h"

/* At most as many datagrams as other sources may wait for. fd: of hf_notifysocket_open. */
void hf_notify_server(HfSupervisor *supervisor, int fd);
/* All that waits: what a process has said before it ended. */
void hf_notify_server_last_words(HfSupervisor *supervisor, int fd);

/* A canary on a socket of its own: its READY=1 and MAINPID=, nothing else. */
void hf_notify_server_canary(HfGeneration *canary, HfNotifyAccess access, int fd);
