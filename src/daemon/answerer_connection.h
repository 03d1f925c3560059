/* One connection that the answerer has accepted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/fastcgi.h"

typedef struct HfAnswererConnection {
    int fd; /* owned, non-blocking; -1: free */
    uint64_t deadline;
    size_t bytes; /* that came */
    HfFastcgiResponder responder;
    size_t sent; /* of the responder's out */
    bool done;   /* shut down for writing: the rest is read and dropped */
} HfAnswererConnection;

/* Takes fd over. answer NULL: it is to be closed, in good order. */
void hf_answerer_connection_open(HfAnswererConnection *connection, int fd, const HfText *answer,
                                 uint64_t deadline);
void hf_answerer_connection_close(HfAnswererConnection *connection);

/* poll(2) events to wait for. */
short hf_answerer_connection_events(const HfAnswererConnection *connection);

/* Reads and writes what is possible; may close it. */
void hf_answerer_connection_serve(HfAnswererConnection *connection);
