/* SPDX-License-Identifier: MIT */
/* php-fpm's status page: what is taken is what is written there, and lines of others change
 * nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

/* Written out, the numbers are read again. */
static void check_again(const HfScoreboard *status)
{
    HF_CLEANUP_TEXT HfText page = {0};
    HfScoreboard again;

    hf_text_addf(&page,
                 "pool: www\naccepted conn: %llu\nlisten queue:%llu\r\nidle processes:   %llu\n"
                 "active processes: %llu\nmax children reached: %llu\nrequests:  %llu\n"
                 "slow requests: %llu\nmemory peak: %llu",
                 (unsigned long long)status->accepted, (unsigned long long)status->queued,
                 (unsigned long long)status->idle, (unsigned long long)status->active,
                 (unsigned long long)status->max_children, (unsigned long long)status->least,
                 (unsigned long long)status->slow, (unsigned long long)status->memory_peak);
    CHECK(hf_phpfpm_status_parse(page.data, page.length, &again) == 0);
    CHECK(memcmp(&again, status, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char noise[] = "max listen queue: many\n";
    const HfScoreboard untouched = {1, 2, 3, 4, 5, 6, 7, 8};
    HfScoreboard status = untouched;
    HfScoreboard longer = untouched;

    int r = hf_phpfpm_status_parse((const char *)data, size, &status);
    if (r < 0)
        CHECK(memcmp(&status, &untouched, sizeof(status)) == 0);
    else
        check_again(&status);

    const HfCacheFigures cold = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    HfCacheFigures figures = cold;
    if (hf_phpfpm_cache_parse((const char *)data, size, &figures) < 0)
        CHECK(memcmp(&figures, &cold, sizeof(cold)) == 0);

    char *copy = must(malloc(size + sizeof(noise)));
    memcpy(copy, noise, sizeof(noise) - 1);
    if (size > 0)
        memcpy(copy + sizeof(noise) - 1, data, size);
    if (size + sizeof(noise) - 1 <= HF_PHPFPM_STATUS_MAX) {
        CHECK(hf_phpfpm_status_parse(copy, size + sizeof(noise) - 1, &longer) == r);
        CHECK(memcmp(&status, &longer, sizeof(status)) == 0);
    }
    free(copy);
    return 0;
}
