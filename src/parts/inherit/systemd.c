#include "parts/inherit/systemd.h"

#include "base/parse.h"

#define ANSWER_TIME     (10 * HF_USEC_PER_SEC)
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

static int connect_directly(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

int hf_systemd_connect(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_open_system(&bus);
    if (r < 0)
        r = connect_directly(&bus);
    if (r < 0)
        return r;
    r = sd_bus_set_method_call_timeout(bus, ANSWER_TIME);
    if (r < 0) {
        sd_bus_flush_close_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}
