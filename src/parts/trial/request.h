/* Asks a list of addresses, one after the other, what --canary says. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config/settings.h"
#include "run/reaper.h"

typedef struct HfRequest HfRequest;

typedef struct HfRequestQuestion {
    const HfProbe *probe;  /* what is asked */
    const char *root;      /* FASTCGI: the directory of its script; NULL: it is a whole path */
    const char *directory; /* EXEC: of the command; NULL: as it is */
    uint64_t timeout;      /* usec, of each */
} HfRequestQuestion;

/* result 0: all are well. Else negative errno, and error says how address number asked is not. The
 * trial has been freed. Comes from the loop, never from within hf_request_start. */
typedef void (*HfRequestCallback)(int result, size_t asked, const char *error, void *userdata);

/* question and the n addresses are borrowed until the end; n > 0; UNIX ones. Returns 0 or negative
 * errno. */
int hf_request_start(sd_event *loop, HfReaper *reaper, const HfRequestQuestion *question,
                     const HfAddress *const *addresses, size_t n, HfRequestCallback callback,
                     void *userdata, HfRequest **ret);
/* No call back. NULL is fine. Returns NULL. */
HfRequest *hf_request_abort(HfRequest *trial);
