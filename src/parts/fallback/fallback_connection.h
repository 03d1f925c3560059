/* One connection that the answerer has accepted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/fastcgi.h"

typedef struct HfFallbackConnection {
    int fd; /* owned, non-blocking; -1: free */
    uint64_t deadline;
    size_t bytes; /* that came */
    HfFastcgiResponder responder;
    size_t sent; /* of the responder's out */
    bool done;   /* shut down for writing: the rest is read and dropped */
} HfFallbackConnection;

/* Takes fd over. answer NULL: it is to be closed, in good order. */
void hf_fallback_connection_open(HfFallbackConnection *connection, int fd, const HfText *answer,
                                 uint64_t deadline);
void hf_fallback_connection_close(HfFallbackConnection *connection);

/* poll(2) events to wait for. */
short hf_fallback_connection_events(const HfFallbackConnection *connection);

/* Reads and writes what is possible; may close it. */
void hf_fallback_connection_serve(HfFallbackConnection *connection);
