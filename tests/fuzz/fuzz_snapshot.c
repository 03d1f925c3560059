/* SPDX-License-Identifier: MIT */
/* A snapshot, as it is and with its checksum made right: what is read can be written and read
 * again, and the machine that comes out of it goes on whatever happens next. */
#include <string.h>

#include "fuzz.h"
#include "parts/survive/snapshot.h"

#define TAIL (sizeof("checksum=0123456789abcdef\n") - 1)

static const HfMachineLimits limits = {
    .ready_timeout = 1,
    .drain_timeout = 1,
    .term_timeout = 1,
    .kill_interval = 1,
    .backoff_max = 1000000,
    .stable_time = 1,
    .settle_time = 1,
    .retire_time = 1,
    .busy_after = 1,
    .probe_every = 1,
    .probe_failures = 1,
    .recycle_every = 1,
    .max_draining = 1,
};

static void live(const HfMachine *read)
{
    HfMachine machine = *read;
    HfActions actions;

    machine.limits = limits;
    if (machine.phase == HF_PHASE_NEW || machine.phase == HF_PHASE_ENDED)
        return;
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_ADOPT}, &actions);
    CHECK(hf_machine_is_sound(&machine));
    for (HfEventType type = HF_EVENT_PREPARED; type < HF_EVENT_MAX_; type++)
        for (unsigned slot = 0; slot < HF_MACHINE_SLOTS; slot++) {
            bool starting = machine.generations[slot].stage == HF_STAGE_STARTING;
            if (type == HF_EVENT_SPAWN_FAILED && !starting)
                continue;
            hf_machine_step(&machine,
                            &(HfEvent){.type = type,
                                       .slot = slot,
                                       .number = machine.generations[slot].number,
                                       .request = HF_REQUEST_RELOAD},
                            &actions);
            CHECK(hf_machine_is_sound(&machine));
        }
    for (unsigned i = 0; i < 3; i++)
        hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_STOP_SIGNAL}, &actions);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        hf_machine_step(
            &machine,
            &(HfEvent){.type = HF_EVENT_GONE, .slot = i, .number = machine.generations[i].number},
            &actions);
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_ENDED}, &actions);
    CHECK(machine.phase == HF_PHASE_ENDED);
}

static void read_text(const char *text, size_t length)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_SNAPSHOT HfSnapshot again;
    HF_CLEANUP_TEXT HfText first = {0};
    HF_CLEANUP_TEXT HfText second = {0};

    hf_snapshot_init(&snapshot);
    hf_snapshot_init(&again);
    if (hf_snapshot_read(text, length, &snapshot) < 0)
        return;
    hf_snapshot_write(&snapshot, &first);
    CHECK(hf_snapshot_read(first.data, first.length, &again) == 0);
    hf_snapshot_write(&again, &second);
    CHECK(strcmp(hf_text_peek(&first), hf_text_peek(&second)) == 0);
    live(&snapshot.machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HF_CLEANUP_TEXT HfText text = {0};
    uint64_t hash = 0xcbf29ce484222325;

    read_text((const char *)data, size);
    hf_text_add_bytes(&text, (const char *)data, size > TAIL ? size - TAIL : 0);
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3;
    hf_text_addf(&text, "checksum=%016llx\n", (unsigned long long)hash);
    read_text(text.data, text.length);
    return 0;
}
