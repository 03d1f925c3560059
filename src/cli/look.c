#include "cli/look.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/verbs.h"

int hf_look(const char *name, int (*read)(sd_bus *bus, HfView *ret), HfView *ret, sd_bus **ret_bus)
{
    HF_CLEANUP_BUS sd_bus *bus = NULL;
    HF_CLEANUP_TEXT HfText error = {0};

    int status = hf_client_connect(name, &bus, &error);
    if (status != HF_EXIT_DONE) {
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
        return status;
    }
    int r = read(bus, ret);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "the instance does not answer: %s", strerror(-r));
        return HF_EXIT_FAILED;
    }
    if (ret_bus)
        *ret_bus = HF_STEAL(bus);
    return HF_EXIT_DONE;
}
