/* SPDX-License-Identifier: MIT */
/* Lists of pages, what a status page says was asked for last, and paths that a deploy has moved. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "format/http.h"
#include "format/pages.h"
#include "fuzz.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

/* Written out, it is the same again. */
static void check_page(const HfPage *page)
{
    HF_CLEANUP_TEXT HfText line = {0};
    HfPage again;

    CHECK(hf_http_is_target(page->target) && is_clean(page->target));
    CHECK(!page->host || (*page->host != '\0' && is_clean(page->host)));
    CHECK(!page->secure || page->host);
    hf_text_addf(&line, "%s %s%s%s", page->method, page->secure ? "https://" : "http://",
                 page->host ? page->host : "h", page->target);
    CHECK(hf_page_parse(line.data, line.length, &again) == 1);
    CHECK(strcmp(again.target, page->target) == 0 && strcmp(again.method, page->method) == 0);
    hf_page_clear(&again);
}

static void on_recent(const char *uri, const char *script, void *userdata)
{
    (void)userdata;
    CHECK(hf_http_is_target(uri) && is_clean(uri));
    CHECK(*script == '/' && is_clean(script));
}

static void check_moved(const char *path, const char *before, const char *after)
{
    HF_CLEANUP_TEXT HfText there = {0};
    HF_CLEANUP_TEXT HfText same = {0};

    hf_path_moved(path, strlen(path), before, before, &same);
    CHECK(strcmp(hf_text_peek(&same), path) == 0);
    hf_path_moved(path, strlen(path), before, after, &there);
    CHECK(there.length <= strlen(path) + strlen(after));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HfPage page;

    if (hf_page_parse((const char *)data, size, &page) == 1) {
        check_page(&page);
        hf_page_clear(&page);
    }
    hf_phpfpm_recent((const char *)data, size, on_recent, NULL);
    HF_CLEANUP_FREE char *path = input_string(&input);
    HF_CLEANUP_FREE char *before = input_string(&input);
    HF_CLEANUP_FREE char *after = input_string(&input);
    check_moved(path, before, after);
    return 0;
}
