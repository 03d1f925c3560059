/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "format/address.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define PATH_106 "/" LABEL_63 "/abcdefghijklmnopqrstuvwxyzabcdefghijklmno"

static HfAddress parsed(const char *text)
{
    HfAddress address;
    if (hf_address_parse(text, &address) < 0)
        fail_msg("refused: %s", text);
    return address;
}

static void parse_knows_every_type(void **state)
{
    static const struct {
        const char *text;
        int type;
        HfAddressKind kind;
    } rows[] = {
        {"9000", 0, HF_ADDRESS_PORT},
        {"udp:53", SOCK_DGRAM, HF_ADDRESS_PORT},
        {"udp:127.0.0.1:53", SOCK_DGRAM, HF_ADDRESS_INET},
        {"udp:[::1]:53", SOCK_DGRAM, HF_ADDRESS_INET6},
        {"udp:localhost:53", SOCK_DGRAM, HF_ADDRESS_HOST},
        {"dgram:/run/x.sock", SOCK_DGRAM, HF_ADDRESS_UNIX},
        {"dgram:@x", SOCK_DGRAM, HF_ADDRESS_ABSTRACT},
        {"seqpacket:/run/x.sock", SOCK_SEQPACKET, HF_ADDRESS_UNIX},
        {"seqpacket:@x", SOCK_SEQPACKET, HF_ADDRESS_ABSTRACT},
    };
    static const char *const refused[] = {
        "udp:/run/x.sock", "udp:@x",  "dgram:53",     "seqpacket:[::1]:53", "udp:",
        "udp:udp:53",      "dgram:x", "udp:dgram:53", "udp:seqpacket:53",   "sctp:x:53",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char text[HF_ADDRESS_TEXT_MAX];
        HfAddress address;
        assert_int_equal(hf_address_parse_any(rows[i].text, &address), 0);
        assert_int_equal(address.type, rows[i].type);
        assert_int_equal(address.kind, rows[i].kind);
        hf_address_format(&address, text);
        assert_string_equal(text, rows[i].text);
        HfAddress stream = address;
        stream.type = 0;
        assert_true(hf_address_equal(&address, &address));
        assert_int_equal(hf_address_equal(&address, &stream), address.type == 0);
        bool local = rows[i].kind == HF_ADDRESS_UNIX || rows[i].kind == HF_ADDRESS_ABSTRACT;
        assert_int_equal(hf_address_is_unix(&address), local);
        assert_int_equal(hf_address_is_tcp(&address), !local && address.type == 0);
        assert_int_equal(hf_address_is_tcp(&stream), !local);
    }
    for (size_t i = 0; i < LENGTH(refused); i++) {
        HfAddress address;
        assert_int_equal(hf_address_parse_any(refused[i], &address), -EINVAL);
    }
}

static void parse_knows_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
        HfAddressKind kind;
        uint16_t port;
    } rows[] = {
        {"9000", "9000", HF_ADDRESS_PORT, 9000},
        {"1", "1", HF_ADDRESS_PORT, 1},
        {"65535", "65535", HF_ADDRESS_PORT, 65535},
        {"00080", "80", HF_ADDRESS_PORT, 80},
        {"127.0.0.1:9000", "127.0.0.1:9000", HF_ADDRESS_INET, 9000},
        {"0.0.0.0:1", "0.0.0.0:1", HF_ADDRESS_INET, 1},
        {"255.255.255.255:65535", "255.255.255.255:65535", HF_ADDRESS_INET, 65535},
        {"[::1]:9000", "[::1]:9000", HF_ADDRESS_INET6, 9000},
        {"[::]:9000", "[::]:9000", HF_ADDRESS_INET6, 9000},
        {"[0:0:0:0:0:0:0:1]:9000", "[::1]:9000", HF_ADDRESS_INET6, 9000},
        {"[FE80::A%2]:9000", "[fe80::a%2]:9000", HF_ADDRESS_INET6, 9000},
        {"[fe80::1%4294967295]:9000", "[fe80::1%4294967295]:9000", HF_ADDRESS_INET6, 9000},
        {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80", HF_ADDRESS_INET6, 80},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", HF_ADDRESS_INET6, 65535},
        {"localhost:9000", "localhost:9000", HF_ADDRESS_HOST, 9000},
        {"LocalHost:9000", "localhost:9000", HF_ADDRESS_HOST, 9000},
        {"a:1", "a:1", HF_ADDRESS_HOST, 1},
        {"3com.example.com:80", "3com.example.com:80", HF_ADDRESS_HOST, 80},
        {"1.2.3.4a:80", "1.2.3.4a:80", HF_ADDRESS_HOST, 80},
        {"xn--bcher-kva.example:80", "xn--bcher-kva.example:80", HF_ADDRESS_HOST, 80},
        {LABEL_63 ":80", LABEL_63 ":80", HF_ADDRESS_HOST, 80},
        {"/run/x.sock", "/run/x.sock", HF_ADDRESS_UNIX, 0},
        {"unix:/run/x.sock", "/run/x.sock", HF_ADDRESS_UNIX, 0},
        {"/run/a b,c=d:9000", "/run/a b,c=d:9000", HF_ADDRESS_UNIX, 0},
        {PATH_106 "x", PATH_106 "x", HF_ADDRESS_UNIX, 0},
        {"@name", "@name", HF_ADDRESS_ABSTRACT, 0},
        {"*:9000", "9000", HF_ADDRESS_PORT, 9000},
        {"[fe80::1%br-lan.7]:80", "[fe80::1%br-lan.7]:80", HF_ADDRESS_INET6, 80},
        {"@@/x:1", "@@/x:1", HF_ADDRESS_ABSTRACT, 0},
        {"@" PATH_106 "x", "@" PATH_106 "x", HF_ADDRESS_ABSTRACT, 0},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HfAddress address = parsed(rows[i].text);
        assert_int_equal(address.kind, rows[i].kind);
        assert_int_equal(address.port, rows[i].port);

        char text[HF_ADDRESS_TEXT_MAX];
        hf_address_format(&address, text);
        assert_string_equal(text, rows[i].canonical);
        HfAddress again = parsed(text);
        assert_true(hf_address_equal(&address, &again));
        assert_int_equal(again.kind, address.kind);
        assert_memory_equal(again.ip, address.ip, sizeof(address.ip));
        assert_int_equal(again.scope, address.scope);
        assert_string_equal(again.name, address.name);
    }
}

static void parse_fills_the_value(void **state)
{
    (void)state;
    static const uint8_t local[16] = {127, 0, 0, 1};
    static const uint8_t link_local[16] = {0xfe, 0x80, [15] = 1};
    HfAddress address = parsed("127.0.0.1:9000");
    assert_memory_equal(address.ip, local, sizeof(local));
    assert_string_equal(address.name, "");
    address = parsed("[fe80::1%7]:9000");
    assert_memory_equal(address.ip, link_local, sizeof(link_local));
    assert_int_equal(address.scope, 7);
    assert_false(hf_address_is_looked_up(&address));
    address = parsed("[fe80::1%eth0]:9000");
    assert_int_equal(address.scope, 0);
    assert_string_equal(address.name, "eth0");
    assert_true(hf_address_is_looked_up(&address));
    address = parsed("host:1");
    assert_true(hf_address_is_looked_up(&address));
    address = parsed("/x");
    assert_false(hf_address_is_looked_up(&address));
    assert_string_equal(parsed("@x/y").name, "x/y");
    assert_string_equal(parsed("unix:/x").name, "/x");
    assert_string_equal(parsed("Host:1").name, "host");
}

static void parse_refuses(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "0",
        "65536",
        "-1",
        "+1",
        "9000 ",
        " 9000",
        "9000x",
        "0x50",
        "99999999999999999999999",
        ":9000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:9000 ",
        "127.0.0.1:9000:1",
        "127.0.0.1 :9000",
        "127.1:9000",
        "256.0.0.1:9000",
        "1.2.3.4.5:9000",
        "0127.0.0.1:9000",
        "2130706433:9000",
        "a.1:9000",
        "*",
        "*:",
        "*:*:9000",
        "::1:9000",
        "::1",
        "[::1]",
        "[::1]9000",
        "[::1]:",
        "[::1]:0",
        "[::1:9000",
        "[]:9000",
        "[:::1]:9000",
        "[127.0.0.1]:9000",
        "[::1%]:9000",
        "[::1%0]:9000",
        "[::1%a-name-too-long1]:9000",
        "[::1%a/b]:9000",
        "[::1%a:b]:9000",
        "[::1%1%2]:9000",
        "[::1%4294967296]:9000",
        "[::1%1 ]:9000",
        "[[::1]]:9000",
        "[0000000000:0000000000:0000000000:0000000000:0000000000:0000000000:0000000000]:1",
        "-a:9000",
        "a-:9000",
        "a-.b:9000",
        "a.-b:9000",
        "a..b:9000",
        ".a:9000",
        "a.:9000",
        "a_b:9000",
        "a b:9000",
        "a/b:9000",
        "b\xc3\xbc"
        "cher:9000",
        LABEL_63 "l:80",
        "localhost",
        "localhost:http",
        "run/x.sock",
        "./x.sock",
        "unix:",
        "unix:x.sock",
        "unix:@x",
        "unix:unix:/x",
        "UNIX:/x",
        "UNIX:80",
        "unix:80",
        "/",
        "/run/",
        "unix:/run/",
        "/run/x\n.sock",
        "/run/\x7f",
        "@",
        "@x\ty",
        "9000\n",
        "localhost\r:9000",
    };
    for (size_t i = 0; i < LENGTH(malformed); i++) {
        HfAddress address;
        memset(&address, 0x5a, sizeof(address));
        HfAddress before;
        memcpy(&before, &address, sizeof(before));
        int r = hf_address_parse(malformed[i], &address);
        if (r != -EINVAL)
            fail_msg("\"%s\": %d", malformed[i], r);
        assert_memory_equal(&address, &before, sizeof(before));
    }
}

static void parse_refuses_what_is_too_long(void **state)
{
    (void)state;
    HfAddress address;
    assert_int_equal(hf_address_parse(PATH_106 "xy", &address), -ENAMETOOLONG);
    assert_int_equal(hf_address_parse("unix:" PATH_106 "xy", &address), -ENAMETOOLONG);
    assert_int_equal(hf_address_parse("@" PATH_106 "xy", &address), -ENAMETOOLONG);

    static char host[100000];
    memset(host, 'a', sizeof(host) - 1);
    memcpy(host + sizeof(host) - 4, ":80", 4);
    assert_int_equal(hf_address_parse(host, &address), -ENAMETOOLONG);
    *host = '/';
    assert_int_equal(hf_address_parse(host, &address), -ENAMETOOLONG);
    *host = '[';
    assert_int_equal(hf_address_parse(host, &address), -EINVAL);
    memset(host, '9', sizeof(host) - 1);
    assert_int_equal(hf_address_parse(host, &address), -EINVAL);
}

static void longest_host_fits(void **state)
{
    (void)state;
    char host[HF_ADDRESS_HOST_MAX + sizeof("x:65535")];
    for (size_t i = 0; i <= HF_ADDRESS_HOST_MAX; i++)
        host[i] = i % 4 == 3 ? '.' : 'a';
    memcpy(host + HF_ADDRESS_HOST_MAX, ":65535", sizeof(":65535"));
    HfAddress address = parsed(host);
    char text[HF_ADDRESS_TEXT_MAX];
    hf_address_format(&address, text);
    assert_string_equal(text, host);

    memcpy(host + HF_ADDRESS_HOST_MAX, "a:65535", sizeof("a:65535"));
    assert_int_equal(hf_address_parse(host, &address), -ENAMETOOLONG);
}

static void none_has_no_text(void **state)
{
    (void)state;
    char text[HF_ADDRESS_TEXT_MAX] = "x";
    hf_address_format(&(HfAddress){0}, text);
    assert_string_equal(text, "");
}

static void sockaddr_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"127.0.0.1:9000", sizeof(struct sockaddr_in)},
        {"[::1]:9000", sizeof(struct sockaddr_in6)},
        {"[fe80::1%3]:80", sizeof(struct sockaddr_in6)},
        {"/run/x.sock", offsetof(struct sockaddr_un, sun_path) + sizeof("/run/x.sock")},
        {PATH_106 "x", offsetof(struct sockaddr_un, sun_path) + 108},
        {"@name", offsetof(struct sockaddr_un, sun_path) + 5},
        {"@" PATH_106 "x", offsetof(struct sockaddr_un, sun_path) + 108},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HfAddress address = parsed(rows[i].text), back;
        struct sockaddr_storage storage;
        socklen_t length = 0;
        assert_int_equal(hf_address_to_sockaddr(&address, &storage, &length), 0);
        assert_int_equal(length, rows[i].length);
        assert_int_equal(hf_address_from_sockaddr(&storage, length, &back), 0);
        assert_true(hf_address_equal(&address, &back));
        char text[HF_ADDRESS_TEXT_MAX];
        hf_address_format(&back, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void sockaddr_has_its_bytes(void **state)
{
    (void)state;
    struct sockaddr_storage storage;
    socklen_t length;
    HfAddress address = parsed("127.0.0.1:9000");
    assert_int_equal(hf_address_to_sockaddr(&address, &storage, &length), 0);
    struct sockaddr_in in;
    memcpy(&in, &storage, sizeof(in));
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(in.sin_port, htons(9000));
    assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));

    address = parsed("9000");
    assert_int_equal(hf_address_to_sockaddr(&address, &storage, &length), 0);
    struct sockaddr_in6 in6;
    memcpy(&in6, &storage, sizeof(in6));
    assert_int_equal(in6.sin6_family, AF_INET6);
    assert_int_equal(in6.sin6_port, htons(9000));
    assert_true(IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr));
    assert_int_equal(in6.sin6_scope_id, 0);

    address = parsed("@ab");
    assert_int_equal(hf_address_to_sockaddr(&address, &storage, &length), 0);
    struct sockaddr_un un;
    memcpy(&un, &storage, sizeof(un));
    assert_memory_equal(un.sun_path, "\0ab", 3);
}

static void some_have_no_sockaddr(void **state)
{
    (void)state;
    struct sockaddr_storage storage;
    socklen_t length = 77;
    HfAddress host = parsed("localhost:80");
    assert_int_equal(hf_address_to_sockaddr(&host, &storage, &length), -EINVAL);
    assert_int_equal(hf_address_to_sockaddr(&(HfAddress){0}, &storage, &length), -EINVAL);
    assert_int_equal(length, 77);
}

static int from_unix(const char *path, size_t n, HfAddress *ret)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, n);
    struct sockaddr_storage storage = {0};
    memcpy(&storage, &un, sizeof(un));
    return hf_address_from_sockaddr(&storage,
                                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n), ret);
}

static void unix_names_of_the_kernel(void **state)
{
    (void)state;
    HfAddress address = {0};
    assert_int_equal(from_unix("", 0, &address), -EINVAL);
    assert_int_equal(from_unix("\0", 1, &address), -EINVAL);
    assert_int_equal(from_unix("\0a\0b", 4, &address), -EINVAL);
    assert_int_equal(from_unix("relative", 9, &address), -EINVAL);
    assert_int_equal(address.kind, HF_ADDRESS_NONE);

    assert_int_equal(from_unix("/run/x", 6, &address), 0);
    assert_string_equal(address.name, "/run/x");
    assert_int_equal(from_unix("/run/x\0garbage", 14, &address), 0);
    assert_string_equal(address.name, "/run/x");
    assert_int_equal(from_unix(PATH_106 "xy", 108, &address), 0);
    assert_string_equal(address.name, PATH_106 "xy");
}

static void foreign_and_short_sockaddrs(void **state)
{
    (void)state;
    HfAddress address;
    struct sockaddr_storage storage = {.ss_family = AF_NETLINK};
    assert_int_equal(hf_address_from_sockaddr(&storage, sizeof(storage), &address), -EAFNOSUPPORT);
    assert_int_equal(hf_address_from_sockaddr(&storage, 0, &address), -EINVAL);
    assert_int_equal(hf_address_from_sockaddr(&storage, 1, &address), -EINVAL);
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX};
    for (size_t i = 0; i < LENGTH(families); i++) {
        storage.ss_family = families[i];
        assert_int_equal(hf_address_from_sockaddr(&storage, 2, &address), -EINVAL);
        assert_int_equal(hf_address_from_sockaddr(&storage, sizeof(storage) + 1, &address),
                         -EINVAL);
    }
    storage.ss_family = AF_UNIX;
    assert_int_equal(hf_address_from_sockaddr(&storage, sizeof(storage), &address), -EINVAL);
}

static void equality(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"9000", "9000", true},
        {"9000", "9001", false},
        {"9000", "[::]:9000", true},
        {"9000", "0.0.0.0:9000", true},
        {"9000", "[::]:9001", false},
        {"9000", "127.0.0.1:9000", false},
        {"9000", "[::1]:9000", false},
        {"9000", "[::%2]:9000", false},
        {"9000", "localhost:9000", false},
        {"9000", "/9000", false},
        {"0.0.0.0:9000", "[::]:9000", false},
        {"127.0.0.1:9000", "127.0.0.1:9000", true},
        {"127.0.0.1:9000", "127.0.0.1:9001", false},
        {"127.0.0.1:9000", "127.0.0.2:9000", false},
        {"[::1]:9000", "[0::1]:9000", true},
        {"[fe80::1%1]:9000", "[fe80::1%2]:9000", false},
        {"localhost:1", "LOCALHOST:1", true},
        {"localhost:1", "localhost:2", false},
        {"localhost:1", "localhos:1", false},
        {"localhost:1", "127.0.0.1:1", false},
        {"/x", "unix:/x", true},
        {"/x", "/X", false},
        {"/x", "@/x", false},
        {"@a", "@a", true},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HfAddress a = parsed(rows[i].a), b = parsed(rows[i].b);
        if (hf_address_equal(&a, &b) != rows[i].equal || hf_address_equal(&b, &a) != rows[i].equal)
            fail_msg("%s, %s", rows[i].a, rows[i].b);
    }
    HfAddress none = {0};
    assert_false(hf_address_equal(&none, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_knows_every_type),
        cmocka_unit_test(parse_knows_every_kind),
        cmocka_unit_test(parse_fills_the_value),
        cmocka_unit_test(parse_refuses),
        cmocka_unit_test(parse_refuses_what_is_too_long),
        cmocka_unit_test(longest_host_fits),
        cmocka_unit_test(none_has_no_text),
        cmocka_unit_test(sockaddr_round_trip),
        cmocka_unit_test(sockaddr_has_its_bytes),
        cmocka_unit_test(some_have_no_sockaddr),
        cmocka_unit_test(unix_names_of_the_kernel),
        cmocka_unit_test(foreign_and_short_sockaddrs),
        cmocka_unit_test(equality),
    };
    return cmocka_run_group_tests_name("core/address", tests, NULL, NULL);
}
