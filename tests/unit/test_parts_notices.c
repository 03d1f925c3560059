/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "parts/events/events.h"

static void publish(HfNotices *notices, uint64_t generation, const char *text)
{
    const HfNoticeKind ready = {.name = "ready", .level = LOG_DEBUG};

    hf_notices_publish(notices, &ready, generation, "reload", text);
}

static void the_last_ones_are_kept(void **state)
{
    HfNotices notices = {0};
    char text[32];

    (void)state;
    for (uint64_t i = 1; i <= HF_NOTICES_KEPT + 3; i++) {
        snprintf(text, sizeof(text), "number %llu", (unsigned long long)i);
        publish(&notices, i, text);
    }
    assert_int_equal(notices.n, HF_NOTICES_KEPT);
    assert_int_equal(hf_notices_get(&notices, 0)->generation, 4);
    const HfNotice *last = hf_notices_get(&notices, HF_NOTICES_KEPT - 1);
    assert_int_equal(last->generation, HF_NOTICES_KEPT + 3);
    assert_string_equal(last->text, "number 67");
    assert_string_equal(last->cause, "reload");
    assert_true(last->realtime > 0);
    hf_notices_clear(&notices);
}

static void texts_are_cut_and_printable(void **state)
{
    HfNotices notices = {0};
    char text[4 * HF_NOTICE_TEXT_MAX];

    (void)state;
    publish(&notices, 1, "one\ntwo \xff\x1b[0m\n");
    assert_string_equal(hf_notices_get(&notices, 0)->text, "one\ntwo ??[0m\n");
    for (size_t length = HF_NOTICE_TEXT_MAX - 2; length < HF_NOTICE_TEXT_MAX + 3; length++) {
        memset(text, 'x', sizeof(text));
        text[length] = '\n';
        text[sizeof(text) - 1] = '\0';
        publish(&notices, 2, text);
        size_t kept = strlen(hf_notices_get(&notices, notices.n - 1)->text);
        assert_in_range(kept, HF_NOTICE_TEXT_MAX - 1, HF_NOTICE_TEXT_MAX);
    }
    hf_notices_clear(&notices);
}

static void count(const HfNotice *notice, void *userdata)
{
    assert_string_equal(notice->name, "ready");
    assert_string_equal(notice->text, "text");
    ++*(int *)userdata;
}

static void every_subscriber_is_told(void **state)
{
    HfNotices notices = {0};
    int first = 0;
    int second = 0;

    (void)state;
    hf_notices_subscribe(&notices, count, &first);
    publish(&notices, 1, "text");
    hf_notices_subscribe(&notices, count, &second);
    publish(&notices, 2, "text");
    assert_int_equal(first, 2);
    assert_int_equal(second, 1);
    hf_notices_clear(&notices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_ones_are_kept),
        cmocka_unit_test(texts_are_cut_and_printable),
        cmocka_unit_test(every_subscriber_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
