/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/view.h"

static HfView view_of(HfViewListener *listener, HfViewEvent *event, HfViewPast *past)
{
    return (HfView){
        .name = "web",
        .version = "1",
        .state = "running",
        .handover = "switch",
        .listeners = listener,
        .n_listeners = 1,
        .events = event,
        .n_events = 1,
        .history = past,
        .n_history = 1,
    };
}

static void words_are_escaped_in_json(void **state)
{
    (void)state;
    HfViewListener listener = {.name = "a",
                               .address = "/run/a\"b\\c",
                               .kind = "unix",
                               .drops = -1,
                               .one_side = "its path is too long"};
    HfViewEvent event = {
        .name = "ready", .cause = "start", .text = "one\ntwo\ttab\x1b[31m\x7f \xc3\xa4"};
    HfViewPast past = {.cause = "start", .end = ""};
    HfView view = view_of(&listener, &event, &past);
    HfText text = {0};

    hf_view_add_json(&view, &text);
    assert_non_null(strstr(hf_text_peek(&text), "\"address\":\"/run/a\\\"b\\\\c\""));
    assert_non_null(
        strstr(hf_text_peek(&text), "\"text\":\"one\\ntwo\\u0009tab\\u001b[31m\x7f \xc3\xa4\""));
    assert_non_null(strstr(hf_text_peek(&text), "\"drops\":null"));
    assert_non_null(strstr(hf_text_peek(&text), "\"standby_limit\":null"));
    assert_non_null(strstr(hf_text_peek(&text), "\"one_side\":\"its path is too long\""));
    assert_non_null(strstr(hf_text_peek(&text), "\"handover\":\"switch\""));
    hf_text_clear(&text);

    past.end = "said \"\\\"";
    hf_view_add_history_json(&view, &text);
    assert_non_null(strstr(hf_text_peek(&text), "\"end\":\"said \\\"\\\\\\\"\""));
    hf_text_clear(&text);
    past.end = "";
    hf_view_add_history_json(&view, &text);
    assert_non_null(strstr(hf_text_peek(&text), "\"end\":null"));
    hf_text_clear(&text);
}

static void labels_are_escaped_for_prometheus(void **state)
{
    (void)state;
    HfViewListener listener = {
        .name = "a", .address = "/run/a\"b\\c\nd", .kind = "unix", .depth = 3};
    HfView view = view_of(&listener, NULL, NULL);
    HfText text = {0};

    hf_view_add_metrics(&view, 1, &text);
    assert_non_null(strstr(hf_text_peek(&text), "holdfast_queue_depth{name=\"web\",listener=\"a\","
                                                "address=\"/run/a\\\"b\\\\c\\nd\"} 3\n"));
    hf_text_clear(&text);
}

/* The format wants all samples of a metric together. */
static void instances_share_the_comments_of_a_metric(void **state)
{
    (void)state;
    const HfView views[] = {
        {.name = "one", .version = "1", .state = "running", .generation = 7},
        {.name = "two", .version = "1", .state = "running", .generation = 8, .replaced = 1500000},
    };
    HfText text = {0};

    hf_view_add_metrics(views, 2, &text);
    assert_non_null(strstr(hf_text_peek(&text),
                           "# TYPE holdfast_generation gauge\nholdfast_generation{name=\"one\"} 7\n"
                           "holdfast_generation{name=\"two\"} 8\n# HELP"));
    assert_non_null(strstr(hf_text_peek(&text),
                           "# TYPE holdfast_last_reload_timestamp_seconds gauge\n"
                           "holdfast_last_reload_timestamp_seconds{name=\"two\"} 1.500000\n"));
    /* what has no sample has no comment */
    assert_null(strstr(hf_text_peek(&text), "holdfast_queue_depth"));
    hf_text_clear(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_escaped_in_json),
        cmocka_unit_test(labels_are_escaped_for_prometheus),
        cmocka_unit_test(instances_share_the_comments_of_a_metric),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
