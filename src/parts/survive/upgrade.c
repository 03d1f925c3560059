/* SPDX-License-Identifier: MIT */
#include "parts/survive/survive_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/process.h"
#include "loop/capture.h"
#include "run/inputs.h"

#define TEST_TIMEOUT (10 * HF_USEC_PER_SEC)
#define TEST_OUTPUT  4096
#define FIRST_FD     3 /* the snapshot, followed by the descriptors that it names */

#define OWN_EXECUTABLE "/proc/self/exe"

/* ---- this program ---- */

static struct {
    HfReexecMode mode;
    int snapshot;
    char **argv; /* argv[0], verb, ... */
    char *path;
} self = {.snapshot = -1};

static bool is_this_program(const char *path)
{
    struct stat own;
    struct stat other;

    return stat(OWN_EXECUTABLE, &own) == 0 && stat(path, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* A path through symbolic links is kept as it is, since they are how another version is put in
 * place. */
static char *find_path(const char *name)
{
    char *path;
    char target[PATH_MAX];

    if (name && hf_process_find(name, getenv("PATH"), NULL, &path) == 0) {
        if (is_this_program(path))
            return path;
        free(path);
    }
    ssize_t n = readlink(OWN_EXECUTABLE, target, sizeof(target) - 1);
    return n > 0 ? strndup(target, (size_t)n) : NULL;
}

static bool take_word(const char *word, const char *prefix, HfReexecMode mode)
{
    uint64_t fd;

    if (strncmp(word, prefix, strlen(prefix)) != 0 ||
        hf_parse_uint(word + strlen(prefix), INT_MAX, &fd) < 0)
        return false;
    self.mode = mode;
    self.snapshot = (int)fd;
    return true;
}

void hf_reexec_init(int *argc, char ***argv)
{
    char **words = *argv;

    if (*argc > 1 && (take_word(words[1], HF_SELF_RESUME, HF_SELF_RESUMED) ||
                      take_word(words[1], HF_SELF_TEST, HF_SELF_TESTED))) {
        words[1] = words[0];
        ++*argv;
        --*argc;
    }
    self.argv = *argv;
    self.path = find_path(*argc > 0 ? (*argv)[0] : NULL);
}

HfReexecMode hf_reexec_mode(void)
{
    return self.mode;
}

int hf_reexec_take_snapshot(void)
{
    int fd = self.snapshot;

    self.snapshot = -1;
    return fd;
}

int hf_reexec_path(char **ret)
{
    if (!self.path)
        return -ENOENT;
    *ret = strdup(self.path);
    return *ret ? 0 : -ENOMEM;
}

int hf_reexec_arguments(const char *path, const char *word, int fd, char ***ret)
{
    HF_CLEANUP_STRV char **argv = NULL;

    int r = hf_strv_append(&argv, path);
    if (r >= 0)
        r = hf_strv_addf(&argv, "%s%d", word, fd);
    for (char **more = self.argv + 1; r >= 0 && *more; more++)
        r = hf_strv_append(&argv, *more);
    if (r >= 0)
        *ret = HF_STEAL(argv);
    return r;
}

/* ---- an upgrade ---- */

struct HfUpgrading {
    HfSupervisor *supervisor;
    const HfFdStore *store; /* borrowed; NULL: none */
    HfCapture *test;
    sd_event_source *idle; /* runs when no other event is waiting */
    uint64_t steps;        /* of the supervisor, when the execution was scheduled */
    char *path;
    struct stat tested; /* the tested file */
    HfText failure;
};

int hf_upgrading_new(HfSupervisor *supervisor, HfUpgrading **ret)
{
    HfUpgrading *upgrading = calloc(1, sizeof(*upgrading));
    if (!upgrading)
        return -ENOMEM;
    upgrading->supervisor = supervisor;
    *ret = upgrading;
    return 0;
}

HfUpgrading *hf_upgrading_free(HfUpgrading *upgrading)
{
    if (!upgrading)
        return NULL;
    hf_capture_abort(upgrading->test);
    sd_event_source_disable_unref(upgrading->idle);
    free(upgrading->path);
    hf_text_clear(&upgrading->failure);
    free(upgrading);
    return NULL;
}

static void post(HfUpgrading *upgrading, HfEventType type)
{
    hf_supervisor_post(upgrading->supervisor, &(HfEvent){.type = type});
}

__attribute__((format(printf, 2, 3))) static void fail(HfUpgrading *upgrading, const char *format,
                                                       ...)
{
    va_list arguments;

    hf_text_clear(&upgrading->failure);
    va_start(arguments, format);
    hf_text_addv(&upgrading->failure, format, arguments);
    va_end(arguments);
    hf_supervisor_set_failure(upgrading->supervisor, hf_text_peek(&upgrading->failure));
    post(upgrading, HF_EVENT_UPGRADE_FAILED);
}

/* Uses the fd store's names, even without a store. */
static int pass(HfSnapshot *snapshot, const char *kind, uint64_t number, int fd)
{
    HF_CLEANUP_TEXT HfText name = {0};

    hf_text_addf(&name, "%s-%llu", kind, (unsigned long long)number);
    return hf_snapshot_note(snapshot, hf_text_peek(&name), NULL, fd);
}

static int capture(const HfUpgrading *upgrading, HfSnapshot *ret)
{
    const HfSupervisor *supervisor = upgrading->supervisor;
    HF_CLEANUP_TEXT HfText mask = {0};

    hf_process_show_mask(&mask);
    int r = hf_snapshot_capture(supervisor, ret);
    if (r >= 0)
        r = hf_snapshot_note(ret, HF_NOTES_MASK, hf_text_peek(&mask), -1);
    if (r >= 0)
        r = hf_fdstore_pass(upgrading->store, ret);
    if (r >= 0)
        r = hf_snapshot_note(ret, HF_NOTES_LOCK, NULL, supervisor->runtime.lock);
    if (r >= 0)
        r = hf_snapshot_note(ret, HF_NOTES_NOTIFY, NULL, hf_inputs_fd(supervisor->inputs));
    for (size_t i = 0; r >= 0 && i < ret->listeners.n; i++) {
        const HfListener *listener = ret->listeners.items[i];
        for (unsigned side = 0; r >= 0 && side < HF_SIDES; side++)
            if (listener->fds[side] >= 0)
                r = pass(ret, HF_NOTES_LISTENER, listener->sockets[side], listener->fds[side]);
    }
    for (size_t i = 0; r >= 0 && i < ret->generations.n; i++) {
        const HfGeneration *generation = ret->generations.items[i];
        if (!generation->main_exited)
            r = pass(ret, HF_NOTES_PROCESS, generation->number, generation->main.pidfd);
    }
    return r;
}

/* ---- the test ---- */

static const char *last_line(char *output)
{
    size_t length = strlen(output);

    while (length > 0 && output[length - 1] == '\n')
        output[--length] = '\0';
    const char *newline = strrchr(output, '\n');
    return newline ? newline + 1 : output;
}

static void on_tested(const HfCaptured *captured, void *userdata)
{
    HfUpgrading *upgrading = userdata;
    HF_CLEANUP_FREE char *output = strdup(captured->output);
    HF_CLEANUP_TEXT HfText patience = {0};

    upgrading->test = NULL;
    HF_CRASH_POINT("upgrade-tested");
    const char *line = output ? last_line(output) : "";
    bool good = captured->status.si_code == CLD_EXITED && captured->status.si_status == 0;
    hf_text_add_time(&patience, TEST_TIMEOUT);
    if (captured->error < 0)
        fail(upgrading, "%s cannot be executed: %s", upgrading->path, strerror(-captured->error));
    else if (captured->timed_out)
        fail(upgrading, "%s was not done with its self-test within %s", upgrading->path,
             hf_text_peek(&patience));
    else if (good && strcmp(line, HF_SELF_PASSED) == 0)
        post(upgrading, HF_EVENT_UPGRADE_TESTED);
    else if (good)
        fail(upgrading, "%s does not say that it passed its self-test: is it holdfast?",
             upgrading->path);
    else if (captured->status.si_code == CLD_EXITED)
        fail(upgrading, "%s failed its self-test with status %d: %s", upgrading->path,
             captured->status.si_status, *line ? line : "it does not say why");
    else
        fail(upgrading, "%s was killed by signal %d in its self-test", upgrading->path,
             captured->status.si_status);
}

static int write_snapshot(const HfSnapshot *snapshot)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_snapshot_write(snapshot, &text);
    return text.failed ? -ENOMEM
                       : hf_memfile_make("holdfast-snapshot", hf_text_peek(&text), text.length);
}

/* In the test its descriptors get the numbers FIRST_FD + 1, ... */
static int renumber(HfSnapshot *snapshot, int **ret, size_t *ret_n)
{
    int *list = calloc(snapshot->notes.n + 1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    *ret_n = 1;
    for (size_t i = 0; i < snapshot->notes.n; i++) {
        HfNote *note = snapshot->notes.items[i];
        if (note->fd < 0)
            continue;
        list[*ret_n] = note->fd;
        note->fd = FIRST_FD + (int)(*ret_n)++;
    }
    *ret = list;
    return 0;
}

static int start_test(HfUpgrading *upgrading)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_FREE int *fds = NULL;
    HF_CLEANUP_STRV char **argv = NULL;
    size_t n_fds;

    hf_snapshot_init(&snapshot);
    int r = capture(upgrading, &snapshot);
    if (r >= 0)
        r = renumber(&snapshot, &fds, &n_fds);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = write_snapshot(&snapshot);
    if (fd < 0)
        return fd;
    fds[0] = fd;
    r = hf_reexec_arguments(upgrading->path, HF_SELF_TEST, FIRST_FD, &argv);
    if (r < 0)
        return r;
    const HfSpawn spawn = {
        .program = upgrading->path,
        .argv = argv,
        .envp = environ,
        .stdin_fd = -1,
        .fds = fds,
        .n_fds = n_fds,
        .session = true,
    };
    return hf_capture_start(upgrading->supervisor->loop, upgrading->supervisor->reaper, &spawn,
                            TEST_OUTPUT, TEST_TIMEOUT, on_tested, upgrading, &upgrading->test);
}

static int find_program(HfUpgrading *upgrading)
{
    free(HF_STEAL(upgrading->path));
    int r = hf_reexec_path(&upgrading->path);
    if (r < 0)
        return r;
    return stat(upgrading->path, &upgrading->tested) < 0 ? -errno : 0;
}

void hf_upgrading_test(HfUpgrading *upgrading, const HfFdStore *store)
{
    HF_CLEANUP_TEXT HfText why = {0};

    HF_CRASH_POINT("upgrade-asked");
    upgrading->store = store;
    HF_EACH_PART (upgrading->supervisor, i, objects)
        upgrading->supervisor->parts[i]->objects(upgrading->supervisor->states[i], &why);
    if (why.length > 0) {
        fail(upgrading, "%s", hf_text_peek(&why));
        return;
    }
    upgrading->test = hf_capture_abort(upgrading->test);
    int r = find_program(upgrading);
    if (r >= 0)
        r = start_test(upgrading);
    if (r < 0)
        fail(upgrading, "%s cannot be tested: %s",
             upgrading->path ? upgrading->path : "holdfast's own program", strerror(-r));
}

/* ---- the execution ---- */

static int pass_on(const HfSnapshot *snapshot, bool pass)
{
    int r = 0;

    for (size_t i = 0; i < snapshot->notes.n; i++) {
        const HfNote *note = snapshot->notes.items[i];
        int set = note->fd >= 0 ? hf_fd_set_cloexec(note->fd, !pass) : 0;
        r = r < 0 ? r : set;
    }
    return r;
}

static bool is_as_tested(const HfUpgrading *upgrading)
{
    struct stat now;

    return stat(upgrading->path, &now) == 0 && now.st_dev == upgrading->tested.st_dev &&
           now.st_ino == upgrading->tested.st_ino && now.st_size == upgrading->tested.st_size &&
           now.st_mtim.tv_sec == upgrading->tested.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == upgrading->tested.st_mtim.tv_nsec;
}

/* Returns only on failure, with everything unchanged. */
static int replace_program(HfUpgrading *upgrading)
{
    HfSupervisor *supervisor = upgrading->supervisor;
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_STRV char **argv = NULL;

    hf_snapshot_init(&snapshot);
    int r = capture(upgrading, &snapshot);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = write_snapshot(&snapshot);
    if (fd < 0)
        return fd;
    r = hf_reexec_arguments(upgrading->path, HF_SELF_RESUME, fd, &argv);
    if (r < 0)
        return r;
    HF_EACH_PART (supervisor, i, replacing)
        supervisor->parts[i]->replacing(supervisor->states[i], true);
    hf_process_lower_files(0);
    r = pass_on(&snapshot, true);
    if (r >= 0)
        r = hf_fd_set_cloexec(fd, false);
    if (r >= 0) {
        HF_CRASH_POINT("upgrade-execute");
        execve(upgrading->path, argv, environ);
        r = -errno;
    }
    (void)pass_on(&snapshot, false);
    hf_process_raise_files();
    HF_EACH_PART (supervisor, i, replacing)
        supervisor->parts[i]->replacing(supervisor->states[i], false);
    return r;
}

static int on_idle(sd_event_source *source, void *userdata)
{
    HfUpgrading *upgrading = userdata;

    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (upgrading->supervisor->steps != upgrading->steps) {
        post(upgrading, HF_EVENT_UPGRADE_TESTED);
        return 0;
    }
    HF_EACH_PART (upgrading->supervisor, i, busy)
        if (upgrading->supervisor->parts[i]->busy(upgrading->supervisor->states[i]))
            return 0;
    if (!is_as_tested(upgrading)) {
        fail(upgrading, "%s was changed while it was tested; try again", upgrading->path);
        return 0;
    }
    hf_log(LOG_INFO, NULL, "upgrade: %s passed its self-test and is executed now", upgrading->path);
    int r = replace_program(upgrading);
    fail(upgrading, "%s cannot be executed: %s", upgrading->path, strerror(-r));
    return 0;
}

void hf_upgrading_execute(HfUpgrading *upgrading, const HfFdStore *store)
{
    int r = 0;

    upgrading->store = store;
    upgrading->steps = upgrading->supervisor->steps;
    if (!upgrading->idle) {
        r = sd_event_add_defer(upgrading->supervisor->loop, &upgrading->idle, on_idle, upgrading);
        if (r >= 0) /* after events already read from signals and connections */
            r = sd_event_source_set_priority(upgrading->idle, SD_EVENT_PRIORITY_IDLE);
    } else {
        r = sd_event_source_set_enabled(upgrading->idle, SD_EVENT_ONESHOT);
    }
    if (r < 0)
        fail(upgrading, "the new program cannot be executed: %s", strerror(-r));
}
