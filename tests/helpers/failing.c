/* SPDX-License-Identifier: MIT */
/* What a program asks of libc and libsystemd fails when told so. Linked in with --wrap= of each
 * function below (x86-64).
 *
 * A place is a call with those that led to it. Each place that is come to is written down in the
 * file that HOLDFAST_FAILING names, which all processes of one test share (harness/failing.py); the
 * one that it arms fails there once. */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef DEPTH
#define DEPTH 1 /* more only where every function keeps its frame pointer */
#endif
#define FRAMES    6
#define PLACES    8192
#define NO_SOCKET 0x10000 /* in the error of a call: does not fail for a socket */

typedef struct Place {
    uint32_t key; /* 0: unused */
    uint32_t count;
    uint32_t frames[FRAMES]; /* where they return to, from the start of the program on */
} Place;

typedef struct Failing {
    uint32_t armed; /* key of the place that fails next; 0: none */
    uint32_t error; /* with this instead of what is usual; 0: that */
    uint32_t hits;
    uint32_t paused;
    Place places[PLACES];
} Failing;

__attribute__((used)) int hf_fails_here(const uintptr_t *frame, uintptr_t returns, int error,
                                        int fd);

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);

extern const char program_start[] __asm__("__executable_start");
extern const char etext[];
static Failing *failing;
static size_t calls_left = SIZE_MAX; /* of a unit test, until one fails */
static int error_of_call;
static bool *call_failed; /* here or in a child */
static uintptr_t stack_end;

static __attribute__((constructor)) void begin(void)
{
    const char *path = getenv("HOLDFAST_FAILING");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    stack_end = (uintptr_t)environ;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof(*failing), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    failing = shared == MAP_FAILED ? NULL : shared;
}

static uint32_t key_of(const uint32_t frames[FRAMES])
{
    uint32_t key = 2166136261;

    for (int i = 0; i < FRAMES; i++)
        key = (key ^ frames[i]) * 16777619;
    return key ? key : 1;
}

static void find_frames(const uintptr_t *frame, uintptr_t returns, uint32_t ret[FRAMES])
{
    const uintptr_t begins = (uintptr_t)program_start;
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    for (int i = 0; i < DEPTH && returns >= begins && returns < (uintptr_t)etext; i++) {
        ret[i] = (uint32_t)(returns - begins);
        if ((uintptr_t)frame <= here || (uintptr_t)frame + 16 > stack_end || (uintptr_t)frame % 8)
            return;
        returns = frame[1];
        frame = (const uintptr_t *)frame[0];
    }
}

static void write_down(const uint32_t frames[FRAMES], uint32_t key)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        Place *place = &failing->places[(key + i) % PLACES];
        uint32_t found = 0;
        if (__atomic_compare_exchange_n(&place->key, &found, key, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            for (int k = 0; k < FRAMES; k++)
                place->frames[k] = frames[k];
        else if (found != key)
            continue;
        __atomic_add_fetch(&place->count, 1, __ATOMIC_RELAXED);
        return;
    }
}

void hf_failing_begin(size_t n, int error)
{
    if (!call_failed)
        call_failed = mmap(NULL, sizeof(*call_failed), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    calls_left = n;
    error_of_call = error;
    *call_failed = false;
}

bool hf_failing_end(void)
{
    calls_left = SIZE_MAX;
    return call_failed && *call_failed;
}

static int fail_call(int error)
{
    if (calls_left-- > 0)
        return 0;
    calls_left = SIZE_MAX;
    *call_failed = true;
    errno = error_of_call ? error_of_call : error;
    return errno;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof(type);

    return __real_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* fd: the first argument of the call, whatever that is. Returns the error, or 0. */
int hf_fails_here(const uintptr_t *frame, uintptr_t returns, int error, int fd)
{
    uint32_t frames[FRAMES] = {0};
    const int before = errno;
    bool spared = (error & NO_SOCKET) && is_socket(fd);

    errno = before;
    error &= ~NO_SOCKET;
    if (spared)
        return 0;
    if (calls_left != SIZE_MAX)
        return fail_call(error);
    if (!failing || failing->paused)
        return 0;
    find_frames(frame, returns, frames);
    uint32_t key = key_of(frames);
    write_down(frames, key);
    errno = before;
    if (!__atomic_compare_exchange_n(&failing->armed, &key, 0, 0, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return 0;
    __atomic_add_fetch(&failing->hits, 1, __ATOMIC_RELAXED);
    errno = failing->error ? (int)failing->error : error;
    return errno;
}

/* By hand, so that it fits every function, with whatever arguments. */
#define WRAP(function, value, error) WRAP_(#function, value, error)
#define WRAP_(function, value, error)                                                              \
    __asm__(".pushsection .text\n"                                                                 \
            ".globl __wrap_" function "\n"                                                         \
            ".type __wrap_" function ", @function\n"                                               \
            "__wrap_" function ":\n"                                                               \
            "    endbr64\n"                                                                        \
            "    push %rdi\n    push %rsi\n    push %rdx\n    push %rcx\n"                         \
            "    push %r8\n    push %r9\n    push %rax\n"                                          \
            "    mov %rbp, %rdi\n"                                                                 \
            "    mov 56(%rsp), %rsi\n"                                                             \
            "    mov 48(%rsp), %ecx\n"                                                             \
            "    mov $" TEXT(error) ", %edx\n"                                                     \
                                    "    call hf_fails_here\n"                                     \
                                    "    mov %eax, %r11d\n"                                        \
                                    "    pop %rax\n    pop %r9\n    pop %r8\n"                     \
                                    "    pop %rcx\n    pop %rdx\n    pop %rsi\n    pop %rdi\n"     \
                                    "    test %r11d, %r11d\n"                                      \
                                    "    jne 1f\n"                                                 \
                                    "    jmp __real_" function "@PLT\n"                            \
                                    "1:  mov $" TEXT(value) ", %rax\n"                             \
                                                            "    ret\n"                            \
                                                            ".popsection\n");
#define TEXT(number)  TEXT_(number)
#define TEXT_(number) #number
#include "failing.list"
