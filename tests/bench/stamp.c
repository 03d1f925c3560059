/* SPDX-License-Identifier: MIT */
/* With a command: notes the time and becomes the command. Without one: prints how many nanoseconds
 * ago that was, and waits to be ended. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "BENCH_STAMP"

static long long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char *argv[])
{
    char text[32];
    long long moment = now();

    if (argc > 1) {
        snprintf(text, sizeof(text), "%lld", moment);
        if (setenv(VARIABLE, text, 1) == 0)
            execv(argv[1], argv + 1);
        perror(argv[1]);
        return 127;
    }
    const char *start = getenv(VARIABLE);
    if (!start)
        return 2;
    printf("%lld\n", moment - strtoll(start, NULL, 10));
    fflush(stdout);
    for (;;)
        pause();
}
