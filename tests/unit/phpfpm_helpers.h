/* SPDX-License-Identifier: MIT */
/* Real output of php-fpm, kept under fixtures/phpfpm. */
#pragma once

#include <stdio.h>

#include "base/text.h"

static inline HfText read_fixture(const char *name)
{
    HF_CLEANUP_TEXT HfText path = {0};
    HfText text = {0};
    char buffer[4096];
    size_t n;

    hf_text_addf(&path, "fixtures/phpfpm/%s", name);
    FILE *file = fopen(hf_text_peek(&path), "re");
    assert_non_null(file);
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        hf_text_add_bytes(&text, buffer, n);
    fclose(file);
    assert_true(text.length > 0);
    return text;
}
