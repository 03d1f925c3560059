/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "kernel/file.h"
#include "service/php_fpm/php_fpm.h"

static char directory[] = "/tmp/holdfast-variables-XXXXXX";

static int begin(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return hf_file_remove_directory(directory, NULL, NULL);
}

static void put(const char *name, const char *content, size_t length)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(hf_file_write(path, content, length, 0600), 0);
}

/* What the scan of directory/main.conf, relative includes below directory, prints. */
static const char *scan(void)
{
    HF_CLEANUP_TEXT HfText input = {0};
    static char found[8192];
    int ends[2];

    hf_text_addf(&input, "%s/main.conf\n%s", directory, directory);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    hf_phpfpm_scan(ends[1], &input);
    close(ends[1]);
    ssize_t n = read(ends[0], found, sizeof(found) - 1);
    assert_true(n >= 0);
    found[n] = '\0';
    close(ends[0]);
    return found;
}

static const char *scan_text(const char *content)
{
    put("main.conf", content, strlen(content));
    return scan();
}

static bool is_glob_refused;

/* In place of the C library's. */
int glob(const char *pattern, int flags, int (*errfunc)(const char *, int), glob_t *pglob)
{
    int (*real)(const char *, int, int (*)(const char *, int), glob_t *) = NULL;
    void *found = dlsym(RTLD_NEXT, "glob64");

    if (is_glob_refused)
        return GLOB_NOSPACE;
    assert_non_null(found);
    memcpy(&real, &found, sizeof(real));
    return real(pattern, flags, errfunc, pglob);
}

static void variables_are_found(void **state)
{
    (void)state;
    assert_string_equal(scan_text("[global]\nlisten = $pool\nuser = www\n"), "");
    assert_string_equal(scan_text("a = ${B}\n  ; ${COMMENT}\n\tc = \"x${d.e}${F:-g}\" ; h"),
                        "B\nd.e\nF\n");
    assert_string_equal(scan_text("a = ${cut\n"), "cut\n");
}

static void includes_are_followed(void **state)
{
    (void)state;
    put("one.pool", "a = ${ONE}\n", strlen("a = ${ONE}\n"));
    put("two.pool", "a = ${TWO}", strlen("a = ${TWO}"));
    assert_string_equal(scan_text("include = ./one.pool\n"), "ONE\n");
    assert_string_equal(scan_text("include=\"./two.pool\"\n"), "TWO\n");
    assert_string_equal(scan_text("include = './two.pool' ; more\n"), "TWO\n");
    assert_string_equal(scan_text("include = ./o*.pool  ; more\r\n"), "ONE\n");
    assert_string_equal(scan_text("include = ./none*.pool\n"), "");
    char text[256];
    snprintf(text, sizeof(text), "include = %s/one.pool\n", directory);
    assert_string_equal(scan_text(text), "ONE\n");
}

static void what_cannot_be_read_is_unknown(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "include = PHP_SYSCONFDIR \"/x\"\n",
        "include = CONSTANT\n",
        "include = \"/a$b\"\n",
        "include = \"/a\\b\"\n",
        "include\n",
        "includes = /a\n",
        "include = \n",
        "include = /a PHP 'b'\n",
        "include = ./main.conf\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        assert_string_equal(scan_text(lines[i]), "?\n");
    put("main.conf", "a\0b", 3);
    assert_string_equal(scan(), "?\n");
    char path[256];
    snprintf(path, sizeof(path), "%s/main.conf", directory);
    assert_int_equal(unlink(path), 0);
    assert_string_equal(scan(), "?\n");
}

static void what_includes_too_many_is_unknown(void **state)
{
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    put("leaf.pool", "", 0);
    for (const char *const *name = (const char *const[]){"leaf", "twig", "branch", NULL}; name[1];
         name++) {
        char file[64];
        hf_text_clear(&text);
        for (unsigned i = 0; i < 22; i++)
            hf_text_addf(&text, "include = ./%s.pool\n", name[0]);
        snprintf(file, sizeof(file), "%s.pool", name[1]);
        put(file, text.data, text.length);
    }
    hf_text_clear(&text);
    for (unsigned i = 0; i < 22; i++)
        hf_text_add(&text, "include = ./branch.pool\n");
    const char *found = scan_text(text.data);
    assert_int_equal(strncmp(found, "?\n", 2), 0);
    is_glob_refused = true;
    assert_string_equal(scan_text("include = ./leaf.pool\n"), "?\n");
    is_glob_refused = false;
    assert_string_equal(scan_text("include = ./leaf.pool\n"), "");
}

static void nobody_may_wait_for_the_answer(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText input = {0};

    put("main.conf", "a = ${B}\n", strlen("a = ${B}\n"));
    hf_text_addf(&input, "%s/main.conf\n%s", directory, directory);
    hf_phpfpm_scan(-1, &input);
}

static void the_environment_needs_no_ini(void **state)
{
    (void)state;
    char workers[] = "WORKERS=3", limit[] = "memory_limit=1", port[] = "PORT_2=9";
    char *mine[] = {workers, limit, NULL};
    char *own[] = {port, NULL};

    assert_false(hf_phpfpm_needs_ini("", NULL, NULL));
    assert_false(hf_phpfpm_needs_ini("WORKERS\nPORT_2\n", mine, own));
    assert_true(hf_phpfpm_needs_ini("WORKERS\nPORT_2\n", NULL, own));
    assert_true(hf_phpfpm_needs_ini("WORKERS\nPORT\n", mine, own));
    assert_true(hf_phpfpm_needs_ini("WORKER\n", mine, own));
    assert_true(hf_phpfpm_needs_ini("memory_limit\n", mine, own));
    assert_true(hf_phpfpm_needs_ini(HF_PHPFPM_UNKNOWN "\n", mine, own));
    assert_true(hf_phpfpm_needs_ini("\n", mine, own));
    assert_true(hf_phpfpm_needs_ini("WORKERS", mine, own)); /* cut */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_found),
        cmocka_unit_test(includes_are_followed),
        cmocka_unit_test(what_cannot_be_read_is_unknown),
        cmocka_unit_test(what_includes_too_many_is_unknown),
        cmocka_unit_test(nobody_may_wait_for_the_answer),
        cmocka_unit_test(the_environment_needs_no_ini),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
