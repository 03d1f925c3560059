/* SPDX-License-Identifier: MIT */
/* Records of FastCGI as a peer would send them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "format/fastcgi.h"

enum {
    BEGIN_REQUEST = 1,
    ABORT_REQUEST,
    END_REQUEST,
    PARAMS,
    STDIN,
    STDOUT,
    STDERR,
    DATA,
    GET_VALUES,
    GET_VALUES_RESULT,
    UNKNOWN_TYPE,
};

__attribute__((unused)) static void add_raw(HfText *text, unsigned type, unsigned id,
                                            const void *content, size_t length, unsigned padding)
{
    const unsigned char header[8] = {
        1,
        (unsigned char)type,
        (unsigned char)(id >> 8),
        (unsigned char)(id & 0xff),
        (unsigned char)(length >> 8),
        (unsigned char)(length & 0xff),
        (unsigned char)padding,
    };
    char filler[255];

    assert_true(length <= 65535 && padding <= 255);
    memset(filler, 1, sizeof(filler));
    hf_text_add_bytes(text, (const char *)header, sizeof(header));
    hf_text_add_bytes(text, content, length);
    hf_text_add_bytes(text, filler, padding);
    assert_false(text->failed);
}

__attribute__((unused)) static void add(HfText *text, unsigned type, unsigned id,
                                        const char *content)
{
    add_raw(text, type, id, content, strlen(content), 0);
}

__attribute__((unused)) static void add_begin(HfText *text, unsigned id, unsigned role,
                                              unsigned flags)
{
    const unsigned char body[8] = {0, (unsigned char)role, (unsigned char)flags};

    add_raw(text, BEGIN_REQUEST, id, body, sizeof(body), 0);
}

__attribute__((unused)) static void add_end(HfText *text, unsigned id, uint32_t app,
                                            unsigned protocol)
{
    const unsigned char body[8] = {(unsigned char)(app >> 24), (unsigned char)(app >> 16 & 0xff),
                                   (unsigned char)(app >> 8 & 0xff), (unsigned char)(app & 0xff),
                                   (unsigned char)protocol};

    add_raw(text, END_REQUEST, id, body, sizeof(body), 0);
}

/* A reproducible stream of numbers. */
__attribute__((unused)) static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}
