/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "parts/survive/snapshot.h"

#define HEADER   "holdfast-snapshot="
#define ONE_SIDE HEADER "1\n" /* readable by 0.1.0 */
#define SIDES    HEADER "2\n" /* listeners have several sides, and may have been switched */
#define CHECKSUM "checksum="
#define HEX      16 /* digits of the checksum */

/* FNV-1a, 64 bits: detects torn text, not forgeries. */
static uint64_t checksum(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return hash;
}

static void add_checksum(HfText *text, const char *of, size_t length)
{
    hf_text_addf(text, CHECKSUM "%0*" PRIx64 "\n", HEX, checksum(of, length));
}

/* ---- writing ---- */

static const HfFieldWords *words_of(const HfField *field)
{
    return &hf_field_words[field->words];
}

/* Escapes whatever could end a line, and the backslash, as \xHH. */
static void add_escaped(HfText *text, const char *value)
{
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;
        if (byte < 0x20 || byte == '\\')
            hf_text_addf(text, "\\x%02x", byte);
        else
            hf_text_add_bytes(text, value, 1);
    }
}

static void add_line(HfText *text, const char *prefix, const char *key, const char *value)
{
    hf_text_addf(text, "%s%s=", prefix, key);
    add_escaped(text, value);
    hf_text_add(text, "\n");
}

static void add_number(HfText *text, const char *prefix, const char *key, uint64_t number)
{
    hf_text_addf(text, "%s%s=%" PRIu64 "\n", prefix, key, number);
}

/* An item that is not in the list gets an index that readers refuse. */
static size_t index_of(const HfSnapshotList *list, const void *item)
{
    size_t i = 0;

    while (i < list->n && list->items[i] != item)
        i++;
    return i;
}

static void write_field(const HfSnapshot *snapshot, const HfField *field, const void *at,
                        const char *prefix, HfText *text)
{
    char address[HF_ADDRESS_TEXT_MAX];

    switch (field->type) {
    case HF_FIELD_UINT64:
        add_number(text, prefix, field->key, *(const uint64_t *)at);
        break;
    case HF_FIELD_UNSIGNED:
        add_number(text, prefix, field->key, *(const unsigned *)at);
        break;
    case HF_FIELD_BOOL:
        add_number(text, prefix, field->key, *(const bool *)at);
        break;
    case HF_FIELD_INT:
        hf_text_addf(text, "%s%s=%d\n", prefix, field->key, *(const int *)at);
        break;
    case HF_FIELD_ENUM:
        add_line(text, prefix, field->key, words_of(field)->name(*(const int *)at));
        break;
    case HF_FIELD_TEXT:
        if (*(char *const *)at)
            add_line(text, prefix, field->key, *(char *const *)at);
        break;
    case HF_FIELD_TEXTS:
        for (char *const *item = *(char **const *)at; item && *item; item++)
            add_line(text, prefix, field->key, *item);
        break;
    case HF_FIELD_COMM:
        if (*(const char *)at)
            add_line(text, prefix, field->key, at);
        break;
    case HF_FIELD_ADDRESS:
        hf_address_format(at, address);
        add_line(text, prefix, field->key, address);
        break;
    case HF_FIELD_PLAN:
        add_number(text, prefix, field->key, index_of(&snapshot->plans, *(void *const *)at));
        break;
    case HF_FIELD_LISTENER:
        add_number(text, prefix, field->key, (*(HfListener *const *)at)->index);
        break;
    case HF_FIELD_KNOWN:
        add_line(text, prefix, field->key, words_of(field)->known(at));
        break;
    case HF_FIELD_OLD_FD:
    case HF_FIELD_OLD_TEXT:
    default:
        break;
    }
}

static void write_object(const HfSnapshot *snapshot, const HfFieldGroup *group, const char *object,
                         const char *prefix, HfText *text)
{
    for (const HfField *field = group->fields; field < group->fields + group->n_fields; field++) {
        const char *at = object + field->offset;
        if (field->stride == 0) {
            write_field(snapshot, field, at, prefix, text);
            continue;
        }
        const char *array = *(const char *const *)at;
        size_t n = *(const size_t *)(object + field->count);
        for (size_t i = 0; i < n; i++)
            write_field(snapshot, field, array + i * field->stride + field->member, prefix, text);
    }
}

static bool has_sides(const HfSnapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->listeners.n; i++)
        if (hf_listener_has_sides(snapshot->listeners.items[i]))
            return true;
    return false;
}

void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text)
{
    HfSnapshot view = *snapshot; /* elements are looked up for reading as well, so not const */
    size_t start = text->length;

    hf_text_add(text, has_sides(snapshot) ? SIDES : ONE_SIDE);
    write_object(snapshot, &hf_field_groups[0], (const char *)snapshot, "", text);
    for (size_t g = 1; g < hf_field_groups_n; g++) {
        const HfFieldGroup *group = &hf_field_groups[g];
        const void *object;
        for (size_t i = 0; (object = hf_field_element(group, &view, i)); i++) {
            HF_CLEANUP_TEXT HfText prefix = {0};
            hf_text_addf(&prefix, "%s.%zu.", group->name, i);
            write_object(snapshot, group, object, hf_text_peek(&prefix), text);
            hf_text_fail(text, prefix.failed);
        }
    }
    if (text->failed)
        return;
    add_checksum(text, hf_text_peek(text) + start, text->length - start);
}

/* ---- reading ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. */
static int unescape(char *value)
{
    char *to = value;

    for (const char *from = value; *from; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        int high = from[1] == 'x' ? hex_digit(from[2]) : -1;
        int low = high < 0 ? -1 : hex_digit(from[3]);
        if (low < 0 || (high == 0 && low == 0))
            return -EBADMSG;
        *to++ = (char)(high * 16 + low);
        from += 3;
    }
    *to = '\0';
    return 0;
}

static int read_number(const char *value, uint64_t maximum, uint64_t *ret)
{
    return hf_parse_uint(value, maximum, ret) < 0 ? -EBADMSG : 0;
}

static int read_int(const char *value, int *ret)
{
    uint64_t number;
    bool negative = value[0] == '-';

    if (read_number(value + negative, INT32_MAX, &number) < 0)
        return -EBADMSG;
    *ret = negative ? -(int)number : (int)number;
    return 0;
}

static int read_address(const char *value, HfAddress *ret)
{
    if (*value == '\0')
        return 0;
    return hf_address_parse_any(value, ret) < 0 ? -EBADMSG : 0;
}

/* The position, to continue with the next line of the same key. */
typedef struct Reader {
    HfSnapshot *snapshot;
    const HfField *field;
    const void *object;
    size_t repeats;
} Reader;

static int read_index(const HfSnapshotList *list, const char *value, void **ret)
{
    uint64_t index;

    if (read_number(value, UINT32_MAX, &index) < 0 || index >= list->n)
        return -EBADMSG;
    *ret = list->items[index];
    return 0;
}

static int read_old(HfSnapshot *snapshot, const HfField *field, const char *value)
{
    int fd = -1;

    if (snapshot->notes.n >= HF_SNAPSHOT_NOTES)
        return -E2BIG;
    if (field->type == HF_FIELD_OLD_TEXT)
        return strcmp(value, "0") == 0
                   ? 0
                   : hf_snapshot_note(snapshot, words_of(field)->note, value, -1);
    int r = read_int(value, &fd);
    return r < 0 || fd < 0 ? r : hf_snapshot_note(snapshot, words_of(field)->note, NULL, fd);
}

static int read_field(const Reader *reader, const HfField *field, void *at, const char *value)
{
    uint64_t number = 0;
    int r;

    switch (field->type) {
    case HF_FIELD_UINT64:
        return read_number(value, UINT64_MAX, at);
    case HF_FIELD_UNSIGNED:
        r = read_number(value, UINT32_MAX, &number);
        if (r >= 0)
            *(unsigned *)at = (unsigned)number;
        return r;
    case HF_FIELD_BOOL:
        r = read_number(value, 1, &number);
        if (r >= 0)
            *(bool *)at = number == 1;
        return r;
    case HF_FIELD_INT:
        return read_int(value, at);
    case HF_FIELD_ENUM:
        r = words_of(field)->value(value);
        if (r >= 0 && r != HF_FIELD_KEEP)
            *(int *)at = r;
        return r < 0 ? -EBADMSG : 0;
    case HF_FIELD_TEXT:
        return hf_string_set(at, value);
    case HF_FIELD_TEXTS:
        return hf_strv_append(at, value);
    case HF_FIELD_COMM:
        hf_text_printable(value, strlen(value), at, sizeof(((HfProgram *)0)->comm));
        return 0;
    case HF_FIELD_ADDRESS:
        return read_address(value, at);
    case HF_FIELD_PLAN:
        return read_index(&reader->snapshot->plans, value, at);
    case HF_FIELD_LISTENER:
        return read_index(&reader->snapshot->listeners, value, at);
    case HF_FIELD_KNOWN:
        return words_of(field)->find(value, at) ? 0 : -EPROTONOSUPPORT;
    case HF_FIELD_OLD_FD:
    case HF_FIELD_OLD_TEXT:
    default:
        return read_old(reader->snapshot, field, value);
    }
}

/* The element that the next line of an array's key is about; creates it if necessary. */
static int find_element(const Reader *reader, const HfField *field, char *object, void **ret)
{
    char **array = (char **)(object + field->offset);
    size_t *n = (size_t *)(object + field->count);

    if (reader->repeats >= field->maximum)
        return -E2BIG;
    if (reader->repeats >= *n) {
        char *grown = realloc(*array, (*n + 1) * field->stride);
        if (!grown)
            return -ENOMEM;
        memset(grown + *n * field->stride, 0, field->stride);
        *array = grown;
        ++*n;
    }
    *ret = *array + reader->repeats * field->stride + field->member;
    return 0;
}

static int read_of(Reader *reader, const HfFieldGroup *group, char *object, const char *key,
                   char *value)
{
    const HfField *field = group->fields;
    int r = 0;

    while (field < group->fields + group->n_fields && strcmp(field->key, key) != 0)
        field++;
    if (field == group->fields + group->n_fields) {
        hf_log(LOG_DEBUG, NULL,
               "the snapshot says %s%s%s, which this version does not know: skipped",
               group->name ? group->name : "", group->name ? " " : "", key);
        return 0;
    }
    void *at = object + field->offset;
    bool again = reader->field == field && reader->object == object;
    reader->repeats = again ? reader->repeats + 1 : 0;
    reader->field = field;
    reader->object = object;
    if (field->stride > 0)
        r = find_element(reader, field, object, &at);
    if (r >= 0)
        r = unescape(value);
    return r < 0 ? r : read_field(reader, field, at, value);
}

/* NAME.INDEX.KEY: elements come in order. */
static int read_listed(Reader *reader, const HfFieldGroup *group, char *rest, char *value)
{
    char *dot = strchr(rest, '.');
    uint64_t number;
    int r = 0;

    if (!dot)
        return -EBADMSG;
    *dot = '\0';
    if (hf_parse_uint(rest, HF_SNAPSHOT_MAX, &number) < 0)
        return -EBADMSG;
    size_t index = (size_t)number;
    char *object = hf_field_element(group, reader->snapshot, index);
    if (!object && group->make &&
        (index == 0 || hf_field_element(group, reader->snapshot, index - 1)))
        r = hf_field_add(group, reader->snapshot, (void **)&object);
    if (r < 0)
        return r;
    return object ? read_of(reader, group, object, dot + 1, value) : -EBADMSG;
}

static int read_line(Reader *reader, char *line)
{
    char *value = strchr(line, '=');

    if (!value)
        return -EBADMSG;
    *value++ = '\0';
    char *dot = strchr(line, '.');
    if (!dot)
        return read_of(reader, &hf_field_groups[0], (char *)reader->snapshot, line, value);
    *dot = '\0';
    for (size_t g = 1; g < hf_field_groups_n; g++)
        if (strcmp(hf_field_groups[g].name, line) == 0)
            return read_listed(reader, &hf_field_groups[g], dot + 1, value);
    hf_log(LOG_DEBUG, NULL,
           "the snapshot has a list of %s, which this version does not know: skipped", line);
    return 0;
}

/* The length without the line of the checksum. Returns 0, -EBADMSG when that is wrong, or -ENOMEM.
 */
static int check_whole(const char *text, size_t length, size_t *ret)
{
    const size_t tail = strlen(CHECKSUM) + HEX + 1;
    HF_CLEANUP_TEXT HfText expected = {0};

    if (length <= tail || memchr(text, '\0', length))
        return -EBADMSG;
    length -= tail;
    add_checksum(&expected, text, length);
    if (expected.failed)
        return -ENOMEM;
    if (memcmp(text + length, expected.data, tail) != 0 || text[length - 1] != '\n')
        return -EBADMSG;
    *ret = length;
    return 0;
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static int read_header(const char *line)
{
    if (!begins(line, HEADER))
        return -EBADMSG;
    return begins(line, ONE_SIDE) || begins(line, SIDES) ? 0 : -EPROTONOSUPPORT;
}

static int read_lines(char *text, HfSnapshot *snapshot)
{
    Reader reader = {.snapshot = snapshot};
    int r = 0;

    for (char *line = text; r >= 0 && *line;) {
        char *end = strchr(line, '\n');
        assert(end); /* check_whole has made sure that the last line ends as well */
        if (line == text)
            r = read_header(line);
        *end = '\0';
        if (line != text)
            r = read_line(&reader, line);
        line = end + 1;
    }
    return r;
}

/* ---- is it sound? ---- */

static bool check_plan(const HfPlan *plan)
{
    bool ok =
        plan->adapter && plan->handoff && plan->program && plan->arguments && plan->stop_signal > 0;

    for (size_t i = 0; ok && i < plan->n_pools; i++) {
        const HfPlanPool *pool = &plan->pools[i];
        ok = pool->name && pool->memory_limit && pool->workers > 0 &&
             (pool->status_path != NULL) == (pool->probe != 0) &&
             (pool->status_path != NULL) == hf_plan_is_probed(plan);
    }
    return ok;
}

static bool check_wanted(const HfSnapshotWanted *wanted)
{
    return wanted->plan && wanted->listener && wanted->planned.spec.name &&
           wanted->planned.spec.address.kind != HF_ADDRESS_NONE &&
           (wanted->plan->n_pools == 0 || wanted->planned.pool < wanted->plan->n_pools);
}

static bool check_generation(const HfSnapshot *snapshot, size_t i)
{
    const HfGeneration *generation = snapshot->generations.items[i];
    bool ok = generation->plan && generation->slot < HF_MACHINE_SLOTS && generation->main.pid > 0 &&
              generation->side == snapshot->machine.generations[generation->slot].side &&
              generation->session >= 0 &&
              generation->number == snapshot->machine.generations[generation->slot].number;

    for (size_t j = 0; ok && j < i; j++)
        ok = ((HfGeneration *)snapshot->generations.items[j])->slot != generation->slot;
    return ok;
}

static bool check_sides(const HfSnapshot *snapshot)
{
    bool ok = snapshot->machine.side < HF_MACHINE_SIDES;

    for (size_t i = 0; ok && i < HF_MACHINE_SLOTS; i++)
        ok = snapshot->machine.generations[i].side < HF_MACHINE_SIDES;
    return ok;
}

/* Is every index valid, and can each plan be used? Returns 0 or -EBADMSG. */
static int check_snapshot(const HfSnapshot *snapshot)
{
    bool ok = snapshot->current < (int)snapshot->plans.n && snapshot->current >= -1 &&
              snapshot->machine.planned == (snapshot->current >= 0) && check_sides(snapshot) &&
              hf_machine_is_sound(&snapshot->machine);

    for (size_t i = 0; ok && i < snapshot->plans.n; i++)
        ok = check_plan(snapshot->plans.items[i]);
    for (size_t i = 0; ok && i < snapshot->listeners.n; i++) {
        const HfListener *listener = snapshot->listeners.items[i];
        ok = listener->spec.address.kind != HF_ADDRESS_NONE && listener->spec.name != NULL;
    }
    for (size_t i = 0; ok && i < snapshot->wanted.n; i++)
        ok = check_wanted(snapshot->wanted.items[i]);
    for (size_t i = 0; ok && i < snapshot->generations.n; i++)
        ok = check_generation(snapshot, i);
    for (size_t i = 0; ok && i < snapshot->notes.n; i++)
        ok = ((HfNote *)snapshot->notes.items[i])->key != NULL;
    return ok ? 0 : -EBADMSG;
}

/* ---- the whole ---- */

int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    hf_snapshot_init(&snapshot);
    if (length > HF_SNAPSHOT_MAX)
        return -E2BIG;
    int r = check_whole(text, length, &length);
    if (r < 0)
        return r;
    HF_CLEANUP_TEXT HfText copy = {0}; /* will be split into lines and words */
    hf_text_add_bytes(&copy, text, length);
    if (copy.failed)
        return -ENOMEM;
    r = read_lines(copy.data, &snapshot);
    if (r >= 0)
        r = check_snapshot(&snapshot);
    if (r < 0)
        return r;
    *ret = snapshot;
    hf_snapshot_init(&snapshot);
    return 0;
}
