/* SPDX-License-Identifier: MIT */
/* The runtime directory and the files of generations in it: each thing that is asked of memory and
 * kernel is refused in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/file.h"
#include "kernel/lock.h"
#include "parts/probe/figures.h"
#include "refusal_helpers.h"
#include "run/generation_files.h"
#include "run/runtime.h"
#include "service/adapter.h"

CALL(hf_file_make_directory, (const char *path, mode_t mode), (path, mode), EROFS)
CALL(hf_file_read, (const char *path, size_t maximum, char **ret, size_t *ret_length),
     (path, maximum, ret, ret_length), EIO)
CALL(hf_file_write, (const char *path, const char *data, size_t length, mode_t mode),
     (path, data, length, mode), ENOSPC)
CALL(hf_lock_take, (const char *path, pid_t *ret_holder), (path, ret_holder), ENOLCK)
CALL(hf_memfile_make, (const char *name, const char *data, size_t length), (name, data, length),
     EMFILE)
CALL(hf_memfile_open, (const char *name), (name), EMFILE)
CALL(hf_memfile_read, (int fd, size_t maximum, char **ret, size_t *ret_length),
     (fd, maximum, ret, ret_length), EIO)
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), -1, EIO)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1, EIO)
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), -1, EIO)
WRAP(int, getentropy, (void *bytes, size_t length), (bytes, length), -1, EIO)
WRAP(int, lchown, (const char *path, uid_t user, gid_t group), (path, user, group), -1, EIO)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, ENOSPC)

int __wrap_hf_name_of_runtime_base(char **ret);
int __wrap_hf_name_of_runtime_base(char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/base", directory);
    return hf_text_take(&path, ret);
}

static sd_event *loop;

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/holdfast-unit-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return sd_event_new(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    sd_event_unref(loop);
    return rmdir(directory);
}

/* ---- the files of a generation ---- */

static int write_overlay(const HfPlan *plan, const char *pid_file, const char *statuses,
                         HfText *text)
{
    (void)plan;
    (void)statuses;
    hf_text_addf(text, "pid = %s\n", pid_file);
    return text->failed ? -ENOMEM : 0;
}

static const HfAdapter adapter = {.overlay = write_overlay};
static HfPlanPool pools[] = {
    {.name = (char[]){"a"},
     .probe = HF_POOL_COUNTS | HF_POOL_LISTENS,
     .status_path = (char[]){"/s"}},
    {.name = (char[]){"b"}, .probe = HF_POOL_COUNTS, .status_path = (char[]){"/s"}, .warms = true},
    {.name = (char[]){"c"}, .status_path = (char[]){"/s"}},
};
static const HfPlan plan_of_root = {
    .adapter = &adapter, .pools = pools, .n_pools = 3, .switches = true};

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    (void)source;
    (void)event;
    (void)userdata;
    return 0;
}

static void use_files(const HfPlan *plan, const HfRuntime *runtime, const char *statuses)
{
    HfFiles files = HF_FILES_NONE;
    sd_event_source *watch = NULL;
    int fds[HF_FILES_PASSED_MAX];
    HfReach reach;

    int r = hf_files_make(plan, runtime, 1, statuses, &files);
    assert_true(r == 0 || refused);
    if (r == 0) {
        assert_int_equal(hf_files_pass(&files, fds), runtime->in_memory ? 2 : 0);
        (void)hf_files_watch(&files, runtime, loop, on_change, NULL, &watch);
        if (!runtime->in_memory && hf_file_write(files.pid_file, "12\n", 3, 0644) == 0)
            assert_true(hf_files_pid(&files) == 12 || refused);
        else
            assert_int_equal(hf_files_pid(&files), 0);
        assert_int_equal(hf_files_restore(&files, plan, statuses), 0);
        if (!runtime->in_memory) {
            unlink(files.overlay);
            r = hf_files_restore(&files, plan, statuses);
            assert_true((r == 0) == (access(files.overlay, F_OK) == 0) || refused);
        }
        for (size_t i = 0; i < plan->n_pools; i++)
            (void)hf_figures_find_page(plan, statuses, i, 0, &reach);
    }
    sd_event_source_disable_unref(watch);
    hf_files_remove(&files);
}

static void use_place(HfRuntime *runtime)
{
    HfPlan plan = plan_of_root;

    for (int i = 0; i < 4; i++) {
        char *statuses = NULL;
        runtime->in_memory = i >= 2;
        plan.credentials = HF_CREDENTIALS_NONE;
        plan.credentials.has_user = i % 2;
        plan.credentials.uid = geteuid();
        plan.credentials.gid = getegid();
        int r = hf_scoreboard_make(&plan, runtime, 1, &statuses);
        assert_true(r == 0 || refused);
        if (r == 0)
            use_files(&plan, runtime, statuses);
        hf_scoreboard_remove(&plan, statuses);
        free(statuses);
    }
    runtime->in_memory = false;
}

/* As if somebody had cleaned up. */
static void remove_all(void)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s/base", directory);
    assert_int_equal(system(command), 0);
}

static void lose_place(HfRuntime *runtime)
{
    HF_CLEANUP_TEXT HfText error = {0};

    remove_all();
    int r = hf_runtime_remake(runtime, "web", &error);
    assert_true(r == 1 || refused);
    remove_all();
    r = hf_runtime_lose(runtime, "web");
    assert_true(runtime->directory && runtime->notify);
    if (r < 0)
        return;
    assert_true(runtime->in_memory && runtime->lost && runtime->directory[0] == '@');
    assert_int_equal(hf_runtime_lose(runtime, "web"), 0);
    r = hf_runtime_remake(runtime, "web", &error);
    assert_true(r == 1 || refused);
    assert_true(runtime->directory && runtime->notify);
    assert_true(r < 1 || runtime->directory[0] == '/');
}

static void a_place_is_made_and_lost(void)
{
    HfRuntime runtime;
    HF_CLEANUP_TEXT HfText error = {0};

    if (hf_runtime_name("web", &runtime) < 0)
        return;
    int r = hf_runtime_begin(&runtime);
    if (r >= 0)
        r = hf_runtime_claim(&runtime, "web", &error);
    assert_true(r == 0 || refused);
    if (r == 0 && !runtime.in_memory) {
        use_place(&runtime);
        hf_runtime_sweep(&runtime);
        lose_place(&runtime);
    }
    hf_runtime_release(&runtime);
    remove_all(); /* whose it is cannot be told without the lock */
}

static void whatever_is_refused_a_place_is_made(void **state)
{
    (void)state;
    refuse_each(a_place_is_made_and_lost);
}

static void a_name_that_is_taken(void **state)
{
    (void)state;
    HfRuntime first;
    HfRuntime second;
    HfText error = {0};

    assert_int_equal(hf_runtime_name("web", &first), 0);
    assert_int_equal(hf_runtime_claim(&first, "web", &error), 0);
    assert_int_equal(hf_runtime_name("web", &second), 0);
    assert_int_equal(hf_runtime_claim(&second, "web", &error), -EWOULDBLOCK);
    assert_non_null(strstr(hf_text_peek(&error), "is running already (pid "));
    hf_text_clear(&error);
    hf_runtime_release(&second);
    assert_int_equal(hf_runtime_remake(&first, "web", &error), 0); /* it stands */
    hf_runtime_release(&first);
    assert_int_equal(count_entries(directory), 2);
}

/* Those of a generation whose process runs stay, as do those of this holdfast. */
static void what_a_dead_holdfast_left_is_removed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        bool stays;
    } files[] = {
        {"gen-1-7.pid", "1\n", true},  {"gen-1-7.conf", "", true},  {"gen-2-7.pid", "x\n", false},
        {"gen-2-7.conf", "", false},   {"gen-3-7.conf", "", false}, {"canary-7.conf", "", false},
        {"gen-4-7.pid", "0\n", false}, {"lock.other", "", true},    {"status/1-7.0", "", true},
        {"status/2-7.0", "", false},
    };
    HfRuntime runtime;
    HfText error = {0};
    char path[128];

    assert_int_equal(hf_runtime_name("web", &runtime), 0);
    assert_int_equal(hf_runtime_begin(&runtime), 0);
    assert_int_equal(hf_runtime_claim(&runtime, "web", &error), 0);
    assert_int_equal(mkdir(runtime.statuses, 0755), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", runtime.directory, files[i].name);
        assert_int_equal(hf_file_write(path, files[i].text, strlen(files[i].text), 0644), 0);
    }
    hf_runtime_sweep(&runtime);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", runtime.directory, files[i].name);
        if ((access(path, F_OK) == 0) != files[i].stays)
            fail_msg("%s", files[i].name);
    }
    runtime.in_memory = true;
    hf_runtime_sweep(&runtime);
    runtime.in_memory = false;
    hf_runtime_release(&runtime);
    remove_all();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_refused_a_place_is_made),
        cmocka_unit_test(a_name_that_is_taken),
        cmocka_unit_test(what_a_dead_holdfast_left_is_removed),
    };

    hf_log_setup(NULL, LOG_EMERG, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
