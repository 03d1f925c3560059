/* The answerer at work, in its process. */
#pragma once

#include "parts/fallback/fallback.h"

/* Accepts until stop_fd is readable, then finishes. The listeners are closed then, or on failure by
 * the end of the process. Returns 0 or negative errno. */
int hf_fallback_serve(const HfFallbackRequest *request, int stop_fd);
