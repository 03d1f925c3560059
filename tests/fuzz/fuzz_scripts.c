/* SPDX-License-Identifier: MIT */
/* What a warm-up's script answers: the list of the old cache, and marks for our list. The
 * answer, the list and two document roots, each up to a NUL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "format/pages.h"
#include "fuzz.h"

/* Each line is a path that a later mark may stand for. */
static void check_list(const char *list, size_t length, const char *before, const char *after)
{
    HF_CLEANUP_TEXT HfText text = {0};

    size_t n = hf_scripts_moved(list, length, before, after, &text);
    CHECK(n <= length && (strchr(after, '\n') || n == count_of(hf_text_peek(&text), '\n')));
    CHECK(strlen(hf_text_peek(&text)) == text.length);
    CHECK(n == 0 || text.data[text.length - 1] == '\n');
}

/* Whole and one mark at a time it is the same; nothing is marked twice. */
static void check_marks(const char *marks, size_t n, const char *scripts)
{
    HF_CLEANUP_TEXT HfText again = {0};
    HF_CLEANUP_TEXT HfText single = {0};
    HfScriptMarks whole;
    HfScriptMarks one;
    size_t length = strlen(scripts);
    size_t done = 0;
    uint64_t counted = 0;
    bool full = false;

    size_t all = hf_scripts_mark(marks, n, scripts, length, &whole, &again);
    CHECK(all <= length && (all == 0 || all == length || scripts[all - 1] == '\n'));
    CHECK(whole.compiled + whole.gone <= count_of(scripts, '\n') + 1);
    for (size_t i = 0; i < n; i++) {
        done += hf_scripts_mark(marks + i, 1, scripts + done, length - done, &one, &single);
        counted += one.compiled + one.gone;
        full = full || one.full;
    }
    CHECK(done == all && counted == whole.compiled + whole.gone && full == whole.full);
    CHECK(strcmp(hf_text_peek(&again), hf_text_peek(&single)) == 0 && again.length <= length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_FREE char *answer = input_string(&input);
    HF_CLEANUP_FREE char *scripts = input_string(&input);
    HF_CLEANUP_FREE char *before = input_string(&input);
    HF_CLEANUP_FREE char *after = input_string(&input);
    const char *rest = NULL;
    size_t length = 0;

    int r = hf_scripts_answer((const char *)data, size, &rest, &length);
    CHECK(r == 1 || r == 0 || r == -EBADMSG);
    if (r >= 0) {
        CHECK((const uint8_t *)rest >= data && (const uint8_t *)rest + length <= data + size);
        CHECK(r == 1 || !memchr(rest, '\n', length));
        check_list(rest, length, before, after);
        check_marks(rest, length, scripts);
    }
    check_marks(answer, strlen(answer), scripts);
    return 0;
}
