/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/options.h"
#include "config/settings.h"

#define USERS_BASE  "/run/user"
#define FOREIGN_MAX 64 /* instances of another user that are looked at */

/* ---- finding instances ---- */

/* A directory with instances. Only root looks into another user's, and never by name alone, as
 * anyone may give an instance any name. */
typedef struct Base {
    char *path;
    bool foreign;
} Base;

typedef struct Bases {
    Base *list;
    size_t n;
    size_t capacity;
} Bases;

static void bases_clear(Bases *bases)
{
    for (size_t i = 0; i < bases->n; i++)
        free(bases->list[i].path);
    free(bases->list);
}
#define CLEANUP_BASES __attribute__((cleanup(bases_clear)))

/* Takes ownership of path. */
static int add_base(Bases *bases, char *path, bool foreign)
{
    int r =
        path ? hf_array_reserve(&bases->list, &bases->capacity, bases->n + 1, sizeof(*bases->list))
             : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < bases->n; i++)
        if (strcmp(bases->list[i].path, path) == 0)
            r = -EEXIST;
    if (r < 0) {
        free(path);
        return r == -EEXIST ? 0 : r;
    }
    bases->list[bases->n++] = (Base){path, foreign};
    return 0;
}

static int add_base_of_user(Bases *bases, const char *user, bool foreign)
{
    HF_CLEANUP_TEXT HfText text = {0};
    char *path = NULL;

    hf_text_addf(&text, USERS_BASE "/%s/holdfast", user);
    return hf_text_take(&text, &path) < 0 ? -ENOMEM : add_base(bases, path, foreign);
}

static int add_bases_of_others(Bases *bases)
{
    DIR *users = opendir(USERS_BASE);
    int r = 0;

    if (!users)
        return 0;
    for (struct dirent *entry; r >= 0 && (entry = readdir(users));)
        if (entry->d_name[0] != '.')
            r = add_base_of_user(bases, entry->d_name, true);
    closedir(users);
    return r;
}

/* The caller's own, even where cron has not set XDG_RUNTIME_DIR, the system's, and for root those
 * of all users. */
static int list_bases(Bases *bases)
{
    char uid[32];
    char *own = NULL;

    int r = hf_name_of_runtime_base(&own);
    if (r >= 0)
        r = add_base(bases, own, false);
    snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
    if (r >= 0 && geteuid() != 0)
        r = add_base_of_user(bases, uid, false);
    if (r >= 0)
        r = add_base(bases, strdup(HF_RUNTIME_BASE), false);
    return r >= 0 && geteuid() == 0 ? add_bases_of_others(bases) : r;
}

/* ---- one connection ---- */

/* Adds the value of a D-Bus address, escaped as the specification requires. */
static void add_escaped(HfText *text, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.-";

    for (; *value; value++) {
        if (strchr(plain, *value))
            hf_text_add_bytes(text, value, 1);
        else
            hf_text_addf(text, "%%%02x", (unsigned)(unsigned char)*value);
    }
}

/* Returns 0 when nobody but root, the caller and uid can have made path lead where it does, else
 * -EXDEV: a link in a user's directory must not steer whoever asks there to another instance. */
static int leads_to(const char *path, uid_t uid)
{
    HF_CLEANUP_FREE char *part = strdup(path);
    struct stat found;
    struct stat root;

    if (!part || stat("/", &root) < 0) /* in a user namespace it may be nobody's */
        return -errno;
    for (char *end = strchr(part + 1, '/');; end = strchr(end + 1, '/')) {
        if (end)
            *end = '\0';
        if (lstat(part, &found) < 0)
            return -errno;
        if (found.st_uid != 0 && found.st_uid != geteuid() && found.st_uid != uid &&
            found.st_uid != root.st_uid)
            return -EXDEV;
        if (!end)
            return 0;
        *end = '/';
    }
}

/* The process that listens must be of the user that owns the path. */
static int check_peer(sd_bus *bus, const char *path)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    int fd = sd_bus_get_fd(bus);

    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return fd < 0 ? fd : -errno;
    return leads_to(path, peer.uid);
}

/* directory: BASE/NAME. */
static int connect_in(const char *directory, sd_bus **ret)
{
    __attribute__((cleanup(sd_bus_close_unrefp))) sd_bus *bus = NULL;
    HF_CLEANUP_TEXT HfText address = {0};
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/control", directory);
    hf_text_add(&address, "unix:path=");
    add_escaped(&address, hf_text_peek(&path));
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, hf_text_peek(&address));
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = check_peer(bus, hf_text_peek(&path));
    if (r < 0)
        return r;
    *ret = HF_STEAL(bus);
    return 0;
}

/* Waits until it has accepted us, which a stopped one never does. Other errors will come from the
 * call. */
static int await_ready(sd_bus *bus)
{
    uint64_t until = hf_clock_monotonic() + HF_CLIENT_TIMEOUT;
    int r = 0;

    while (r >= 0 && sd_bus_is_ready(bus) == 0) {
        uint64_t now = hf_clock_monotonic();
        if (now >= until)
            return -ETIMEDOUT;
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, until - now);
        if (r == -EINTR)
            r = 0;
    }
    return 0;
}

static bool is_absence(int r)
{
    return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

/* ---- listing instances ---- */

void hf_instance_clear(HfInstance *instance)
{
    free(instance->directory);
    sd_bus_close_unref(instance->bus);
    *instance = (HfInstance){0};
}

void hf_instances_clear(HfInstances *instances)
{
    for (size_t i = 0; i < instances->n; i++)
        hf_instance_clear(&instances->list[i]);
    free(instances->list);
    *instances = (HfInstances){0};
}

/* Takes ownership of directory. If the instance cannot be asked *ret_problem is the reason. */
static int try_instance(HfInstances *instances, char *directory, bool foreign, int *ret_problem)
{
    HF_CLEANUP_FREE char *owned = directory;
    __attribute__((cleanup(sd_bus_close_unrefp))) sd_bus *bus = NULL;

    if (!directory)
        return -ENOMEM;
    int r = connect_in(directory, &bus);
    if (r < 0) {
        if (!is_absence(r))
            *ret_problem = r;
        return 0;
    }
    r = hf_array_reserve(&instances->list, &instances->capacity, instances->n + 1,
                         sizeof(*instances->list));
    if (r < 0)
        return r;
    instances->list[instances->n++] =
        (HfInstance){.directory = HF_STEAL(owned), .foreign = foreign, .bus = HF_STEAL(bus)};
    return 0;
}

static char *path_below(const char *base, const char *name)
{
    HF_CLEANUP_TEXT HfText path = {0};
    char *joined = NULL;

    hf_text_addf(&path, "%s/%s", base, name);
    return hf_text_take(&path, &joined) < 0 ? NULL : joined;
}

/* Lists those in base; with name only that one. */
static int list_in(const Base *base, const char *name, HfInstances *instances, int *ret_problem)
{
    DIR *directory = name ? NULL : opendir(base->path);
    size_t looked = 0;
    int r = 0;

    if (name)
        return try_instance(instances, path_below(base->path, name), base->foreign, ret_problem);
    if (!directory)
        return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
    for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || (base->foreign && looked++ == FOREIGN_MAX))
            continue;
        r = try_instance(instances, path_below(base->path, entry->d_name), base->foreign,
                         ret_problem);
    }
    closedir(directory);
    return r;
}

static const char *name_in(const char *directory)
{
    const char *slash = strrchr(directory, '/');

    return slash ? slash + 1 : directory;
}

/* By name; of several with one name the one reached by it comes first. */
static int compare_instances(const void *a, const void *b)
{
    const HfInstance *left = a;
    const HfInstance *right = b;
    int order = strcmp(name_in(left->directory), name_in(right->directory));

    return order != 0 ? order : (left->found > right->found) - (left->found < right->found);
}

static int list_all(const char *name, HfInstances *instances, int *ret_problem)
{
    CLEANUP_BASES Bases bases = {0};
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* there may be many */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int r = list_bases(&bases);
    for (size_t i = 0; r >= 0 && i < bases.n; i++)
        r = list_in(&bases.list[i], name, instances, ret_problem);
    for (size_t i = 0; i < instances->n; i++)
        instances->list[i].found = i;
    if (instances->n > 0)
        qsort(instances->list, instances->n, sizeof(*instances->list), compare_instances);
    for (size_t i = 0; i < instances->n; i++) {
        HfInstance *one = &instances->list[i];
        const char *called = name_in(one->directory);
        bool hidden = one->foreign || (i > 0 && strcmp(name_in(one[-1].directory), called) == 0);
        one->label = hidden ? one->directory : called;
    }
    return r;
}

/* which: "the instance NAME", "an instance". */
static int explain(const char *which, int r, HfText *error)
{
    if (r == -EACCES || r == -EPERM) {
        hf_text_addf(error, "%s may only be reached by root and the user it runs as", which);
        return HF_EXIT_NOT_PERMITTED;
    }
    if (r == -ETIMEDOUT)
        hf_text_addf(error, "%s does not answer; its process is stopped, or hangs", which);
    else if (r == -EXDEV)
        hf_text_addf(error,
                     "%s is not contacted: its path leads through a link or directory of a user "
                     "who is neither root nor the one it runs as",
                     which);
    else
        hf_text_addf(error, "%s cannot be reached: %s", which, strerror(-r));
    return HF_EXIT_FAILED;
}

int hf_client_explain(const char *label, int r, HfText *error)
{
    HF_CLEANUP_TEXT HfText which = {0};

    hf_text_addf(&which, "the instance %s", label);
    return explain(hf_text_peek(&which), r, error);
}

/* Mentions instances that a name does not reach. */
static void add_others(const HfInstances *instances, HfText *error)
{
    const char *before = "; another user has one, choose it with --name:";

    for (size_t i = 0; i < instances->n; i++)
        if (instances->list[i].foreign) {
            hf_text_addf(error, "%s %s", before, instances->list[i].directory);
            before = "";
        }
}

/* Finds the first with that name, or in that directory. One that refuses us counts only if there is
 * no other. */
static int find_named(const char *name, HfInstances *instances, HfText *error)
{
    int problem = 0;
    int r = name[0] == '/' ? try_instance(instances, strdup(name), false, &problem)
                           : list_all(name, instances, &problem);

    if (r < 0 || (instances->n == 0 && problem < 0))
        return hf_client_explain(name, r < 0 ? r : problem, error);
    if (instances->n > 0 && !instances->list[0].foreign) {
        if (!instances->list[0].label)
            instances->list[0].label = instances->list[0].directory;
        while (instances->n > 1)
            hf_instance_clear(&instances->list[--instances->n]);
        return HF_EXIT_DONE;
    }
    hf_text_addf(error, "no instance named %s is running", name);
    add_others(instances, error);
    return HF_EXIT_NOT_RUNNING;
}

int hf_client_find(const char *name, HfInstances *ret, HfText *error)
{
    int problem = 0;

    if (name)
        return find_named(name, ret, error);
    int r = list_all(NULL, ret, &problem);
    if (r >= 0 && ret->n == 0)
        r = problem;
    if (r < 0)
        return explain("an instance", r, error);
    if (ret->n > 0)
        return HF_EXIT_DONE;
    hf_text_add(error, "no instance is running");
    return HF_EXIT_NOT_RUNNING;
}

/* Exactly one must be reachable by name. */
static int choose_only(const HfInstances *instances, HfInstance **ret, HfText *error)
{
    size_t n = 0;

    for (size_t i = 0; i < instances->n; i++)
        if (!instances->list[i].foreign && n++ == 0)
            *ret = &instances->list[i];
    if (n == 1)
        return HF_EXIT_DONE;
    if (n == 0) {
        hf_text_add(error, "no instance is running");
        add_others(instances, error);
        return HF_EXIT_NOT_RUNNING;
    }
    hf_text_add(error, "several instances are running, choose one with --name:");
    for (size_t i = 0; i < instances->n; i++)
        hf_text_addf(error, " %s", instances->list[i].label);
    return HF_EXIT_USAGE;
}

int hf_client_connect(const char *name, HfInstance *ret, HfText *error)
{
    HF_CLEANUP_INSTANCES HfInstances instances = {0};
    HfInstance *chosen = NULL;

    int status = hf_client_find(name, &instances, error);
    if (status == HF_EXIT_DONE)
        status = choose_only(&instances, &chosen, error);
    if (status != HF_EXIT_DONE)
        return status;
    int r = await_ready(chosen->bus);
    if (r < 0)
        return hf_client_explain(chosen->label, r, error);
    *ret = *chosen;
    *chosen = (HfInstance){0};
    return HF_EXIT_DONE;
}

void hf_client_log(const HfText *error)
{
    hf_log_lines(LOG_ERR, NULL, error->failed ? "out of memory" : hf_text_peek(error));
}

int hf_client_connect_or_log(const char *name, HfInstance *ret)
{
    HF_CLEANUP_TEXT HfText error = {0};

    int status = hf_client_connect(name, ret, &error);
    if (status != HF_EXIT_DONE)
        hf_client_log(&error);
    return status;
}
