/* The helper process between a service's output and holdfast's: it passes everything on and tells
 * when a text has come by. holdfast itself is never in the log's way: when nobody reads, the
 * service alone waits, and what it writes after holdfast was killed arrives as well. */
#pragma once

#include "kernel/process.h"

#define HF_RELAY_OPTION "--relay" /* of holdfast itself, for nobody else */

typedef struct HfRelay {
    HfProcess process; /* a child to be reaped; it ends by itself, once nobody can write any more */
    int out;           /* for the service's stdout; owned until it has been spawned, as the next */
    int err;           /* for its stderr; the same number when both go to the same place */
    int seen;          /* readable: one byte when the text came, the end without it otherwise */
} HfRelay;

#define HF_RELAY_NONE ((HfRelay){.process = HF_PROCESS_NONE, .out = -1, .err = -1, .seen = -1})

/* Executes this very program again, in a session of its own. text: 1 to HF_MATCHER_MAX bytes.
 * output: what both streams go to, borrowed; -1: our stdout and stderr. Returns 0 or negative
 * errno. */
int hf_relay_start(const char *text, int output, HfRelay *ret);
/* The service has its ends. */
void hf_relay_close_outputs(HfRelay *relay);
void hf_relay_clear(HfRelay *relay);

/* The other end: the whole program when argv[1] is HF_RELAY_OPTION. Returns the exit status. */
int hf_relay_main(int argc, char **argv);
