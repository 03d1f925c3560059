/* The program that holdfast itself is: how it was started, and how it is started again. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

typedef enum HfReexecMode {
    HF_SELF_STARTED,
    HF_SELF_RESUMED, /* executed in the place of an older holdfast, whose snapshot it has */
    HF_SELF_TESTED,  /* only to see whether it would understand that */
} HfReexecMode;

#define HF_SELF_RESUME "--resume="    /* FD, as first word; for holdfast's own use */
#define HF_SELF_TEST   "--self-test=" /* likewise */
#define HF_SELF_PASSED "ok"           /* the last line that a passed test prints */

/* Takes those words out of argc and argv, which are borrowed for good. Once, at the very start. */
void hf_reexec_init(int *argc, char ***argv);

HfReexecMode hf_reexec_mode(void);
/* Of the snapshot, owned by whoever reads it first; -1 when it was started. */
int hf_reexec_take_snapshot(void);

/* The path by which this program was called, as long as it led to it; what stands there later is
 * what an upgrade executes. Returns 0 and an owned path, or negative errno. */
int hf_reexec_path(char **ret);

/* The words to start path with instead: WORD (one of the above with its number), then the verb and
 * all that followed it. Owned. Returns 0 or -ENOMEM. */
int hf_reexec_arguments(const char *path, const char *word, int fd, char ***ret);
