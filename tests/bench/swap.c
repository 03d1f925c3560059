/* SPDX-License-Identifier: MIT */
/* A service that is ready at once, and when it is asked to leave (TERM) prints the moment, in
 * nanoseconds of CLOCK_MONOTONIC, and is gone. */
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

int main(void)
{
    sigset_t stop;
    struct timespec time;
    int number;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (sd_notify(0, "READY=1") <= 0 || sigwait(&stop, &number) != 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &time);
    printf("%lld\n", time.tv_sec * 1000000000LL + time.tv_nsec);
    return fflush(stdout) != 0;
}
