/* Asks a list of addresses, one after the other, what --canary says. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "core/settings.h"
#include "daemon/reaper.h"

typedef struct HfTrial HfTrial;

typedef struct HfTrialQuestion {
    const HfProbe *probe;  /* what is asked */
    const char *root;      /* FASTCGI: the directory of its script; NULL: it is a whole path */
    const char *directory; /* EXEC: of the command; NULL: as it is */
    uint64_t timeout;      /* usec, of each */
} HfTrialQuestion;

/* result 0: all are well. Else negative errno, and error says how address number asked is not. The
 * trial has been freed. Comes from the loop, never from within hf_trial_start. */
typedef void (*HfTrialCallback)(int result, size_t asked, const char *error, void *userdata);

/* question and the n addresses are borrowed until the end; n > 0; UNIX ones. Returns 0 or negative
 * errno. */
int hf_trial_start(sd_event *loop, HfReaper *reaper, const HfTrialQuestion *question,
                   const HfAddress *const *addresses, size_t n, HfTrialCallback callback,
                   void *userdata, HfTrial **ret);
/* No call back. NULL is fine. Returns NULL. */
HfTrial *hf_trial_abort(HfTrial *trial);
