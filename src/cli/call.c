#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cli/client.h"
#include "cli/verbs.h"
#include "daemon/controlsocket.h"

static const char *const methods[HF_VERB_MAX_] = {
    [HF_VERB_RELOAD] = "Reload",
    [HF_VERB_RESTART] = "Restart",
    [HF_VERB_STOP] = "Stop",
};

static int call(sd_bus *bus, const char *method, bool wait, sd_bus_error *ret_error)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *message = NULL;

    int r = sd_bus_message_new_method_call(bus, &message, NULL, HF_CONTROL_PATH,
                                           HF_CONTROL_INTERFACE, method);
    if (r < 0)
        return r;
    if (wait) /* drain times are the other side's business */
        return sd_bus_call(bus, message, UINT64_MAX, ret_error, NULL);
    r = sd_bus_message_set_expect_reply(message, 0);
    if (r >= 0)
        r = sd_bus_send(bus, message, NULL);
    return r < 0 ? r : sd_bus_flush(bus);
}

/* Until the other side has let go of everything and hangs up. */
static void await_end(sd_bus *bus)
{
    int r;

    do {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    } while (r >= 0);
}

/* The end came while the request was on its way. */
static bool stopped_already(int r, const sd_bus_error *failure)
{
    return r == -ECONNRESET || sd_bus_error_has_name(failure, HF_CONTROL_STOPPING);
}

int hf_cli_call(const HfCommandLine *line)
{
    __attribute__((cleanup(sd_bus_close_unrefp))) sd_bus *bus = NULL;
    __attribute__((cleanup(sd_bus_error_free))) sd_bus_error failure = SD_BUS_ERROR_NULL;
    HF_CLEANUP_TEXT HfText error = {0};

    int status = hf_client_connect(line->call.name, &bus, &error);
    if (status != HF_EXIT_DONE) {
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
        return status;
    }
    int r = call(bus, methods[line->verb], !line->call.no_wait, &failure);
    bool stopped = line->verb == HF_VERB_STOP && (r >= 0 || stopped_already(r, &failure));
    if (stopped && !line->call.no_wait)
        await_end(bus);
    if (stopped || r >= 0)
        return HF_EXIT_DONE;
    if (sd_bus_error_is_set(&failure))
        hf_text_addf(&error, "%s failed: %s", hf_verb_name(line->verb), failure.message);
    else
        hf_text_addf(&error, "%s: the connection ended before the answer came: %s",
                     hf_verb_name(line->verb), strerror(-r));
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return HF_EXIT_FAILED;
}
