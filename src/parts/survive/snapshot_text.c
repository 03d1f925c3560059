#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "parts/survive/snapshot_fields.h"

#define FORMAT   "1"
#define HEADER   "holdfast-snapshot="
#define CHECKSUM "checksum="
#define HEX      16 /* digits of the checksum */

/* FNV-1a, 64 bits: for what was torn, not for whoever means harm. */
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

/* Whatever could end a line, and what marks it, as \xHH. */
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

static void write_field(const HfField *field, const char *object, const char *prefix, HfText *text)
{
    const void *at = object + field->offset;
    char address[HF_ADDRESS_TEXT_MAX];
    unsigned number;
    int value;

    switch (field->type) {
    case HF_FIELD_UINT64:
        add_number(text, prefix, field->key, *(const uint64_t *)at);
        break;
    case HF_FIELD_UNSIGNED:
        memcpy(&number, at, sizeof(number));
        add_number(text, prefix, field->key, number);
        break;
    case HF_FIELD_BOOL:
        add_number(text, prefix, field->key, *(const bool *)at);
        break;
    case HF_FIELD_INT:
        memcpy(&value, at, sizeof(value));
        hf_text_addf(text, "%s%s=%d\n", prefix, field->key, value);
        break;
    case HF_FIELD_ENUM:
        memcpy(&value, at, sizeof(value));
        add_line(text, prefix, field->key, field->name(value));
        break;
    case HF_FIELD_TEXT:
        if (*(char *const *)at)
            add_line(text, prefix, field->key, *(char *const *)at);
        break;
    case HF_FIELD_TEXTS:
        for (char *const *item = *(char **const *)at; item && *item; item++)
            add_line(text, prefix, field->key, *item);
        break;
    case HF_FIELD_NUMBERS:
        for (size_t i = 0; i < ((const HfSnapshotNumbers *)at)->n; i++)
            add_number(text, prefix, field->key, ((const HfSnapshotNumbers *)at)->list[i]);
        break;
    case HF_FIELD_ADDRESS:
    default:
        hf_address_format(at, address);
        add_line(text, prefix, field->key, address);
        break;
    }
}

static void write_object(const HfFieldGroup *group, const char *object, const char *prefix,
                         HfText *text)
{
    for (size_t i = 0; i < group->n_fields; i++)
        write_field(&group->fields[i], object, prefix, text);
}

void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text)
{
    HfSnapshot view = *snapshot; /* the accessors do not take const */
    size_t start = text->length;

    hf_text_add(text, HEADER FORMAT "\n");
    write_object(&hf_field_groups[0], (const char *)snapshot, "", text);
    for (size_t g = 1; g < hf_field_groups_n; g++) {
        const HfFieldGroup *group = &hf_field_groups[g];
        const void *object;
        for (size_t i = 0; (object = group->get(&view, i)); i++) {
            HF_CLEANUP_TEXT HfText prefix = {0};
            hf_text_addf(&prefix, "%s.%zu.", group->name, i);
            write_object(group, object, hf_text_peek(&prefix), text);
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

static int append_number(HfSnapshotNumbers *numbers, uint64_t number)
{
    int r = hf_array_reserve(&numbers->list, &numbers->capacity, numbers->n + 1, sizeof(number));

    if (r < 0)
        return r;
    numbers->list[numbers->n++] = number;
    return 0;
}

static int read_address(const char *value, HfAddress *ret)
{
    if (*value == '\0')
        return 0;
    return hf_address_parse(value, ret) < 0 ? -EBADMSG : 0;
}

static int read_field(const HfField *field, char *object, char *value)
{
    void *at = object + field->offset;
    uint64_t number = 0;
    int small = 0;
    int r = 0;

    switch (field->type) {
    case HF_FIELD_UINT64:
        return read_number(value, UINT64_MAX, at);
    case HF_FIELD_UNSIGNED:
        r = read_number(value, UINT32_MAX, &number);
        if (r >= 0)
            memcpy(at, &(unsigned){(unsigned)number}, sizeof(unsigned));
        return r;
    case HF_FIELD_BOOL:
        r = read_number(value, 1, &number);
        if (r >= 0)
            *(bool *)at = number == 1;
        return r;
    case HF_FIELD_INT:
        r = read_int(value, &small);
        break;
    case HF_FIELD_ENUM:
        small = field->value(value);
        r = small < 0 ? -EBADMSG : 0;
        break;
    case HF_FIELD_TEXT:
        return hf_string_set(at, value);
    case HF_FIELD_TEXTS:
        return hf_strv_append(at, value);
    case HF_FIELD_NUMBERS:
        r = read_number(value, UINT64_MAX, &number);
        return r < 0 ? r : append_number(at, number);
    case HF_FIELD_ADDRESS:
    default:
        return read_address(value, at);
    }
    if (r >= 0)
        memcpy(at, &small, sizeof(small));
    return r;
}

static int read_of(const HfFieldGroup *group, char *object, const char *key, char *value)
{
    for (size_t i = 0; i < group->n_fields; i++)
        if (strcmp(group->fields[i].key, key) == 0) {
            int r = unescape(value);
            return r < 0 ? r : read_field(&group->fields[i], object, value);
        }
    return 0;
}

/* NAME.INDEX.KEY: elements come in order, one after another. */
static int read_listed(HfSnapshot *snapshot, const HfFieldGroup *group, char *rest, char *value)
{
    char *dot = strchr(rest, '.');
    uint64_t index;

    if (!dot)
        return -EBADMSG;
    *dot = '\0';
    if (hf_parse_uint(rest, HF_SNAPSHOT_MAX, &index) < 0)
        return -EBADMSG;
    char *object = group->get(snapshot, index);
    if (!object && group->add && (index == 0 || group->get(snapshot, index - 1))) {
        if (index >= group->maximum)
            return -E2BIG;
        object = group->add(snapshot);
        if (!object)
            return -ENOMEM;
    }
    return object ? read_of(group, object, dot + 1, value) : -EBADMSG;
}

static int read_line(HfSnapshot *snapshot, char *line)
{
    char *value = strchr(line, '=');

    if (!value)
        return -EBADMSG;
    *value++ = '\0';
    char *dot = strchr(line, '.');
    if (!dot)
        return read_of(&hf_field_groups[0], (char *)snapshot, line, value);
    *dot = '\0';
    for (size_t g = 1; g < hf_field_groups_n; g++)
        if (strcmp(hf_field_groups[g].name, line) == 0)
            return read_listed(snapshot, &hf_field_groups[g], dot + 1, value);
    return 0;
}

static size_t length_of(char *const *texts)
{
    return texts ? hf_strv_length(texts) : 0;
}

static bool check_plan(const HfSnapshotPlan *plan)
{
    size_t pools = length_of(plan->pools);

    return plan->program && plan->arguments && plan->stop_signal > 0 &&
           (!plan->pools || plan->workers.n == pools) &&
           length_of(plan->status_paths) == plan->probes.n &&
           (plan->probes.n == 0 || plan->probes.n == pools);
}

static bool check_wanted(const HfSnapshot *snapshot, const HfSnapshotWanted *wanted)
{
    if (wanted->plan >= snapshot->n_plans || wanted->listener >= snapshot->n_listeners)
        return false;
    size_t pools = length_of(snapshot->plans[wanted->plan].pools);
    return wanted->name && wanted->address.kind != HF_ADDRESS_NONE &&
           (pools == 0 || wanted->pool < pools);
}

/* Every index leads to something, and each plan can be used. */
static int check(const HfSnapshot *snapshot)
{
    bool ok = snapshot->current < (int)snapshot->n_plans && snapshot->current >= -1 &&
              snapshot->machine.planned == (snapshot->current >= 0) &&
              hf_machine_is_sound(&snapshot->machine);

    for (size_t i = 0; ok && i < snapshot->n_plans; i++)
        ok = check_plan(&snapshot->plans[i]);
    for (size_t i = 0; ok && i < snapshot->n_listeners; i++)
        ok = snapshot->listeners[i].spec.address.kind != HF_ADDRESS_NONE &&
             snapshot->listeners[i].spec.name != NULL;
    for (size_t i = 0; ok && i < snapshot->n_wanted; i++)
        ok = check_wanted(snapshot, &snapshot->wanted[i]);
    for (size_t i = 0; ok && i < snapshot->n_generations; i++) {
        const HfSnapshotGeneration *g = &snapshot->generations[i];
        ok = g->plan < snapshot->n_plans && g->slot < HF_MACHINE_SLOTS && g->pid > 0 &&
             g->pid <= INT32_MAX && g->number == snapshot->machine.generations[g->slot].number;
        for (size_t j = 0; ok && j < i; j++)
            ok = snapshot->generations[j].slot != g->slot;
    }
    return ok ? 0 : -EBADMSG;
}

/* The length without the checksum's line. Returns 0, -EBADMSG when that is wrong, or -ENOMEM. */
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

static int read_lines(char *text, HfSnapshot *snapshot)
{
    int r = 0;

    for (char *line = text; r >= 0 && *line;) {
        char *end = strchr(line, '\n');
        assert(end); /* the last line ends, too: check_whole */
        *end = '\0';
        if (line != text)
            r = read_line(snapshot, line);
        else if (strncmp(line, HEADER, strlen(HEADER)) != 0)
            r = -EBADMSG;
        else if (strcmp(line, HEADER FORMAT) != 0)
            r = -EPROTONOSUPPORT;
        line = end + 1;
    }
    return r;
}

int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    hf_snapshot_init(&snapshot);
    if (length > HF_SNAPSHOT_MAX)
        return -E2BIG;
    int r = check_whole(text, length, &length);
    if (r < 0)
        return r;
    HF_CLEANUP_TEXT HfText copy = {0}; /* to be cut into lines and words */
    hf_text_add_bytes(&copy, text, length);
    if (copy.failed)
        return -ENOMEM;
    r = read_lines(copy.data, &snapshot);
    if (r >= 0)
        r = check(&snapshot);
    if (r < 0)
        return r;
    *ret = snapshot;
    hf_snapshot_init(&snapshot);
    return 0;
}
