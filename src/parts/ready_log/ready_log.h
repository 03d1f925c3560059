/* Readiness by a text in the log (--ready=log): a generation's relay passes its output on, and
 * tells when the text has come by. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_ready_log;
