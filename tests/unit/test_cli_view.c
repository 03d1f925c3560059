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
        .spared = "sleep (7)",
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
    assert_non_null(strstr(hf_text_peek(&text), "\"spared\":\"sleep (7)\""));
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

    hf_view_add_metrics(&view, 1, false, &text);
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

    hf_view_add_metrics(views, 2, false, &text);
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

/* Of a pool that does not answer nothing is said, as of what PHP does not know. */
static void pools_and_the_cache_are_figures(void **state)
{
    (void)state;
    HfViewPool pools[] = {
        {.name = "www",
         .active = 3,
         .idle = 1,
         .total = 4,
         .limit = 4,
         .memory_peak = -1,
         .error = ""},
        {"api", -1, -1, -1, 8, 2, -1, -1, -1, -1, "no answer within 2 s"},
    };
    HfViewCache cache = {.scripts = 7, .error = ""};
    HfView view = view_of(NULL, NULL, NULL);
    HfText text = {0};

    view.n_listeners = 0;
    view.pools = pools;
    view.n_pools = 2;
    view.caches = &cache;
    view.n_caches = 1;
    view.switched_after = 2500000;
    hf_view_add_metrics(&view, 1, false, &text);
    const char *shown = hf_text_peek(&text);
    assert_non_null(
        strstr(shown, "gauge\nholdfast_pool_active_workers{name=\"web\",pool=\"www\"} 3\n#"));
    assert_non_null(strstr(shown, "holdfast_pool_workers_limit{name=\"web\",pool=\"api\"} 8\n"));
    assert_non_null(strstr(shown, "# TYPE holdfast_opcache_hits_total counter\n"));
    assert_non_null(strstr(shown, "\nholdfast_opcache_scripts{name=\"web\"} 7\n"));
    assert_non_null(strstr(shown, "\nholdfast_switch_seconds{name=\"web\"} 2.500000\n"));
    assert_null(strstr(shown, "memory_peak"));
    assert_null(strstr(shown, "drain_seconds"));
    assert_null(strstr(shown, "# EOF"));
    hf_text_clear(&text);
    view.n_events = 0;
    hf_view_add_json(&view, &text);
    assert_non_null(strstr(hf_text_peek(&text), "{\"name\":\"api\",\"active\":null,"));
    assert_non_null(strstr(hf_text_peek(&text), "\"error\":\"no answer within 2 s\"}]"));
    hf_text_clear(&text);
}

static void openmetrics_has_units_and_an_end(void **state)
{
    (void)state;
    const HfView views[] = {
        {.name = "one", .version = "1", .state = "running", .failures = 2, .started = 1500000},
    };
    HfText text = {0};

    hf_view_add_metrics(views, 1, true, &text);
    const char *shown = hf_text_peek(&text);
    assert_non_null(
        strstr(shown, "# TYPE holdfast info\nholdfast_info{name=\"one\",version=\"1\"} 1\n"));
    assert_non_null(
        strstr(shown, "# TYPE holdfast_start_failures counter\nholdfast_start_failures_total{"));
    assert_non_null(strstr(shown, "# UNIT holdfast_start_time_seconds seconds\n"));
    assert_non_null(strstr(shown, "# UNIT holdfast_memory_bytes bytes\n"));
    assert_string_equal(shown + text.length - strlen("\n# EOF\n"), "\n# EOF\n");
    hf_text_clear(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_escaped_in_json),
        cmocka_unit_test(labels_are_escaped_for_prometheus),
        cmocka_unit_test(instances_share_the_comments_of_a_metric),
        cmocka_unit_test(pools_and_the_cache_are_figures),
        cmocka_unit_test(openmetrics_has_units_and_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
