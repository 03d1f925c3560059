/* A view as text for people, JSON and metrics. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "cli/view.h"

/* The state and what led to it, generations, listeners, the last events. */
void hf_show_status(const HfView *view, bool colors, HfText *text);
/* "NAME: STATE, ...", for a list of instances. */
void hf_show_line(const HfView *view, bool colors, HfText *text);
void hf_show_history(const HfView *view, bool colors, HfText *text);

/* One object on one line. */
void hf_show_status_json(const HfView *view, HfText *text);
void hf_show_history_json(const HfView *view, HfText *text);

/* Prometheus' text format 0.0.4. now: usec, CLOCK_REALTIME. */
void hf_show_metrics(const HfView *view, uint64_t now, HfText *text);

/* n values as bars of one character each. */
void hf_show_graph(const uint32_t *values, size_t n, HfText *text);
