/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "parts/survive/snapshot.h"

#define FIXTURE "fixtures/snapshot/0.1.0"

static void set(char **field, const char *text)
{
    assert_int_equal(hf_string_set(field, text), 0);
}

/* One more of a list, or NULL above its bound. */
static void *add(HfSnapshot *snapshot, const char *list)
{
    void *added = NULL;

    for (size_t i = 1; i < hf_field_groups_n; i++)
        if (strcmp(hf_field_groups[i].name, list) == 0 &&
            hf_field_add(&hf_field_groups[i], snapshot, &added) == 0)
            return added;
    return NULL;
}

static void fill_plan(HfSnapshot *snapshot)
{
    HfPlan *plan = add(snapshot, "plan");

    plan->adapter = hf_adapter_find("php-fpm");
    plan->handoff = hf_handoff_find("php-fpm");
    plan->readiness = HF_READINESS_NOTIFY;
    set(&plan->program, "/usr/sbin/php-fpm8.2");
    assert_int_equal(hf_strv_append(&plan->arguments, "php-fpm8.2"), 0);
    assert_int_equal(hf_strv_append(&plan->arguments, "-d\nname=a\\b"), 0);
    plan->pools = calloc(1, sizeof(*plan->pools));
    plan->n_pools = 1;
    set(&plan->pools[0].name, "www");
    set(&plan->pools[0].memory_limit, "");
    plan->pools[0].workers = plan->peak_workers = 5;
    set(&plan->pools[0].status_path, "/holdfast-1");
    plan->pools[0].probe = HF_POOL_PINGS | HF_POOL_COUNTS | HF_POOL_LISTENS | HF_POOL_WRITES_PATH;
    plan->stop_signal = 3;
    plan->reopen_signal = 10;
    plan->drain_timeout = 30000000;
    plan->failures = 3;
    plan->switches = true;
    plan->credentials.has_user = true;
    plan->credentials.uid = 33;
    set(&plan->include, "/etc/php/8.2/fpm/php-fpm.conf");
    set(&plan->ready_text, "ready to handle connections");
}

static void fill(HfSnapshot *snapshot)
{
    hf_snapshot_init(snapshot);
    snapshot->sequence = 7;
    set(&snapshot->version, "0.1.0");
    snapshot->machine.phase = HF_PHASE_IDLE;
    snapshot->machine.planned = snapshot->machine.switches = true;
    snapshot->machine.side = 1;
    snapshot->machine.last_number = 2;
    snapshot->machine.generations[1] = (HfMachineGeneration){
        .stage = HF_STAGE_ACTIVE,
        .side = 1,
        .number = 2,
    };
    snapshot->machine.generations[0] = (HfMachineGeneration){
        .stage = HF_STAGE_RETIRE,
        .number = 1,
    };
    snapshot->machine.requests[3] =
        (HfMachineRequest){.id = 12, .kind = HF_REQUEST_UPGRADE, .next = true};
    snapshot->machine.upgrade = HF_UPGRADE_TESTING;
    snapshot->current = 0;
    assert_int_equal(hf_snapshot_note(snapshot, "hf-c", NULL, 12), 0);
    assert_int_equal(hf_snapshot_note(snapshot, "hf-s-1", NULL, 13), 0);
    fill_plan(snapshot);

    HfListener *listener = add(snapshot, "listener");
    assert_int_equal(hf_address_parse("/run/php/www.sock", &listener->spec.address), 0);
    set(&listener->spec.name, "www");
    listener->spec.mode = 0660;
    listener->spec.backlog = HF_BACKLOG_MAXIMUM;
    listener->inodes[0].inode = 4711;

    HfSnapshotWanted *wanted = add(snapshot, "wanted");
    wanted->plan = snapshot->plans.items[0];
    wanted->listener = listener;
    wanted->planned.spec.address = listener->spec.address;
    set(&wanted->planned.spec.name, "www");
    set(&wanted->planned.alias, "/run/holdfast/php/none/www");

    HfGeneration *generation = add(snapshot, "generation");
    generation->plan = snapshot->plans.items[0];
    generation->number = 2;
    generation->slot = 1;
    generation->side = 1;
    generation->cause = HF_CAUSE_RELOAD;
    generation->main.pid = 4242;
    generation->started = 123456789;
    generation->owed = 3;
    hf_text_printable("php-fpm8.2", strlen("php-fpm8.2"), generation->program.comm,
                      sizeof(generation->program.comm));
    set(&generation->files.overlay, "/run/holdfast/php/gen-2.conf");
}

static void write_text(const HfSnapshot *snapshot, HfText *text)
{
    hf_snapshot_write(snapshot, text);
    assert_false(text->failed);
}

static int read_text(const char *text, HfSnapshot *ret)
{
    return hf_snapshot_read(text, strlen(text), ret);
}

static const HfPlan *plan_of(const HfSnapshot *snapshot)
{
    return snapshot->plans.items[0];
}

static void test_there_and_back(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot first;
    HF_CLEANUP_SNAPSHOT HfSnapshot second;
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText again = {0};

    (void)state;
    fill(&first);
    write_text(&first, &text);
    assert_int_equal(read_text(hf_text_peek(&text), &second), 0);
    write_text(&second, &again);
    assert_string_equal(hf_text_peek(&again), hf_text_peek(&text));
    assert_string_equal(plan_of(&second)->arguments[1], "-d\nname=a\\b");
    assert_int_equal(plan_of(&second)->pools[0].workers, 5);
    assert_int_equal(plan_of(&second)->failures, 3);
    assert_int_equal(((HfListener *)second.listeners.items[0])->spec.mode, 0660);
    assert_string_equal(((HfNote *)second.notes.items[0])->key, "hf-c");
    assert_int_equal(second.machine.requests[3].id, 12);
    assert_true(second.machine.switches && plan_of(&second)->switches);
    assert_int_equal(((HfGeneration *)second.generations.items[0])->side, 1);
    assert_string_equal(((HfGeneration *)second.generations.items[0])->program.comm, "php-fpm8.2");
    assert_memory_equal(&second.machine.generations, &first.machine.generations,
                        sizeof(first.machine.generations));
}

/* One that knows of one side only would not go on with two. */
static void test_two_sides(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot first;
    HF_CLEANUP_SNAPSHOT HfSnapshot second;
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    fill(&first);
    HfListener *listener = first.listeners.items[0];
    listener->sockets[1] = 8;
    listener->inodes[1].inode = 4712;
    listener->side = listener->places[1] = 1;
    write_text(&first, &text);
    assert_memory_equal(hf_text_peek(&text), "holdfast-snapshot=2\n", 20);
    assert_int_equal(read_text(hf_text_peek(&text), &second), 0);
    listener = second.listeners.items[0];
    assert_int_equal(listener->sockets[1], 8);
    assert_int_equal(listener->inodes[1].inode, 4712);
    assert_true(listener->side == 1 && listener->places[1] == 1 && listener->standby == 0);
}

static void test_torn(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HfSnapshot unused;
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    fill(&snapshot);
    write_text(&snapshot, &text);
    for (size_t length = 0; length < text.length; length++)
        assert_int_equal(hf_snapshot_read(text.data, length, &unused), -EBADMSG);
    for (size_t i = 0; i < text.length; i++) {
        text.data[i] ^= 1;
        assert_true(hf_snapshot_read(text.data, text.length, &unused) < 0);
        text.data[i] ^= 1;
    }
}

/* The text with a line more or a word changed, and its checksum made right again. */
static void reseal(const char *text, const char *from, const char *to, HfText *ret)
{
    const char *end = strstr(text, "\nchecksum=") + 1;
    const char *at = strstr(text, from);
    uint64_t hash = 0xcbf29ce484222325;

    assert_non_null(at);
    hf_text_add_bytes(ret, text, (size_t)(at - text));
    hf_text_add(ret, to);
    hf_text_add_bytes(ret, at + strlen(from), (size_t)(end - at) - strlen(from));
    for (size_t i = 0; i < ret->length; i++)
        hash = (hash ^ (unsigned char)ret->data[i]) * 0x100000001b3;
    hf_text_addf(ret, "checksum=%016llx\n", (unsigned long long)hash);
}

static int read_changed(const char *from, const char *to, HfSnapshot *ret)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText changed = {0};

    fill(&snapshot);
    write_text(&snapshot, &text);
    reseal(hf_text_peek(&text), from, to, &changed);
    return hf_snapshot_read(changed.data, changed.length, ret);
}

static void test_unknown_keys(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    (void)state;
    assert_int_equal(read_changed("sequence=7\n",
                                  "sequence=8\nnews=\\zz\nnews.0.key=x\nslot.0.news=\\zz\n",
                                  &snapshot),
                     0);
    assert_int_equal(snapshot.sequence, 8);
    assert_string_equal(plan_of(&snapshot)->program, "/usr/sbin/php-fpm8.2");
}

static void test_missing_keys_have_defaults(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    (void)state;
    assert_int_equal(read_changed("plan.0.capabilities=18446744073709551615\n", "", &snapshot), 0);
    assert_int_equal(plan_of(&snapshot)->credentials.capabilities, UINT64_MAX);
}

static void test_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        int r;
    } cases[] = {
        {"holdfast-snapshot=1", "holdfast-snapshot=3", -EPROTONOSUPPORT},
        {"holdfast-snapshot=1", "something-else=1", -EBADMSG},
        {"phase=idle", "phase=dancing", -EBADMSG},
        {"phase=idle", "phase=starting", -EBADMSG},
        {"current=0", "current=1", -EBADMSG},
        {"current=0", "current=-2", -EBADMSG},
        {"current=0", "current=-1", -EBADMSG},
        {"slot.0.main-exited=0", "slot.0.main-exited=1", -EBADMSG},
        {"slot.1.number=2", "slot.1.number=3", -EBADMSG},
        {"slot.1.", "slot.8.", -EBADMSG},
        {"generation.0.slot=1", "generation.0.slot=8", -EBADMSG},
        {"generation.0.pid=4242", "generation.0.pid=0", -EBADMSG},
        {"generation.0.plan=0", "generation.0.plan=1", -EBADMSG},
        {"note.0.fd=12", "note.0.fd=2147483648", -EBADMSG},
        {"note.0.key=hf-c\n", "", -EBADMSG},
        {"note.0.fd=12", "lock-fd=x\nnote.0.fd=12", -EBADMSG},
        {"listener.0.address=/run/php/www.sock\n", "", -EBADMSG},
        {"listener.0.address", "listener.1.address", -EBADMSG},
        {"wanted.0.listener=0", "wanted.0.listener=1", -EBADMSG},
        {"plan.0.program=/usr/sbin/php-fpm8.2\n", "", -EBADMSG},
        {"plan.0.workers=5\n", "", -EBADMSG},
        {"plan.0.probe=15\n", "", -EBADMSG},
        {"plan.0.status-path=/holdfast-1\n", "", -EBADMSG},
        {"plan.0.pool=www\n", "", -EBADMSG},
        {"plan.0.memory-limit=\n", "", -EBADMSG},
        {"wanted.0.pool=0", "wanted.0.pool=1", -EBADMSG},
        {"wanted.0.plan=0", "wanted.0.plan=1", -EBADMSG},
        {"wanted.0.name=www\n", "", -EBADMSG},
        {"wanted.0.address=/run/php/www.sock", "wanted.0.address=", -EBADMSG},
        {"listener.0.address=/run/php/www.sock", "listener.0.address=here", -EBADMSG},
        {"listener.0.name=www\n", "", -EBADMSG},
        {"plan.0.workers=5", "plan.0.workers=x", -EBADMSG},
        {"plan.0.probe=15\n", "plan.0.probe=15\nplan.0.probe=1\nplan.0.status-path=/x\n", -EBADMSG},
        {"generation.0.plan=0\n", "", -EBADMSG},
        {"wanted.0.listener=0\n", "", -EBADMSG},
        {"plan.0.program=", "plan.program=", -EBADMSG},
        {"plan.0.program=", "plan.x.program=", -EBADMSG},
        {"plan.0.program=", "plan.2.program=", -EBADMSG},
        {"generation.0.pid=4242", "generation.0.pid=x", -EBADMSG},
        {"generation.0.pid=4242", "generation.0.pid=2147483648", -EBADMSG},
        {"generation.0.number=2", "generation.0.number=1", -EBADMSG},
        {"generation.0.pid=4242\n",
         "generation.0.pid=4242\ngeneration.1.number=2\ngeneration.1.slot=1\ngeneration.1.pid=5\n",
         -EBADMSG},
        {"planned=1", "planned=2", -EBADMSG},
        {"side=1", "side=8", -EBADMSG},
        {"slot.1.side=1", "slot.1.side=8", -EBADMSG},
        {"generation.0.side=1", "generation.0.side=0", -EBADMSG},
        {"\\x0a", "\\y0a", -EBADMSG},
        {"\\x0a", "\\x/a", -EBADMSG},
        {"\\x0a", "\\xAa", -EBADMSG},
        {"\\x0a", "\\x0g", -EBADMSG},
        {"\\x0a", "\\x0", -EBADMSG},
        {"\\x0a", "\\x00", -EBADMSG},
        {"planned=1", "planned", -EBADMSG},
        {"plan.0.adapter=php-fpm", "plan.0.adapter=news", -EPROTONOSUPPORT},
        {"plan.0.handoff=php-fpm\n", "", -EBADMSG},
        {"plan.0.adapter=php-fpm\n", "", -EBADMSG},
        {"plan.0.probe=15\n",
         "plan.0.probe=15\nplan.0.pool=www\nplan.0.pool=b\nplan.0.memory-limit=\n"
         "plan.0.memory-limit=\nplan.0.workers=5\nplan.0.workers=5\n",
         -EBADMSG},
        {"generation.0.session=0", "generation.0.session=-1", -EBADMSG},
        {"wanted.0.plan=0", "wanted.0.plan=x", -EBADMSG},
        {"wanted.0.plan=0\n", "", -EBADMSG},
        {"misses=0", "misses=x", -EBADMSG},
    };
    HfSnapshot unused;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (read_changed(cases[i].from, cases[i].to, &unused) != cases[i].r)
            fail_msg("%s to %s", cases[i].from, cases[i].to);
}

static void test_lists_grow_one_by_one(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_SNAPSHOT HfSnapshot unused;
    HF_CLEANUP_TEXT HfText plans = {0};

    (void)state;
    hf_snapshot_init(&unused);
    assert_int_equal(
        read_changed("listener.0.inode=4711\n",
                     "listener.0.inode=4711\nlistener.1.name=x\nlistener.1.address=80\n"
                     "plan.0.news=\ngeneration.0.number=2\n"
                     "generation.1.number=1\ngeneration.1.plan=0\n"
                     "generation.1.pid=5\n",
                     &snapshot),
        0);
    assert_int_equal(snapshot.listeners.n, 2);
    assert_int_equal(((HfListener *)snapshot.listeners.items[1])->fds[0], -1);
    assert_int_equal(snapshot.generations.n, 2);

    hf_text_add(&plans, "current=0\n");
    for (size_t i = 0; i <= HF_SNAPSHOT_PLANS; i++)
        hf_text_addf(&plans, "plan.%zu.news=\n", i);
    assert_int_equal(read_changed("current=0\n", hf_text_peek(&plans), &unused), -E2BIG);
}

static void repeat(HfText *text, const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hf_text_add(text, line);
}

static void test_repeated_lines_are_bounded(void **state)
{
    HfSnapshot unused;
    HF_CLEANUP_TEXT HfText pools = {0};
    HF_CLEANUP_TEXT HfText notes = {0};

    (void)state;
    repeat(&pools, "plan.0.pool=www\n", HF_LISTENERS_MAX + 1);
    assert_int_equal(read_changed("plan.0.pool=www\n", hf_text_peek(&pools), &unused), -E2BIG);
    repeat(&notes, "lock-fd=3\n", HF_SNAPSHOT_NOTES + 1);
    assert_int_equal(read_changed("planned=1\n", hf_text_peek(&notes), &unused), -E2BIG);
}

static void test_which_plan(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot first;
    HF_CLEANUP_SNAPSHOT HfSnapshot second;
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText foreign = {0};
    HfPlan other = {0};
    HfGeneration *generation;

    (void)state;
    hf_snapshot_init(&second);
    fill(&first);
    fill_plan(&first);
    generation = first.generations.items[0];
    generation->plan = &other;
    write_text(&first, &foreign);
    assert_int_equal(read_text(hf_text_peek(&foreign), &second), -EBADMSG);
    generation->plan = first.plans.items[1];
    ((HfPlan *)first.plans.items[1])->stop_signal = 15;
    write_text(&first, &text);
    assert_int_equal(read_text(hf_text_peek(&text), &second), 0);
    generation = second.generations.items[0];
    assert_ptr_equal(generation->plan, second.plans.items[1]);
    assert_int_equal(generation->plan->stop_signal, 15);
}

static void test_borrowed_stays(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot owner;
    HfSnapshot borrower;
    HfSnapshotWanted *wanted;

    (void)state;
    fill(&owner);
    hf_snapshot_init(&borrower);
    borrower.borrowed = true;
    borrower.version = owner.version;
    assert_int_equal(hf_snapshot_append(&borrower.plans, owner.plans.items[0]), 0);
    assert_int_equal(hf_snapshot_append(&borrower.listeners, owner.listeners.items[0]), 0);
    assert_int_equal(hf_snapshot_append(&borrower.generations, owner.generations.items[0]), 0);
    assert_int_equal(hf_snapshot_append(&borrower.generations, NULL), -ENOMEM);
    assert_int_equal(borrower.generations.n, 1);
    wanted = add(&borrower, "wanted");
    *wanted = *(HfSnapshotWanted *)owner.wanted.items[0];
    hf_snapshot_clear(&borrower);
    assert_null(borrower.version);
    assert_int_equal(borrower.plans.n, 0);
    assert_string_equal(owner.version, "0.1.0");
    assert_string_equal(plan_of(&owner)->pools[0].name, "www");
    assert_string_equal(((HfListener *)owner.listeners.items[0])->spec.name, "www");
    assert_string_equal(((HfSnapshotWanted *)owner.wanted.items[0])->planned.spec.name, "www");
    assert_int_equal(((HfGeneration *)owner.generations.items[0])->main.pid, 4242);
}

/* Of a program that is not php-fpm. */
static void test_plan_without_pools(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot first;
    HF_CLEANUP_SNAPSHOT HfSnapshot second;
    HF_CLEANUP_TEXT HfText text = {0};
    HfPlan *plan;

    (void)state;
    fill(&first);
    plan = first.plans.items[0];
    free(plan->pools[0].name);
    free(plan->pools[0].memory_limit);
    free(plan->pools[0].status_path);
    plan->n_pools = 0;
    ((HfSnapshotWanted *)first.wanted.items[0])->planned.pool = 7;
    write_text(&first, &text);
    assert_int_equal(read_text(hf_text_peek(&text), &second), 0);
    assert_int_equal(((HfSnapshotWanted *)second.wanted.items[0])->planned.pool, 7);
}

static void test_lists_are_bounded(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    (void)state;
    hf_snapshot_init(&snapshot);
    while (add(&snapshot, "listener"))
        ;
    while (add(&snapshot, "plan"))
        ;
    while (add(&snapshot, "wanted"))
        ;
    while (add(&snapshot, "generation"))
        ;
    while (add(&snapshot, "note"))
        ;
    assert_int_equal(snapshot.listeners.n, HF_SNAPSHOT_LISTENERS);
    assert_int_equal(snapshot.plans.n, HF_SNAPSHOT_PLANS);
    assert_int_equal(snapshot.wanted.n, HF_SNAPSHOT_LISTENERS);
    assert_int_equal(snapshot.generations.n, HF_MACHINE_SLOTS);
    assert_int_equal(snapshot.notes.n, HF_SNAPSHOT_NOTES);
}

static void test_no_text(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText text = {0};
    HfSnapshot unused;

    (void)state;
    fill(&snapshot);
    write_text(&snapshot, &text);
    text.data[text.length / 2] = '\0';
    assert_int_equal(hf_snapshot_read(text.data, text.length, &unused), -EBADMSG);
    assert_int_equal(hf_snapshot_read(text.data, HF_SNAPSHOT_MAX + 1, &unused), -E2BIG);
}

/* Snapshots of every version that was released can be read for ever: HF_FIXTURE=1 writes today's.
 */
static void test_fixture(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_SNAPSHOT HfSnapshot expected;
    char text[16384];

    (void)state;
    fill(&expected);
    expected.machine.side = expected.machine.generations[1].side = 0; /* it knew of none */
    expected.machine.switches = false;
    if (getenv("HF_FIXTURE")) {
        HF_CLEANUP_TEXT HfText today = {0};
        write_text(&expected, &today);
        FILE *file = fopen(FIXTURE, "w");
        assert_non_null(file);
        fputs(hf_text_peek(&today), file);
        fclose(file);
    }
    FILE *file = fopen(FIXTURE, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_int_equal(hf_snapshot_read(text, length, &snapshot), 0);
    assert_string_equal(snapshot.version, "0.1.0");
    assert_int_equal(((HfGeneration *)snapshot.generations.items[0])->main.pid, 4242);
    assert_int_equal(plan_of(&snapshot)->credentials.uid, 33);
    assert_int_equal(plan_of(&snapshot)->pools[0].probe, 15);
    assert_int_equal(snapshot.notes.n, 4); /* three descriptors, and that READY=1 was sent */
    assert_memory_equal(&snapshot.machine, &expected.machine, sizeof(expected.machine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_two_sides),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_missing_keys_have_defaults),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lists_grow_one_by_one),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_plan_without_pools),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_repeated_lines_are_bounded),
        cmocka_unit_test(test_which_plan),
        cmocka_unit_test(test_borrowed_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
