/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format/cgroup.h"

#define HYBRID_MOUNTS                                                                              \
    "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"                                             \
    "30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"                          \
    "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup "                \
    "rw,cpu,cpuacct\n"                                                                             \
    "34 30 0:31 / /sys/fs/cgroup/memory rw,relatime shared:10 master:3 - cgroup cgroup "           \
    "rw,memory\n"                                                                                  \
    "39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"            \
    "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
#define HYBRID_GROUPS                                                                              \
    "9:name=systemd:/system.slice/php.service\n"                                                   \
    "4:memory:/process_api/fbf2\n"                                                                 \
    "2:cpu,cpuacct:/\n"                                                                            \
    "0::/system.slice/php.service\n"

#define UNIFIED_MOUNT(root, point)                                                                 \
    "35 24 0:30 " root " " point                                                                   \
    " rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct {
    const char *mountinfo;
    const char *cgroup;
    const char *controller;
    const char *expected; /* NULL: -ENOENT */
} directories[] = {
    {HYBRID_MOUNTS, HYBRID_GROUPS, NULL, "/sys/fs/cgroup/unified/system.slice/php.service"},
    {HYBRID_MOUNTS, HYBRID_GROUPS, "memory", "/sys/fs/cgroup/memory/process_api/fbf2"},
    {HYBRID_MOUNTS, HYBRID_GROUPS, "cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
    {HYBRID_MOUNTS, HYBRID_GROUPS, "pids", NULL},
    {HYBRID_MOUNTS, HYBRID_GROUPS, "mem", NULL},
    {HYBRID_MOUNTS, "4:memory:/a", NULL, NULL},
    /* the last line may lack its end */
    {HYBRID_MOUNTS, "0::/a", NULL, "/sys/fs/cgroup/unified/a"},

    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0::/system.slice/php.service\n", NULL,
     "/sys/fs/cgroup/system.slice/php.service"},
    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0::/\n", NULL, "/sys/fs/cgroup"},
    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0::/\n", "memory", NULL},

    /* a container with a cgroup namespace of its own */
    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0::/init.scope\n", NULL, "/sys/fs/cgroup/init.scope"},
    /* one without: the mount shows a part, the paths are the host's */
    {UNIFIED_MOUNT("/docker/abc", "/sys/fs/cgroup"), "0::/docker/abc\n", NULL, "/sys/fs/cgroup"},
    {UNIFIED_MOUNT("/docker/abc", "/sys/fs/cgroup"), "0::/docker/abc/php\n", NULL,
     "/sys/fs/cgroup/php"},
    {UNIFIED_MOUNT("/docker/abc", "/sys/fs/cgroup"), "0::/docker/abcd\n", NULL, NULL},
    {UNIFIED_MOUNT("/docker/abc", "/sys/fs/cgroup"), "0::/docker\n", NULL, NULL},
    {UNIFIED_MOUNT("/docker/abc", "/sys/fs/cgroup"), "0::/\n", NULL, NULL},
    /* a mount from outside of the namespace */
    {UNIFIED_MOUNT("/../../other", "/sys/fs/cgroup"), "0::/\n", NULL, NULL},
    {UNIFIED_MOUNT("/..", "/outer") UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0::/php\n", NULL,
     "/sys/fs/cgroup/php"},
    /* a bind mount of another part, and one of this one */
    {UNIFIED_MOUNT("/other", "/mnt/other") UNIFIED_MOUNT("/a", "/mnt/a"), "0::/a/b\n", NULL,
     "/mnt/a/b"},

    /* mountinfo escapes, /proc/PID/cgroup does not */
    {UNIFIED_MOUNT("/a\\040b", "/mnt/c\\134\\011d"), "0::/a b/e\n", NULL, "/mnt/c\\\td/e"},
    {UNIFIED_MOUNT("/a\\040", "/mnt"), "0::/a\\040\n", NULL, NULL},
    {UNIFIED_MOUNT("/", "/mnt\\04"), "0::/a:b\n", NULL, "/mnt\\04/a:b"},

    /* what is no line of either file */
    {"", "0::/\n", NULL, NULL},
    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "", NULL, NULL},
    {UNIFIED_MOUNT("/", "/sys/fs/cgroup"), "0:\n0::\n0::relative\n1::/x\n", NULL, NULL},
    {"1 2 3\n4 5 6 / /x rw cgroup2 cgroup2 rw\n7 8 9 / /y rw -\n7 8 9 / /y rw - cgroup2\n"
     "7 8 9 / /y rw - cgroup2 cgroup2\n7 8 9  /y rw - cgroup2 x rw\n7 8 9 /  rw - cgroup2 x rw",
     "0::/\n", NULL, NULL},
};

static void finds_the_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        int r = hf_cgroup_directory(directories[i].mountinfo, directories[i].cgroup,
                                    directories[i].controller, &text);
        if (!directories[i].expected) {
            assert_int_equal(r, -ENOENT);
            assert_int_equal(text.length, 0);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(hf_text_peek(&text), directories[i].expected);
    }
}

static void finds_the_path(void **state)
{
    const char *path;
    size_t length;

    (void)state;
    assert_int_equal(hf_cgroup_path(HYBRID_GROUPS, "memory", &path, &length), 0);
    assert_int_equal(length, strlen("/process_api/fbf2"));
    assert_memory_equal(path, "/process_api/fbf2", length);
    path = NULL;
    assert_int_equal(hf_cgroup_path("1:name=systemd:/\n", NULL, &path, &length), -ENOENT);
    assert_null(path);
}

static void reads_counters(void **state)
{
    static const char events[] = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
    static const struct {
        const char *file;
        int expected;
        uint64_t value;
    } files[] = {
        {events, 0, 2},
        {"oom_kill_disable 0\nunder_oom 0\noom_kill 18446744073709551615", 0, UINT64_MAX},
        {"oom_kill 0\noom_kill 7\n", 0, 0},
        {"", -ENOENT, 0},
        {"oom_kills 7\nxoom_kill 7\n", -ENOENT, 0},
        {"oom_kill\n", -EINVAL, 0},
        {"oom_kill \n", -EINVAL, 0},
        {"oom_kill -1\n", -EINVAL, 0},
        {"oom_kill 18446744073709551616\n", -EINVAL, 0},
        {"oom_kill 000000000000000000000000000000001\n", -EINVAL, 0},
        {"oom_kill 1 2\n", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        uint64_t value = 4242;
        assert_int_equal(hf_cgroup_counter(files[i].file, "oom_kill", &value), files[i].expected);
        assert_int_equal(value, files[i].expected == 0 ? files[i].value : 4242);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_directory),
        cmocka_unit_test(finds_the_path),
        cmocka_unit_test(reads_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
