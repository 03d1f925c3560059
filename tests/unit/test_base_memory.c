/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Impossible sizes are to be refused, not reported. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void allocate_zeroes(void **state)
{
    (void)state;
    HF_CLEANUP_FREE unsigned char *bytes = hf_allocate(100, 3);
    assert_non_null(bytes);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 0);
}

static void allocate_of_nothing_is_not_a_failure(void **state)
{
    (void)state;
    HF_CLEANUP_FREE void *none = hf_allocate(0, 8);
    assert_non_null(none);
}

static void allocate_refuses_overflow(void **state)
{
    (void)state;
    assert_null(hf_allocate(SIZE_MAX / 2 + 2, 2));
}

static void array_grows_and_keeps_its_elements(void **state)
{
    (void)state;
    HF_CLEANUP_FREE int *array = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(hf_array_reserve(&array, &capacity, (size_t)i + 1, sizeof(*array)), 0);
        assert_true(capacity > (size_t)i);
        assert_int_equal(array[i], 0);
        array[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    assert_int_equal(capacity, 1024);
}

static void array_with_room_stays(void **state)
{
    (void)state;
    HF_CLEANUP_FREE int *array = NULL;
    size_t capacity = 0;
    assert_int_equal(hf_array_reserve(&array, &capacity, 3, sizeof(*array)), 0);
    int *before = array;
    assert_int_equal(hf_array_reserve(&array, &capacity, 4, sizeof(*array)), 0);
    assert_ptr_equal(array, before);
}

static void array_survives_overflow(void **state)
{
    (void)state;
    HF_CLEANUP_FREE int *array = NULL;
    size_t capacity = 0;
    assert_int_equal(hf_array_reserve(&array, &capacity, 2, sizeof(*array)), 0);
    array[0] = 7;
    size_t before = capacity;
    assert_int_equal(hf_array_reserve(&array, &capacity, SIZE_MAX, sizeof(*array)), -ENOMEM);
    assert_int_equal(hf_array_reserve(&array, &capacity, SIZE_MAX / 2, sizeof(*array)), -ENOMEM);
    assert_int_equal(capacity, before);
    assert_int_equal(array[0], 7);
}

static void steal_leaves_null(void **state)
{
    (void)state;
    HF_CLEANUP_FREE char *first = strdup("a");
    char *expected = first;
    HF_CLEANUP_FREE char *second = HF_STEAL(first);
    assert_null(first);
    assert_ptr_equal(second, expected);
}

static void string_set_replaces_and_empties(void **state)
{
    (void)state;
    char *field = NULL;
    assert_int_equal(hf_string_set(&field, "one"), 0);
    assert_string_equal(field, "one");
    assert_int_equal(hf_string_set(&field, field + 1), 0);
    assert_string_equal(field, "ne");
    assert_int_equal(hf_string_set(&field, NULL), 0);
    assert_null(field);
}

static void strv_appends_and_counts(void **state)
{
    (void)state;
    HF_CLEANUP_STRV char **strv = NULL;
    assert_int_equal(hf_strv_length(strv), 0);
    assert_int_equal(hf_strv_append(&strv, "a"), 0);
    assert_int_equal(hf_strv_consume(&strv, strdup("b")), 0);
    assert_int_equal(hf_strv_length(strv), 2);
    assert_string_equal(strv[0], "a");
    assert_string_equal(strv[1], "b");
    assert_null(strv[2]);
}

static void strv_consumes_null_as_out_of_memory(void **state)
{
    (void)state;
    HF_CLEANUP_STRV char **strv = NULL;
    assert_int_equal(hf_strv_append(&strv, "a"), 0);
    assert_int_equal(hf_strv_consume(&strv, NULL), -ENOMEM);
    assert_int_equal(hf_strv_length(strv), 1);
}

static void strv_copy_is_deep(void **state)
{
    (void)state;
    HF_CLEANUP_STRV char **strv = NULL;
    assert_int_equal(hf_strv_append(&strv, "a"), 0);
    assert_int_equal(hf_strv_append(&strv, ""), 0);
    HF_CLEANUP_STRV char **copy = NULL;
    assert_int_equal(hf_strv_copy(strv, &copy), 0);
    strv[0][0] = 'z';
    assert_int_equal(hf_strv_length(copy), 2);
    assert_string_equal(copy[0], "a");
    assert_string_equal(copy[1], "");
}

static void strv_copy_tells_none_from_empty(void **state)
{
    (void)state;
    char *nothing[] = {NULL};
    HF_CLEANUP_STRV char **copy = NULL;
    assert_int_equal(hf_strv_copy(nothing, &copy), 0);
    assert_non_null(copy);
    assert_null(copy[0]);
    char **none = nothing;
    assert_int_equal(hf_strv_copy(NULL, &none), 0);
    assert_null(none);
}

static void strv_free_takes_null(void **state)
{
    (void)state;
    assert_null(hf_strv_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocate_zeroes),
        cmocka_unit_test(allocate_of_nothing_is_not_a_failure),
        cmocka_unit_test(allocate_refuses_overflow),
        cmocka_unit_test(array_grows_and_keeps_its_elements),
        cmocka_unit_test(array_with_room_stays),
        cmocka_unit_test(array_survives_overflow),
        cmocka_unit_test(steal_leaves_null),
        cmocka_unit_test(string_set_replaces_and_empties),
        cmocka_unit_test(strv_appends_and_counts),
        cmocka_unit_test(strv_consumes_null_as_out_of_memory),
        cmocka_unit_test(strv_copy_is_deep),
        cmocka_unit_test(strv_copy_tells_none_from_empty),
        cmocka_unit_test(strv_free_takes_null),
    };
    return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
