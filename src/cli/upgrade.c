#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cli/client.h"
#include "cli/verbs.h"
#include "parts/control/names.h"

#define CONNECTIONS_MAX 8 /* an upgrade that works ends one */

typedef struct Upgrade {
    const char *name;
    sd_bus *bus;
    sd_bus_error failure;
} Upgrade;

static void upgrade_clear(Upgrade *upgrade)
{
    sd_bus_close_unref(upgrade->bus);
    sd_bus_error_free(&upgrade->failure);
}

static int connect_again(Upgrade *upgrade)
{
    sd_bus_close_unref(upgrade->bus);
    upgrade->bus = NULL;
    sd_bus_error_free(&upgrade->failure);
    return hf_client_connect_or_log(upgrade->name, &upgrade->bus);
}

static int request_upgrade(Upgrade *upgrade, uint64_t *ret_id)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;

    int r = sd_bus_call_method(upgrade->bus, NULL, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Upgrade",
                               &upgrade->failure, &reply, NULL);
    return r < 0 ? r : sd_bus_message_read(reply, "t", ret_id);
}

/* For as long as what is being replaced takes. */
static int ask_for_result(Upgrade *upgrade, uint64_t id)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *message = NULL;

    int r = sd_bus_message_new_method_call(upgrade->bus, &message, NULL, HF_CONTROL_PATH,
                                           HF_CONTROL_INTERFACE, "UpgradeResult");
    if (r >= 0)
        r = sd_bus_message_append(message, "t", id);
    return r < 0 ? r : sd_bus_call(upgrade->bus, message, UINT64_MAX, &upgrade->failure, NULL);
}

/* The old program's connections end with it; the new one answers on the same socket. */
static int await_result(Upgrade *upgrade, uint64_t id, int *ret_status)
{
    int r = ask_for_result(upgrade, id);

    for (int i = 1; r < 0 && i < CONNECTIONS_MAX; i++) {
        if (sd_bus_error_is_set(&upgrade->failure) && r != -ECONNRESET && r != -ENOTCONN)
            break;
        *ret_status = connect_again(upgrade);
        if (*ret_status != HF_EXIT_DONE)
            return -ENOTCONN;
        r = ask_for_result(upgrade, id);
    }
    return r;
}

int hf_cli_upgrade(const HfCommandLine *line)
{
    __attribute__((cleanup(upgrade_clear))) Upgrade upgrade = {.name = line->call.name};
    HF_CLEANUP_TEXT HfText error = {0};
    uint64_t id;

    int status = hf_client_connect_or_log(upgrade.name, &upgrade.bus);
    if (status != HF_EXIT_DONE)
        return status;
    int r = request_upgrade(&upgrade, &id);
    if (r >= 0 && !line->call.no_wait)
        r = await_result(&upgrade, id, &status);
    if (r >= 0 || status != HF_EXIT_DONE)
        return status;
    hf_text_addf(&error, "upgrade failed: %s",
                 sd_bus_error_is_set(&upgrade.failure) ? upgrade.failure.message : strerror(-r));
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return HF_EXIT_FAILED;
}
