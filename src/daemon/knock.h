/* Does anybody take connections at a listener? The kernel completes them by itself until the queue
 * is full; so one is made, half-closed, and a sign of life awaited at its other end. listen(2). */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct HfKnock HfKnock;

/* error: NULL when somebody is there, else one line. The knock has been freed already. Comes from
 * the loop, never from within hf_knock_start. */
typedef void (*HfKnockCallback)(const char *error, void *userdata);

/* fd: the listener, borrowed until the call back. Somebody is there who closes the connection, says
 * anything on it, or has left nobody waiting in the queue after timeout (usec). Returns 0 or
 * negative errno. */
int hf_knock_start(sd_event *loop, int fd, uint64_t timeout, HfKnockCallback callback,
                   void *userdata, HfKnock **ret);
/* No call back. NULL is fine. Returns NULL. */
HfKnock *hf_knock_abort(HfKnock *knock);
