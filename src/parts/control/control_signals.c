#include "parts/control/control_parts.h"
#include "parts/control/names.h"

/* A signal: one of the two. */
typedef struct Signal {
    const HfNotice *notice;
    char **changed; /* names of properties */
} Signal;

static int send_signal(sd_bus *bus, const Signal *signal)
{
    const HfNotice *notice = signal->notice;

    if (!notice)
        return sd_bus_emit_properties_changed_strv(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE,
                                                   signal->changed);
    return sd_bus_emit_signal(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event", "stsst",
                              hf_notice_name(notice->name), notice->generation, notice->cause,
                              notice->text, notice->realtime);
}

/* To each client that has called a method before. The connection of one that does not read ends. */
static void broadcast(HfControl *control, const Signal *signal)
{
    HfControlClient *next;

    for (HfControlClient *client = control->clients; client; client = next) {
        next = client->next;
        if (!client->called)
            continue;
        if (!hf_control_keeps_up(client) || send_signal(client->bus, signal) < 0)
            hf_control_drop(client);
    }
}

void hf_control_signal(const HfNotice *notice, void *userdata)
{
    broadcast(userdata, &(Signal){.notice = notice});
}

void hf_control_update(HfControl *control)
{
    const HfMachine *machine = &control->supervisor->machine;
    const char *state = hf_control_state(machine);
    uint64_t generation = hf_control_generation(machine);
    uint32_t draining = hf_machine_count(machine, HF_GENERATION_DRAINING);
    static char names[][sizeof("Generation")] = {"State", "Generation", "Draining"};
    char *changed[4] = {NULL};
    size_t n = 0;

    if (control->told.state != state)
        changed[n++] = names[0];
    if (control->told.generation != generation)
        changed[n++] = names[1];
    if (control->told.draining != draining)
        changed[n++] = names[2];
    control->told.state = state;
    control->told.generation = generation;
    control->told.draining = draining;
    if (n > 0)
        broadcast(control, &(Signal){.changed = changed});
}
