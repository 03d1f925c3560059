/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "config/options.h"
#include "format/capability.h"

#define BIT(number) (UINT64_C(1) << (number))

static void parses(const char *text, uint64_t expected)
{
    uint64_t capabilities = 0x5a;

    assert_int_equal(hf_capabilities_parse(text, &capabilities, NULL, NULL), 0);
    assert_true(capabilities == expected);
}

static void names_become_sets(void **state)
{
    (void)state;
    parses("none", 0);
    parses("chown", BIT(CAP_CHOWN));
    parses("net_bind_service,setuid", BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID));
    parses("CAP_KILL,Cap_setgid,kill", BIT(CAP_KILL) | BIT(CAP_SETGID));
    parses("checkpoint_restore", BIT(CAP_CHECKPOINT_RESTORE));
}

static void what_is_unknown_is_pointed_at(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        size_t length;
    } cases[] = {
        {"", 0, 0},         {"kil", 0, 3},           {"kill,", 5, 0},     {",kill", 0, 0},
        {"kill,x,y", 5, 1}, {"kill, x", 5, 2},       {"none,kill", 0, 4}, {"cap_", 0, 4},
        {"NONE", 0, 4},     {"cap_cap_kill", 0, 12},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *unknown = NULL;
        size_t length = 99;
        uint64_t capabilities = 0x5a;

        assert_int_equal(hf_capabilities_parse(cases[i].text, &capabilities, &unknown, &length),
                         -EINVAL);
        assert_ptr_equal(unknown, cases[i].text + cases[i].at);
        assert_int_equal(length, cases[i].length);
        assert_int_equal(hf_capabilities_parse(cases[i].text, &capabilities, NULL, NULL), -EINVAL);
        assert_true(capabilities == 0x5a);
    }
}

static void sets_have_a_text(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};

    hf_capabilities_format(0, &text);
    hf_text_add(&text, " ");
    hf_capabilities_format(BIT(CAP_SETUID) | BIT(CAP_CHOWN), &text);
    assert_string_equal(hf_text_peek(&text), "none chown,setuid");
}

static void each_name_is_its_own_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HF_CAPABILITY_COUNT; i++)
        parses(hf_capability_name(i), BIT(i));
}

static void bad_options_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        const char *error;
    } cases[] = {
        {"--capabilities=setui",
         "--capabilities: \"setui\" is not a capability; did you mean setuid?"},
        {"--capabilities=quux",
         "--capabilities: \"quux\" is not a capability; write none, or names "
         "of capabilities(7) as net_bind_service,kill"},
        {"--user=", "--user: the text is empty; leave the option out"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HfCommandLine line;
        char option[64];
        char *argv[] = {(char[]){"holdfast"}, (char[]){"run"}, option, (char[]){"x"}, NULL};

        strcpy(option, cases[i].option);
        assert_int_equal(hf_options_parse(4, argv, &line, &error), -EINVAL);
        assert_string_equal(hf_text_peek(&error), cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_sets),
        cmocka_unit_test(what_is_unknown_is_pointed_at),
        cmocka_unit_test(sets_have_a_text),
        cmocka_unit_test(each_name_is_its_own_set),
        cmocka_unit_test(bad_options_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
