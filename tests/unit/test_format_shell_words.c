/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "format/words.h"

/* words: joined by '|', NULL when the text is refused. */
static const struct {
    const char *text;
    const char *words;
} cases[] = {
    {"", ""},
    {" \t\n", ""},
    {"php-fpm8.2", "php-fpm8.2"},
    {"  php-fpm8.2   -y\t/etc/x.conf ", "php-fpm8.2|-y|/etc/x.conf"},
    {"a 'b c' d", "a|b c|d"},
    {"a \"b c\" d", "a|b c|d"},
    {"a'b 'c\" d\"", "ab c d"},
    {"''", ""},
    {"a '' b", "a||b"},
    {"'a\\b\"c'", "a\\b\"c"},
    {"\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d"},
    {"a\\ b \\'c", "a b|'c"},
    {"$HOME *.php `x` ; # y", "$HOME|*.php|`x`|;|#|y"},
    {"'a", NULL},
    {"\"a", NULL},
    {"\"a\\\"", NULL},
    {"a\\", NULL},
};

static void splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_STRV char **words = NULL;
        HF_CLEANUP_TEXT HfText joined = {0};

        int r = hf_shell_words_split(cases[i].text, &words);
        assert_int_equal(r, cases[i].words ? 0 : -EINVAL);
        if (r < 0) {
            assert_null(words);
            continue;
        }
        for (size_t j = 0; words && words[j]; j++)
            hf_text_addf(&joined, "%s%s", j > 0 ? "|" : "", words[j]);
        assert_string_equal(hf_text_peek(&joined), cases[i].words);
    }
}

static void an_empty_word_is_one(void **state)
{
    HF_CLEANUP_STRV char **words = NULL;

    (void)state;
    assert_int_equal(hf_shell_words_split("''", &words), 0);
    assert_int_equal(hf_strv_length(words), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits),
        cmocka_unit_test(an_empty_word_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
