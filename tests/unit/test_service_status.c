/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

/* As php-fpm 8.2 prints it. */
static const char page[] = "pool:                 www\n"
                           "process manager:      static\n"
                           "start time:           24/Nov/2026:10:24:13 +0000\n"
                           "start since:          15\n"
                           "accepted conn:        170\n"
                           "listen queue:         3\n"
                           "max listen queue:     4\n"
                           "listen queue len:     4096\n"
                           "idle processes:       5\n"
                           "active processes:     11\n"
                           "total processes:      16\n"
                           "max active processes: 12\n"
                           "max children reached: 2\n"
                           "slow requests:        6\n"
                           "memory peak:          2097152\n"; /* of 8.4 */

static void the_page_of_php_fpm_is_read(void **state)
{
    (void)state;
    HfScoreboard status;

    assert_int_equal(hf_phpfpm_status_parse(page, strlen(page), &status), 0);
    assert_int_equal(status.accepted, 170);
    assert_int_equal(status.queued, 3);
    assert_int_equal(status.idle, 5);
    assert_int_equal(status.active, 11);
    assert_int_equal(status.max_children, 2);
    assert_int_equal(status.slow, 6);
    assert_int_equal(status.memory_peak, 2097152);
}

static void the_least_of_all_workers_counts(void **state)
{
    (void)state;
    static const struct {
        const char *workers;
        int result;
        uint64_t least;
    } rows[] = {
        {"", 0, 0},
        {"requests: 7\n", 0, 7},
        {"requests: 7\nrequests: 9\n", 0, 7},
        {"requests: 7\nrequests: 3\nrequests: 5\n", 0, 3},
        {"requests: 7\nrequests: many\n", -EBADMSG, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        HfScoreboard status;
        hf_text_addf(&text, "%s%s", page, rows[i].workers);
        assert_int_equal(hf_phpfpm_status_parse(text.data, text.length, &status), rows[i].result);
        if (rows[i].result == 0)
            assert_int_equal(status.least, rows[i].least);
    }
}

static void the_cache_tells_all_or_nothing(void **state)
{
    (void)state;
    static const char figures[] =
        "scripts: 1\nkeys: 2\nkeys limit: 3\nhits: 4\nmisses: 5\nused: 6\n"
        "free: 7\nwasted: 8\nfull restarts: 9\n";
    const HfCacheFigures expected = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    HfCacheFigures read = {0};

    assert_int_equal(hf_phpfpm_cache_parse(figures, strlen(figures), &read), 0);
    assert_memory_equal(&read, &expected, sizeof(read));
    assert_int_equal(hf_phpfpm_cache_parse(figures, strlen(figures) - 3, &read), -EBADMSG);
    assert_int_equal(hf_phpfpm_cache_parse("scripts: 7\n", 11, &read), -ENODATA);
    assert_int_equal(hf_phpfpm_cache_parse("scripts: many\n", 14, &read), -EBADMSG);
    assert_memory_equal(&read, &expected, sizeof(read));
}

static void what_is_no_such_page_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *page;
        int result;
    } rows[] = {
        {"accepted conn: 1\nidle processes: 2\nactive processes: 3", 0},
        {"accepted conn:1\r\nidle processes:2\r\nactive processes:3\r\n", 0},
        {"", -ENODATA},
        {"File not found.\n", -ENODATA},
        {"accepted conn: 1\nidle processes: 2\n", -ENODATA},
        {"accepted conn: 1\nactive processes: 3\n", -ENODATA},
        {" accepted conn: 1\nidle processes: 2\nactive processes: 3\n", -ENODATA},
        {"accepted conn:\nidle processes: 2\nactive processes: 3\n", -EBADMSG},
        {"accepted conn: -1\nidle processes: 2\nactive processes: 3\n", -EBADMSG},
        {"accepted conn: 1 2\nidle processes: 2\nactive processes: 3\n", -EBADMSG},
        {"accepted conn: 18446744073709551616\nidle processes: 2\nactive processes: 3\n", -EBADMSG},
        {"accepted conn: 000000000000000000000000000000001\n", -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfScoreboard status;
        int r = hf_phpfpm_status_parse(rows[i].page, strlen(rows[i].page), &status);
        if (r != rows[i].result)
            fail_msg("row %zu: %d", i, r);
    }
}

static void a_page_without_an_end_is_refused(void **state)
{
    (void)state;
    char *long_page = calloc(1, HF_PHPFPM_STATUS_MAX + 1);
    HfScoreboard status;

    assert_non_null(long_page);
    memcpy(long_page, page, strlen(page));
    assert_int_equal(hf_phpfpm_status_parse(long_page, HF_PHPFPM_STATUS_MAX, &status), 0);
    assert_int_equal(hf_phpfpm_status_parse(long_page, HF_PHPFPM_STATUS_MAX + 1, &status), -E2BIG);
    free(long_page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_of_php_fpm_is_read),
        cmocka_unit_test(the_least_of_all_workers_counts),
        cmocka_unit_test(the_cache_tells_all_or_nothing),
        cmocka_unit_test(what_is_no_such_page_is_refused),
        cmocka_unit_test(a_page_without_an_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
