/* SPDX-License-Identifier: MIT */
/* The value of --listen: what was read can be written down and read again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/option.h"
#include "fuzz.h"

static void write_down(const HfListenerSpec *spec, HfText *text)
{
    char address[HF_ADDRESS_TEXT_MAX];

    hf_address_format(&spec->address, address);
    hf_text_add(text, address);
    if (spec->backlog == HF_BACKLOG_MAXIMUM)
        hf_text_add(text, ",backlog=max");
    else
        hf_text_addf(text, ",backlog=%d", spec->backlog);
    if (spec->mode != HF_MODE_UNSET)
        hf_text_addf(text, ",mode=0%o", spec->mode);
    if (spec->owner)
        hf_text_addf(text, ",owner=%s", spec->owner);
    if (spec->group)
        hf_text_addf(text, ",group=%s", spec->group);
    if (spec->name)
        hf_text_addf(text, ",name=%s", spec->name);
}

static bool same(const HfListenerSpec *a, const HfListenerSpec *b)
{
    return hf_address_equal(&a->address, &b->address) && a->backlog == b->backlog &&
           a->mode == b->mode && same_string(a->owner, b->owner) &&
           same_string(a->group, b->group) && same_string(a->name, b->name);
}

static void check_account(const char *name)
{
    if (name)
        CHECK(*name != '\0' && is_clean(name) && !strpbrk(name, " :/,"));
}

static void check_spec(const HfListenerSpec *spec)
{
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfListenerSpec again;

    CHECK(spec->address.kind != HF_ADDRESS_NONE);
    CHECK(spec->backlog > 0 || spec->backlog == HF_BACKLOG_MAXIMUM);
    CHECK(spec->mode <= 0777 || spec->mode == HF_MODE_UNSET);
    CHECK(!spec->acl_users && !spec->acl_groups);
    check_account(spec->owner);
    check_account(spec->group);
    if (!hf_address_is_path(&spec->address))
        CHECK(spec->mode == HF_MODE_UNSET && !spec->owner && !spec->group);

    write_down(spec, &text);
    CHECK(hf_options_parse_listen(hf_text_peek(&text), &again, &error) == 0);
    CHECK(same(spec, &again));
    hf_listener_spec_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_FREE char *text = input_string(&input);
    HF_CLEANUP_TEXT HfText error = {0};
    HfListenerSpec untouched;
    HfListenerSpec spec;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&spec, &untouched, sizeof(spec));
    int r = hf_options_parse_listen(text, &spec, &error);
    CHECK(r == 0 || r == -EINVAL);
    check_error(r, &error);
    if (r < 0) {
        CHECK(memcmp(&spec, &untouched, sizeof(spec)) == 0);
        return 0;
    }
    check_spec(&spec);
    hf_listener_spec_clear(&spec);
    return 0;
}
