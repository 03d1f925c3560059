#include "parts/survive/self_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/names.h"
#include "kernel/memfile.h"
#include "parts/survive/reexec.h"
#include "parts/survive/serialize.h"

static const char *explain(int r)
{
    switch (r) {
    case -EPROTONOSUPPORT:
        return "it is of another kind of holdfast, whose snapshots are not known here";
    case -EBADMSG:
        return "it is not a whole and sound snapshot";
    default:
        return strerror(-r);
    }
}

static int load(HfSnapshot *ret, HfText *error)
{
    HF_CLEANUP_FD int fd = hf_reexec_take_snapshot();
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;

    int r = hf_memfile_read(fd, HF_SNAPSHOT_MAX, &text, &length);
    if (r >= 0)
        r = hf_snapshot_read(text, length, ret);
    if (r < 0)
        hf_text_addf(error, "the snapshot cannot be read: %s", explain(r));
    return r;
}

int hf_selftest_run(const HfSettings *settings)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText error = {0};
    HF_CLEANUP_FREE char *name = NULL;

    hf_snapshot_init(&snapshot);
    int r = hf_name_of_instance(settings, &name);
    if (r >= 0)
        r = load(&snapshot, &error);
    if (r >= 0)
        r = hf_serialize_check(&snapshot, &error);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", error.length > 0 ? hf_text_peek(&error) : strerror(-r));
        return EXIT_FAILURE;
    }
    return puts(HF_SELF_PASSED) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
