/* SPDX-License-Identifier: MIT */
/* Runs a target on its corpus (TAP): replay DIRECTORY. Nothing at all, each file, each file cut at
 * every length, and small ones with every bit of every byte changed. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define CUT_MAX  4096 /* lengths at which a file is cut */
#define FLIP_MAX 1024 /* bytes of a file in which bits are changed */

/* What is running now, for the day that it breaks. */
static char running[512];

static void tell(void)
{
    ssize_t ignored = write(STDERR_FILENO, running, strlen(running));

    (void)ignored;
}

static void on_abort(int signal_number)
{
    (void)signal_number;
    tell();
}

/* Sanitizers leave without a signal. */
extern void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));

/* On the heap and of exactly that size, so that a sanitizer sees a step beyond. */
static void run_once(const uint8_t *data, size_t size, const char *name, const char *how, size_t at)
{
    uint8_t *copy = must(malloc(size > 0 ? size : 1));

    snprintf(running, sizeof(running), "# broken by %.300s, %s %zu\n", name, how, at);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static unsigned run_file(uint8_t *data, size_t size, const char *name)
{
    unsigned runs = 1;

    run_once(data, size, name, "whole, bytes:", size);
    for (size_t cut = 0; cut < size && cut < CUT_MAX; cut++, runs++)
        run_once(data, cut, name, "cut at", cut);
    for (size_t i = 0; i < size && size <= FLIP_MAX; i++)
        for (unsigned bit = 0; bit <= 8; bit++, runs++) {
            uint8_t mask = (uint8_t)(bit == 8 ? 0xffU : 1U << bit);
            data[i] = (uint8_t)(data[i] ^ mask);
            run_once(data, size, name, "with a change at", i);
            data[i] = (uint8_t)(data[i] ^ mask);
        }
    return runs;
}

static uint8_t *read_file(const char *directory, const char *name, size_t *ret_size)
{
    HF_CLEANUP_TEXT HfText path = {0};
    HfText content = {0};
    char buffer[4096];
    size_t n;

    hf_text_addf(&path, "%s/%s", directory, name);
    FILE *file = must(fopen(hf_text_peek(&path), "re"));
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        hf_text_add_bytes(&content, buffer, n);
    fclose(file);
    *ret_size = content.length;
    char *data;
    if (hf_text_take(&content, &data) < 0)
        abort();
    return (uint8_t *)data;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int n = argc == 2 ? scandir(argv[1], &entries, is_visible, alphasort) : -1;

    if (n <= 0) {
        fprintf(stderr, "usage: %s DIRECTORY, with at least one file in it\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell);
    printf("1..%d\n", n + 1);
    run_once(NULL, 0, "nothing", "bytes:", 0);
    printf("ok 1 - nothing\n");
    for (int i = 0; i < n; i++) {
        size_t size;
        uint8_t *data = read_file(argv[1], entries[i]->d_name, &size);
        unsigned runs = run_file(data, size, entries[i]->d_name);
        printf("ok %d - %s, %u inputs\n", i + 2, entries[i]->d_name, runs);
        fflush(stdout);
        free(data);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
