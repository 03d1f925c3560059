#include "daemon/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "core/unit.h"
#include "daemon/capture.h"
#include "daemon/environment.h"
#include "sys/file.h"
#include "sys/process.h"

#define CGROUP_FILE_MAX (64U * 1024)
#define ANSWER_MAX      (64U * 1024)
#define ANSWER_TIME     (10 * HF_USEC_PER_SEC)

/* ret: "" when it is of none. */
static int find_unit(const char *process, char *ret)
{
    HF_CLEANUP_FREE char *text = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
    int r = hf_file_read(path, CGROUP_FILE_MAX, &text, NULL);
    if (r < 0)
        return r;
    if (hf_unit_of_cgroup(text, ret) < 0)
        *ret = '\0';
    return 0;
}

static int ask_systemctl(const char *unit, HfText *answer)
{
    const char *const words[] = {
        "systemctl",
        "show",
        "--property=Restart,ExecStopPost,RuntimeDirectory,RuntimeDirectoryPreserve",
        "--",
        unit,
    };
    HF_CLEANUP_FREE char *program = NULL;
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_STRV char **environment = NULL;

    int r = hf_process_find(words[0], NULL, NULL, &program);
    for (size_t i = 0; r >= 0 && i < sizeof(words) / sizeof(*words); i++)
        r = hf_strv_append(&argv, words[i]);
    if (r >= 0)
        r = hf_environment_make(NULL, NULL, &environment);
    if (r < 0)
        return r;
    const HfSpawn spawn = {
        .program = program,
        .argv = argv,
        .envp = environment,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .session = true,
    };
    return hf_capture_now(&spawn, ANSWER_MAX, ANSWER_TIME, answer);
}

/* The value of the first line that begins with key, "" when there is none. */
static void find_value(const char *answer, const char *key, char *ret, size_t size)
{
    *ret = '\0';
    for (const char *line = answer; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > strlen(key) && strncmp(line, key, strlen(key)) == 0) {
            snprintf(ret, size, "%.*s", (int)(length - strlen(key)), line + strlen(key));
            return;
        }
        line += length + (line[length] == '\n');
    }
}

static bool is_in_the_way(const char *answer)
{
    char restart[32];
    char stop_post[32];
    char directory[32];
    char preserve[32];

    find_value(answer, "Restart=", restart, sizeof(restart));
    find_value(answer, "ExecStopPost=", stop_post, sizeof(stop_post));
    find_value(answer, "RuntimeDirectory=", directory, sizeof(directory));
    find_value(answer, "RuntimeDirectoryPreserve=", preserve, sizeof(preserve));
    return strcmp(restart, "no") != 0 || stop_post[0] != '\0' ||
           (directory[0] != '\0' && strcmp(preserve, "yes") != 0);
}

static void explain(pid_t pid, const char *unit, bool asked, HfText *error)
{
    char name[HF_UNIT_MAX];

    hf_text_printable(unit, strlen(unit), name, sizeof(name));
    hf_text_addf(error, "pid %d belongs to the systemd unit %s, ", (int)pid, name);
    hf_text_add(error, asked ? "which would start it again or remove its socket when it leaves"
                             : "and systemctl does not tell what that does when it leaves");
    hf_text_addf(
        error,
        "; nothing was touched. Keep systemd from it, then take over again:\n"
        "  mkdir -p /run/systemd/system/%s.d\n"
        "  printf '[Service]\\nRestart=no\\nExecStopPost=\\nRuntimeDirectoryPreserve=yes\\n' "
        ">/run/systemd/system/%s.d/holdfast-take-over.conf\n"
        "  systemctl daemon-reload",
        name, name);
}

int hf_unit_check(pid_t pid, HfText *error)
{
    HF_CLEANUP_TEXT HfText answer = {0};
    char process[16];
    char unit[HF_UNIT_MAX];
    char own[HF_UNIT_MAX];

    snprintf(process, sizeof(process), "%d", (int)pid);
    int r = find_unit(process, unit);
    if (r >= 0)
        r = find_unit("self", own);
    if (r < 0) {
        hf_text_addf(error, "the unit of pid %d can not be told: %s", (int)pid, strerror(-r));
        return r;
    }
    if (unit[0] == '\0' || strcmp(unit, own) == 0)
        return 0;
    r = ask_systemctl(unit, &answer);
    if (r >= 0 && !is_in_the_way(hf_text_peek(&answer)))
        return 0;
    explain(pid, unit, r >= 0, error);
    return -EBUSY;
}
