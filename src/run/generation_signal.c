/* SPDX-License-Identifier: MIT */
/* Asking a generation to leave, and describing how it ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/generation.h"

static int signal_of(const HfGeneration *generation, HfStage stage)
{
    switch (stage) {
    case HF_STAGE_STOP:
        return generation->plan->stop_signal;
    case HF_STAGE_TERM:
        return SIGTERM;
    case HF_STAGE_KILL:
        return SIGKILL;
    case HF_STAGE_EMPTY:
    case HF_STAGE_STARTING:
    case HF_STAGE_TRIAL:
    case HF_STAGE_ACTIVE:
    case HF_STAGE_PARKED:
    case HF_STAGE_SETTLE:
    case HF_STAGE_RETIRE:
    case HF_STAGE_MAX_:
        break;
    }
    return 0;
}

void hf_generation_continue(HfGeneration *generation)
{
    if (!generation->main_exited)
        hf_process_signal(generation->main.pidfd, SIGCONT);
}

/* A main process that cannot even be killed counts as exited, so that nothing waits for it for
 * ever. */
static void give_main_up(HfGeneration *generation)
{
    hf_reaper_forget(generation->reaper, generation->main.pid);
    hf_generation_main_exited(generation, &(siginfo_t){0});
}

/* php-fpm's master would unlink a socket that it has bound itself; its workers can finish without
 * it. */
static void leave_path(HfGeneration *generation, int signal)
{
    generation->killed = true;
    hf_process_signal(generation->main.pidfd, SIGSTOP); /* so that it starts no further worker */
    hf_process_set_signal(generation->members.set, signal);
    if (hf_process_signal(generation->main.pidfd, SIGKILL) == -EPERM)
        give_main_up(generation);
}

static void signal_main(HfGeneration *generation, int signal)
{
    if (hf_process_ask(generation->main.pidfd, signal) != -EPERM)
        return;
    hf_process_set_refused(generation->members.set, generation->main.pid, signal);
    if (signal == SIGKILL)
        give_main_up(generation);
}

void hf_generation_signal(HfGeneration *generation, HfStage stage, uint64_t retire_time)
{
    HfMembers *members = &generation->members;
    int signal = signal_of(generation, stage);

    generation->killed |= stage == HF_STAGE_KILL;
    hf_generation_learn_program(generation);
    hf_process_set_ask_no_more(members->set);
    members->retiring = false;
    members->heirs = false;
    if (stage == HF_STAGE_RETIRE) {
        hf_process_signal(generation->main.pidfd, SIGSTOP);
        hf_members_retire(members, generation->plan->stop_signal, retire_time);
        return;
    }

    if (generation->removes_path && !generation->main_exited && stage != HF_STAGE_KILL) {
        leave_path(generation, signal);
        return;
    }
    if (!generation->main_exited) {
        generation->asked = signal;
        signal_main(generation, signal);
    }
    if (!generation->main_exited && stage != HF_STAGE_KILL)
        return;
    if (!hf_process_set_signal(members->set, signal) && !generation->main_exited)
        give_main_up(generation);
}

void hf_generation_reopen(HfGeneration *generation)
{
    int signal = generation->plan->reopen_signal;

    /* a program without a handler would be killed by it */
    if (signal != 0 && !generation->main_exited && hf_process_catches(generation->main.pid, signal))
        hf_process_signal(generation->main.pidfd, signal);
}

int hf_generation_shell_status(const HfGeneration *generation)
{
    int status = generation->status.si_status;

    if (generation->status.si_code == 0)
        return EXIT_FAILURE;
    return generation->status.si_code == CLD_EXITED ? status : 128 + status;
}

void hf_generation_explain_status(const HfGeneration *generation, HfText *text)
{
    int status = generation->status.si_status;

    if (generation->status.si_code == 0) {
        hf_text_add(text, generation->status.si_pid != 0 ? "ended (only its parent knows how)"
                                                         : "cannot be ended");
        return;
    }
    if (generation->status.si_code == CLD_EXITED) {
        hf_text_addf(text, "exited with status %d", status);
        return;
    }
    static const char *const by[] = {
        [HF_OOM_NO] = ", not by holdfast",
        [HF_OOM_MACHINE] = ", not by holdfast; the kernel's OOM killer has been at work",
        [HF_OOM_GROUP] = ", by the kernel's OOM killer: there was not enough memory",
    };
    hf_text_addf(text, "was killed by signal %d (SIG%s)%s", status,
                 hf_signal_name(status, (char[HF_SIGNAL_NAME_SIZE]){0}),
                 generation->status.si_code == CLD_DUMPED ? ", core dumped" : "");
    if (status == SIGKILL && !generation->killed)
        hf_text_add(text, by[generation->oom_verdict]);
}
