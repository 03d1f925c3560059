/* SPDX-License-Identifier: MIT */
#include "loop/names.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "format/capability.h"
#include "kernel/account.h"
#include "kernel/file.h"
#include "kernel/privilege.h"
#include "kernel/process.h"
#include "loop/capture.h"

#define HOST_ADDRESSES_MAX 16
#define ANSWERS_MAX        (64U * 1024 * 1024) /* bytes */

typedef enum Kind {
    KIND_USER,
    KIND_GROUP,
    KIND_HOST,
    KIND_SERVICE_USER, /* including groups and environment */
    KIND_PROGRAM,      /* found in PATH, resolved from names->directory */
    KIND_REAL_PATH,
    KIND_OPEN, /* port: the access(2) mode, for root without capabilities */
} Kind;

/* One address of a host. */
typedef struct Place {
    struct sockaddr_storage address;
    unsigned length;
} Place;

typedef struct Name {
    Kind kind;
    char *text;
    uint16_t port;
    int result;
    bool open; /* of a program that was found, too */
    uid_t uid;
    gid_t gid;
    Place *places;
    size_t n_places;
    HfCredentials credentials;
} Name;

/* What the child writes for each name, followed by places or by groups and environment. */
typedef struct Header {
    int result;
    bool open;
    uid_t uid;
    gid_t gid;
    bool has_group;
    size_t n_places;
    size_t n_groups;
    size_t environment; /* bytes, including the NUL of each entry */
} Header;

struct HfNames {
    char *directory; /* of the service */
    Name *list;
    size_t n;
    size_t capacity;
    size_t asked; /* how many of the first ones have been asked for, with any result */
    HfCapture *capture;
    HfNamesCallback callback;
    void *userdata;
};

int hf_names_new(HfNames **ret)
{
    HfNames *names = hf_allocate(1, sizeof(*names));

    if (!names)
        return -ENOMEM;
    *ret = names;
    return 0;
}

HfNames *hf_names_free(HfNames *names)
{
    if (!names)
        return NULL;
    hf_capture_abort(names->capture);
    for (size_t i = 0; i < names->n; i++) {
        free(names->list[i].text);
        free(names->list[i].places);
        hf_credentials_clear(&names->list[i].credentials);
    }
    free(names->list);
    free(names->directory);
    free(names);
    return NULL;
}

static Name *find_name(const HfNames *names, Kind kind, const char *text, uint16_t port)
{
    for (size_t i = 0; i < names->n; i++) {
        Name *name = &names->list[i];
        if (name->kind == kind && name->port == port && strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

/* ---- questions ---- */

static int want_name(HfNames *names, Kind kind, const char *text, size_t length, uint16_t port)
{
    HF_CLEANUP_FREE char *copy = strndup(text, length);

    if (!copy)
        return -ENOMEM;
    if (find_name(names, kind, copy, port))
        return 0;
    int r = hf_array_reserve(&names->list, &names->capacity, names->n + 1, sizeof(*names->list));
    if (r < 0)
        return r;
    names->list[names->n++] = (Name){
        .kind = kind,
        .text = HF_STEAL(copy),
        .port = port,
        .result = -ETIMEDOUT,
        .credentials = HF_CREDENTIALS_NONE,
    };
    return 0;
}

/* A single name, or several separated by commas. */
static int want_list(HfNames *names, Kind kind, const char *list)
{
    int r = 0;

    for (const char *at = list; r >= 0 && at && *at;) {
        size_t length = strcspn(at, ", ");
        if (length > 0)
            r = want_name(names, kind, at, length, 0);
        at += length + strspn(at + length, ", ");
    }
    return r;
}

int hf_names_want_service(HfNames *names, const HfSettings *settings)
{
    int r = want_list(names, KIND_SERVICE_USER, settings->user);

    return r < 0 ? r : want_list(names, KIND_GROUP, settings->group);
}

int hf_names_want_files(HfNames *names, const char *program, const char *directory,
                        const char *root)
{
    int r = hf_string_set(&names->directory, directory);

    if (r >= 0)
        r = want_name(names, KIND_PROGRAM, program, strlen(program), 0);
    if (r >= 0 && directory)
        r = hf_names_want_open(names, directory, X_OK);
    return r < 0 || !root ? r : want_name(names, KIND_REAL_PATH, root, strlen(root), 0);
}

/* Whether a program that was found is open was answered with it. */
static const Name *find_open(const HfNames *names, const char *path, int mode)
{
    for (size_t i = 0; mode == X_OK && i < names->n; i++) {
        const Name *name = &names->list[i];
        if (name->kind == KIND_PROGRAM && name->credentials.environment &&
            strcmp(*name->credentials.environment, path) == 0)
            return name;
    }
    return find_name(names, KIND_OPEN, path, (uint16_t)mode);
}

int hf_names_want_open(HfNames *names, const char *path, int mode)
{
    return find_open(names, path, mode)
               ? 0
               : want_name(names, KIND_OPEN, path, strlen(path), (uint16_t)mode);
}

int hf_names_want_listener(HfNames *names, const HfListenerSpec *spec, bool with_host)
{
    const HfAddress *address = &spec->address;
    int r = want_list(names, KIND_USER, spec->owner);

    if (r >= 0)
        r = want_list(names, KIND_GROUP, spec->group);
    if (r >= 0)
        r = want_list(names, KIND_USER, spec->acl_users);
    if (r >= 0)
        r = want_list(names, KIND_GROUP, spec->acl_groups);
    if (r >= 0 && with_host && address->kind == HF_ADDRESS_HOST)
        r = want_name(names, KIND_HOST, address->name, strlen(address->name), address->port);
    return r;
}

/* ---- in the child ---- */

static int resolve_places(const Name *name, Place *ret)
{
    struct sockaddr_storage addresses[HOST_ADDRESSES_MAX];
    unsigned lengths[HOST_ADDRESSES_MAX];

    int n = hf_resolve(name->text, name->port, addresses, lengths, HOST_ADDRESSES_MAX);
    for (int i = 0; i < n; i++)
        ret[i] = (Place){addresses[i], lengths[i]};
    return n;
}

static int find_path(const HfNames *names, const Name *name, char **ret)
{
    if (name->kind == KIND_PROGRAM)
        return hf_process_find(name->text, getenv("PATH"), names->directory, ret);
    *ret = realpath(name->text, NULL);
    return *ret ? 0 : -errno;
}

static void answer_name(const HfNames *names, const Name *name, HfText *ret)
{
    Header header = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    HfCredentials credentials = HF_CREDENTIALS_NONE;
    Place places[HOST_ADDRESSES_MAX] = {0};
    HF_CLEANUP_TEXT HfText environment = {0};

    if (name->kind == KIND_HOST) {
        header.result = resolve_places(name, places);
        header.n_places = header.result > 0 ? (size_t)header.result : 0;
    } else if (name->kind == KIND_GROUP) {
        header.result = hf_account_group(name->text, &header.gid);
    } else if (name->kind == KIND_USER) {
        header.result = hf_account_user(name->text, &header.uid, &header.gid);
    } else if (name->kind == KIND_OPEN) {
        header.result = 0;
        header.open = hf_privilege_is_open(name->text, name->port);
    } else if (name->kind != KIND_SERVICE_USER) {
        HF_CLEANUP_FREE char *path = NULL;
        header.result = find_path(names, name, &path);
        if (header.result >= 0)
            hf_text_add_bytes(&environment, path, strlen(path) + 1);
        header.open = header.result >= 0 && hf_privilege_is_open(path, X_OK);
        header.environment = environment.length;
    } else {
        header.result = hf_credentials_set_user(&credentials, name->text);
        header.uid = credentials.uid;
        header.gid = credentials.gid;
        header.has_group = credentials.has_group;
        header.n_groups = credentials.n_groups;
        for (char **entry = credentials.environment; entry && *entry; entry++)
            hf_text_add_bytes(&environment, *entry, strlen(*entry) + 1);
        header.environment = environment.length;
    }
    hf_text_add_bytes(ret, (const char *)&header, sizeof(header));
    hf_text_add_bytes(ret, (const char *)places, header.n_places * sizeof(*places));
    hf_text_add_bytes(ret, (const char *)credentials.groups, header.n_groups * sizeof(gid_t));
    hf_text_add_bytes(ret, hf_text_peek(&environment), environment.length);
    hf_credentials_clear(&credentials);
}

/* Writes one by one, so that answers that came before a silent server are not lost. */
static void answer_names(int fd, void *userdata)
{
    const HfNames *names = userdata;

    for (size_t i = names->asked; i < names->n; i++) {
        HF_CLEANUP_TEXT HfText answer = {0};
        answer_name(names, &names->list[i], &answer);
        for (size_t at = 0; at < answer.length;) {
            ssize_t written = write(fd, answer.data + at, answer.length - at);
            if (written < 0 && errno != EINTR)
                return;
            at += written > 0 ? (size_t)written : 0;
        }
    }
}

/* ---- back from the child ---- */

/* Copies the next n elements, NULL for none. Returns false if the answer is too short. */
static bool take_copy(const char **at, const char *end, size_t n, size_t size, void *ret)
{
    void *copy = NULL;

    if (n > (size_t)(end - *at) / size)
        return false;
    if (n > 0) {
        copy = hf_allocate(n, size);
        if (!copy)
            return false;
        memcpy(copy, *at, n * size);
        *at += n * size;
    }
    memcpy(ret, &copy, sizeof(copy));
    return true;
}

static bool take_environment(const char **at, const char *end, size_t length, char ***ret)
{
    const char *stop = *at + length;

    if (length > (size_t)(end - *at) || (length > 0 && stop[-1] != '\0'))
        return false;
    for (; *at < stop; *at += strlen(*at) + 1)
        if (hf_strv_append(ret, *at) < 0)
            return false;
    return true;
}

static bool take_name(const char **at, const char *end, Name *name)
{
    HfCredentials *credentials = &name->credentials;
    Header header;

    if ((size_t)(end - *at) < sizeof(header))
        return false;
    memcpy(&header, *at, sizeof(header));
    *at += sizeof(header);
    if (!take_copy(at, end, header.n_places, sizeof(Place), &name->places) ||
        !take_copy(at, end, header.n_groups, sizeof(gid_t), &credentials->groups) ||
        !take_environment(at, end, header.environment, &credentials->environment))
        return false;
    name->n_places = header.n_places;
    name->uid = credentials->uid = header.uid;
    name->gid = credentials->gid = header.gid;
    credentials->has_user = true;
    credentials->has_group = header.has_group;
    credentials->n_groups = header.n_groups;
    name->result = header.result;
    name->open = header.open;
    return true;
}

static void on_names(const HfCaptured *captured, void *userdata)
{
    HfNames *names = userdata;
    const char *at = captured->output;
    const char *end = at + captured->length;

    names->capture = NULL;
    while (names->asked < names->n && take_name(&at, end, &names->list[names->asked]))
        names->asked++;
    for (; names->asked < names->n; names->asked++)
        names->list[names->asked].result = captured->timed_out ? -ETIMEDOUT : -EIO;
    names->callback(names->userdata);
}

/* A file that nobody has to be waited for needs no child. */
static bool answer_here(Name *name, const HfNames *names)
{
    HF_CLEANUP_TEXT HfText answer = {0};

    if (name->kind < KIND_PROGRAM || name->text[0] != '/' || !hf_file_is_near(name->text))
        return false;
    answer_name(names, name, &answer);
    const char *at = hf_text_peek(&answer);
    return take_name(&at, at + answer.length, name);
}

int hf_names_ask(HfNames *names, sd_event *loop, HfReaper *reaper, uint64_t timeout,
                 HfNamesCallback callback, void *userdata)
{
    while (names->asked < names->n && answer_here(&names->list[names->asked], names))
        names->asked++;
    if (names->asked == names->n)
        return 1;
    names->callback = callback;
    names->userdata = userdata;
    return hf_capture_call(loop, reaper, answer_names, names, ANSWERS_MAX, timeout, on_names, names,
                           &names->capture);
}

/* ---- answers ---- */

int hf_names_user(const HfNames *names, const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
    const Name *name = names ? find_name(names, KIND_USER, user, 0) : NULL;

    if (!name)
        return hf_account_user(user, ret_uid, ret_gid);
    if (name->result < 0)
        return name->result;
    *ret_uid = name->uid;
    if (ret_gid)
        *ret_gid = name->gid;
    return 0;
}

int hf_names_group(const HfNames *names, const char *group, gid_t *ret_gid)
{
    const Name *name = names ? find_name(names, KIND_GROUP, group, 0) : NULL;

    if (!name)
        return hf_account_group(group, ret_gid);
    if (name->result >= 0)
        *ret_gid = name->gid;
    return name->result;
}

int hf_names_host(const HfNames *names, const char *host, uint16_t port,
                  struct sockaddr_storage *ret, unsigned *ret_lengths, size_t maximum)
{
    const Name *name = names ? find_name(names, KIND_HOST, host, port) : NULL;

    if (!name)
        return hf_resolve(host, port, ret, ret_lengths, maximum);
    for (size_t i = 0; i < name->n_places && i < maximum; i++) {
        ret[i] = name->places[i].address;
        ret_lengths[i] = name->places[i].length;
    }
    return name->result;
}

int hf_names_service_user(HfNames *names, HfCredentials *credentials, const char *user)
{
    Name *name = names ? find_name(names, KIND_SERVICE_USER, user, 0) : NULL;

    if (!name)
        return hf_credentials_set_user(credentials, user);
    if (name->result < 0)
        return name->result;
    HfCredentials *found = &name->credentials;
    found->no_new_privileges = credentials->no_new_privileges;
    found->capabilities = credentials->capabilities;
    hf_credentials_clear(credentials);
    *credentials = *found;
    *found = HF_CREDENTIALS_NONE;
    name->result = -EALREADY;
    return 0;
}

static int take_path(const HfNames *names, Kind kind, const char *text, char **ret)
{
    const Name *name = names ? find_name(names, kind, text, 0) : NULL;

    if (!name)
        return 1;
    if (name->result < 0)
        return name->result;
    *ret = NULL;
    return name->credentials.environment ? hf_string_set(ret, *name->credentials.environment)
                                         : -EIO;
}

int hf_names_program(const HfNames *names, const char *program, const char *directory, char **ret)
{
    int r = take_path(names, KIND_PROGRAM, program, ret);

    return r > 0 ? hf_process_find(program, getenv("PATH"), directory, ret) : r;
}

int hf_names_real_path(const HfNames *names, const char *path, char **ret)
{
    int r = take_path(names, KIND_REAL_PATH, path, ret);

    if (r <= 0)
        return r;
    *ret = realpath(path, NULL);
    return *ret ? 0 : -errno;
}

const char *hf_names_silent(const HfNames *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i].result == -ETIMEDOUT) /* so the names after it were never asked for */
            return names->list[i].kind >= KIND_PROGRAM ? names->list[i].text : NULL;
    return NULL;
}

bool hf_names_open(const HfNames *names, const char *path, int mode)
{
    const Name *name = names ? find_open(names, path, mode) : NULL;

    return name ? name->open : hf_privilege_is_open(path, mode);
}

/* ---- whose the service is ---- */

static int explain_account(const char *option, const char *name, int r, HfText *error)
{
    if (r == -ENOENT)
        hf_text_addf(error, "--%s: there is no %s \"%s\" on this system", option, option, name);
    else if (r < 0)
        hf_text_addf(error, "--%s: \"%s\" cannot be looked up: %s", option, name, strerror(-r));
    return r;
}

static int find_account(const HfSettings *settings, HfNames *names, HfCredentials *credentials,
                        HfText *error)
{
    int r = 0;

    if (settings->user)
        r = explain_account("user", settings->user,
                            hf_names_service_user(names, credentials, settings->user), error);
    if (r >= 0 && settings->group) {
        r = explain_account("group", settings->group,
                            hf_names_group(names, settings->group, &credentials->gid), error);
        credentials->has_group = true;
    }
    if (r >= 0 && credentials->has_user && !credentials->has_group) {
        hf_text_addf(error, "--user: %s has no entry that names its group; add --group",
                     settings->user);
        r = -EINVAL;
    }
    return r;
}

/* Switching to our own user needs no privilege. */
static int check_rights(HfCredentials *credentials, HfText *error)
{
    if (hf_credentials_are_own(credentials)) {
        if (!hf_privilege_has(CAP_SETUID) || !hf_privilege_has(CAP_SETGID))
            credentials->has_user = credentials->has_group = false;
    } else if ((credentials->has_user && !hf_privilege_has(CAP_SETUID)) ||
               !hf_privilege_has(CAP_SETGID)) {
        hf_text_add(error, "--user and --group need holdfast to run as root, or as that user "
                           "already; start it as root, or leave them out");
        return -EPERM;
    }
    if (credentials->capabilities != HF_CAPABILITIES_ALL && !hf_privilege_has(CAP_SETPCAP)) {
        hf_text_add(error, "--capabilities needs holdfast to run as root (CAP_SETPCAP); start it "
                           "as root, or leave it out");
        return -EPERM;
    }
    return 0;
}

int hf_names_credentials(HfNames *names, const HfSettings *settings, HfCredentials *ret,
                         HfText *error)
{
    HfCredentials credentials = HF_CREDENTIALS_NONE;

    credentials.no_new_privileges = settings->no_new_privileges;
    credentials.capabilities = settings->capabilities;
    int r = find_account(settings, names, &credentials, error);
    if (r >= 0)
        r = check_rights(&credentials, error);
    if (r < 0) {
        hf_credentials_clear(&credentials);
        return r;
    }
    *ret = credentials;
    return 0;
}
