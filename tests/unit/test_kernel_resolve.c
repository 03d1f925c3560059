/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/account.h"

#define MAXIMUM 8

static void format(const struct sockaddr_storage *address, char *ret)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

    if (address->ss_family == AF_INET)
        assert_non_null(inet_ntop(AF_INET, &in->sin_addr, ret, INET6_ADDRSTRLEN));
    else
        assert_non_null(inet_ntop(AF_INET6, &in6->sin6_addr, ret, INET6_ADDRSTRLEN));
}

static void test_numeric(void **state)
{
    const struct {
        const char *host;
        int family;
        unsigned length;
    } table[] = {
        {"127.0.0.1", AF_INET, sizeof(struct sockaddr_in)},
        {"0.0.0.0", AF_INET, sizeof(struct sockaddr_in)},
        {"203.0.113.7", AF_INET, sizeof(struct sockaddr_in)},
        {"::1", AF_INET6, sizeof(struct sockaddr_in6)},
        {"2001:db8::1", AF_INET6, sizeof(struct sockaddr_in6)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct sockaddr_storage addresses[MAXIMUM];
        unsigned lengths[MAXIMUM];
        char text[INET6_ADDRSTRLEN];

        assert_int_equal(hf_resolve(table[i].host, 9000, addresses, lengths, MAXIMUM), 1);
        assert_int_equal(addresses[0].ss_family, table[i].family);
        assert_int_equal(lengths[0], table[i].length);
        format(&addresses[0], text);
        assert_string_equal(text, table[i].host);
        /* the port has the same place in both */
        assert_int_equal(ntohs(((struct sockaddr_in *)&addresses[0])->sin_port), 9000);
    }
}

static void test_localhost(void **state)
{
    struct sockaddr_storage addresses[MAXIMUM];
    unsigned lengths[MAXIMUM];
    bool found = false;

    (void)state;
    int n = hf_resolve("localhost", 65535, addresses, lengths, MAXIMUM);
    assert_in_range(n, 1, MAXIMUM);
    for (int i = 0; i < n; i++) {
        char text[INET6_ADDRSTRLEN];

        format(&addresses[i], text);
        found = found || strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0;
        assert_int_equal(ntohs(((struct sockaddr_in *)&addresses[i])->sin_port), 65535);
    }
    assert_true(found);
}

static void test_maximum(void **state)
{
    struct sockaddr_storage addresses[2] = {0};
    unsigned lengths[2] = {0, 77};

    (void)state;
    assert_int_equal(hf_resolve("localhost", 1, addresses, lengths, 1), 1);
    assert_int_equal(lengths[1], 77);
    assert_int_equal(addresses[1].ss_family, AF_UNSPEC);
}

/* Names that no resolver can have: a label is 63 bytes at most, a name 253 (RFC 1035). */
static void test_unknown(void **state)
{
    static char long_label[100];
    static char long_name[5000];
    const char *const hosts[] = {"", "256.0.0.1", "::g", "a b", long_label, long_name};

    (void)state;
    memset(long_label, 'a', sizeof(long_label) - 1);
    for (size_t i = 0; i < sizeof(long_name) - 1; i++)
        long_name[i] = i % 50 == 49 ? '.' : 'a';
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        struct sockaddr_storage addresses[MAXIMUM] = {0};
        unsigned lengths[MAXIMUM] = {77};

        assert_int_equal(hf_resolve(hosts[i], 9000, addresses, lengths, MAXIMUM), -ENOENT);
        assert_int_equal(addresses[0].ss_family, AF_UNSPEC);
        assert_int_equal(lengths[0], 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
