/* SPDX-License-Identifier: MIT */
/* Whichever allocation fails: what needed it says so, keeps its outputs, and leaks nothing. What a
 * service is started with and asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "format/cgroup.h"
#include "format/fastcgi.h"
#include "format/pages.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

#include "allocation_helpers.h"
#include "phpfpm_helpers.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static int result_of(const HfText *text)
{
    return text->failed ? -ENOMEM : 0;
}

/* ---- what a generation gets ---- */

typedef struct Handoff {
    const HfHandoff *kind;
    const HfHandoffListener *listeners;
    size_t n;
} Handoff;

static int place(void *context)
{
    const Handoff *handoff = context;
    HfPlacement placement;
    int r = hf_handoff_place(handoff->kind, handoff->listeners, handoff->n, &placement);

    if (r == 0)
        hf_placement_clear(&placement);
    return r;
}

static void handoffs(void **state)
{
    static const char *const keys[] = {"127.0.0.1:9000", "0.0.0.0:9000"};
    HfHandoffListener listeners[300];

    (void)state;
    for (size_t i = 0; i < LENGTH(listeners); i++)
        listeners[i] = (HfHandoffListener){.name = "web", .keys = keys};
    for (size_t k = 0; hf_handoffs[k]; k++) {
        const HfHandoff *kind = hf_handoffs[k];
        for (size_t i = 0; i < LENGTH(listeners); i++)
            listeners[i].n_keys = kind == &hf_handoff_server_starter ? 1 : LENGTH(keys);
        Handoff handoff = {kind, listeners, kind == &hf_handoff_stdin ? 1 : LENGTH(listeners)};
        assert_true(fail_each_allocation(place, &handoff) > 1);
    }
}

static int place_planned(void *context)
{
    const HfPlanned *wanted = context;
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    HF_CLEANUP_TEXT HfText error = {0};

    return hf_handoff_place_planned(&hf_handoff_php_fpm, wanted, 1, &placement, &error);
}

static void planned_sockets(void **state)
{
    HfPlanned wanted = {.spec.address = {.kind = HF_ADDRESS_PORT, .port = 9000}};

    (void)state;
    assert_true(fail_each_allocation(place_planned, &wanted) > 3);
}

/* ---- php-fpm ---- */

static int parse_arguments(void *argv)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfPhpfpmArguments arguments;
    int r = hf_phpfpm_arguments_parse(argv, &arguments, &error);

    if (r == 0)
        hf_phpfpm_arguments_clear(&arguments);
    return r;
}

static int parse_dump(void *context)
{
    const HfText *dump = context;
    HfPhpfpmConfig config;
    int r = hf_phpfpm_config_parse(dump->data, dump->length, &config);

    if (r == 0)
        hf_phpfpm_config_clear(&config);
    return r;
}

static int restate_dump(void *context)
{
    const HfText *dump = context;
    HF_CLEANUP_TEXT HfText text = {0};
    int r = hf_phpfpm_restate(dump->data, dump->length, &text);

    return r < 0 ? r : result_of(&text);
}

static int make_include(void *arguments)
{
    HF_CLEANUP_FREE char *include = NULL;

    return hf_phpfpm_include(arguments, "/srv", 0, &include);
}

static int make_overlay(void *overlay)
{
    HF_CLEANUP_TEXT HfText text = {0};
    int r = hf_phpfpm_overlay(overlay, &text);

    return r < 0 ? r : result_of(&text);
}

static int make_address(void *listen)
{
    HfAddress address;

    return hf_phpfpm_address(listen, "/srv", &address);
}

static void phpfpm(void **state)
{
    HF_CLEANUP_TEXT HfText dump = read_fixture("pools.txt");
    HF_CLEANUP_TEXT HfText plain = read_fixture("debian.txt");
    HfPhpfpmArguments relative = {.prefix = (char[]){"x"}};
    HfPhpfpmArguments none = {0};
    char *argv[] = {(char[]){"php-fpm"},
                    (char[]){"-n"},
                    (char[]){"-d"},
                    (char[]){"a=b"},
                    (char[]){"-F"},
                    (char[]){"-y/x"},
                    (char[]){"-p"},
                    (char[]){"/p"},
                    (char[]){"-g"},
                    (char[]){"/g"},
                    NULL};
    HF_CLEANUP_TEXT HfText placed = {0};
    const HfPhpfpmOverride override = {.pool = "www",
                                       .listen = "/run/www",
                                       .status_listen = "/s",
                                       .ping_path = "/ping",
                                       .allowed_clients = "127.0.0.1"};
    HfPhpfpmOverlay overlay = {.include = "\"/x\"",
                               .pid_file = "/run/x.pid",
                               .systemd_interval = true,
                               .overrides = &override,
                               .n_overrides = 1};

    (void)state;
    assert_true(fail_each_allocation(parse_arguments, argv) > 5);
    assert_true(fail_each_allocation(parse_dump, &dump) > 5);
    hf_text_add(&placed, "[24-Nov-2026 00:08:26] NOTICE: [global]\n"
                         "[24-Nov-2026 00:08:26] NOTICE: \tsyslog.ident = /usr:/etc/f.conf\n");
    hf_text_add(&placed, strchr(plain.data, '\n') + 1);
    assert_true(fail_each_allocation(parse_dump, &placed) > 5);
    assert_true(fail_each_allocation(restate_dump, &plain) > 5);
    assert_true(fail_each_allocation(make_include, &relative) > 1);
    assert_int_equal(fail_each_allocation(make_include, &none), 1);
    assert_true(fail_each_allocation(make_overlay, &overlay) > 1);
    assert_int_equal(fail_each_allocation(make_address, (char[]){"www.sock"}), 1);
}

/* ---- FastCGI ---- */

static int make_request(void *request)
{
    HF_CLEANUP_TEXT HfText text = {0};

    return hf_fastcgi_request(request, &text);
}

static int read_answer(void *context)
{
    const HfText *records = context;
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
    HfFastcgiAnswer answer;

    hf_fastcgi_reader_init(&reader);
    assert_int_equal(hf_fastcgi_reader_feed(&reader, records->data, records->length),
                     HF_FASTCGI_DONE);
    return hf_fastcgi_reader_answer(&reader, &answer);
}

static void fastcgi(void **state)
{
    static const char records[] = "\1\6\0\1\0\16\0\0Status: 200\n\na"
                                  "\1\7\0\1\0\1\0\0b"
                                  "\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0";
    static const char *const headers[] = {"User-Agent: x", NULL};
    HfFastcgiRequest request = {
        .uri = "/ping?x", .headers = headers, .body = "b", .body_length = 1};
    HfText text = {.data = (char *)(uintptr_t)records, .length = sizeof(records)};

    (void)state;
    assert_true(fail_each_allocation(make_request, &request) > 1);
    assert_int_equal(fail_each_allocation(read_answer, &text), 2);
}

static int parse_page(void *line)
{
    HfPage page;
    int r = hf_page_parse(line, strlen(line), &page);

    if (r > 0)
        hf_page_clear(&page);
    return r < 0 ? r : 0;
}

static void pages(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(parse_page, (char[]){"GET http://a/b"}), 4);
}

/* What could not be looked at is unknown. */
static int scan(void *path)
{
    HfText input = {0};
    char found[64];
    int ends[2];

    hf_text_addf(&input, "%s\n/nowhere", (const char *)path);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    hf_phpfpm_scan(ends[1], &input);
    close(ends[1]);
    ssize_t n = read(ends[0], found, sizeof(found));
    close(ends[0]);
    assert_true(n > 1);
    return memmem(found, (size_t)n, HF_PHPFPM_UNKNOWN "\n", 2) ? -ENOMEM : 0;
}

static void scans(void **state)
{
    char path[] = "/tmp/holdfast-scan-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "a = ${B}\ninclude = ./x\n"), 23);
    close(fd);
    assert_true(fail_each_allocation(scan, path) > 3);
    assert_int_equal(unlink(path), 0);
}

static int find_directory(void *cgroup)
{
    HF_CLEANUP_TEXT HfText text = {0};
    int r = hf_cgroup_directory("1 1 0:1 / /sys rw - cgroup2 x rw\n", cgroup, NULL, &text);

    return r < 0 ? r : result_of(&text);
}

static void cgroups(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(find_directory, (char[]){"0::/x\n"}), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handoffs), cmocka_unit_test(planned_sockets), cmocka_unit_test(phpfpm),
        cmocka_unit_test(fastcgi),  cmocka_unit_test(cgroups),         cmocka_unit_test(pages),
        cmocka_unit_test(scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
