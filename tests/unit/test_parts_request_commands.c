/* SPDX-License-Identifier: MIT */
/* The requests of parts/probe/request.h that are commands: they need a pidfd. */
#include "child_helpers.h"

#include "base/parse.h"
#include "loop/reaper.h"
#include "parts/probe/request.h"

typedef struct Expected {
    sd_event *loop;
    int result;
    const char *error;
    unsigned times;
} Expected;

static void on_reply(const HfReply *reply, void *userdata)
{
    Expected *expected = userdata;

    expected->times++;
    assert_int_equal(reply->result, expected->result);
    assert_string_equal(reply->error ? reply->error : "", expected->error);
    if (reply->result == 0)
        assert_int_equal(reply->length, 0);
    sd_event_exit(expected->loop, 0);
}

static void run(const char *command, uint64_t timeout, int result, const char *error)
{
    static const char *const more[] = {"ANSWER=42", NULL};
    HfRequest *request = NULL;
    HfLoop own = {0};
    size_t fds = count_fds();

    assert_int_equal(hf_loop_open(&own), 0);
    const HfRequestSpec question = {.kind = HF_PROBE_EXEC,
                                    .what = command,
                                    .environment = more,
                                    .timeout = timeout,
                                    .reaper = own.reaper};
    Expected expected = {.loop = own.event, .result = result, .error = error};
    assert_int_equal(hf_request_start(own.event, &question, NULL, 0, on_reply, &expected, &request),
                     0);
    assert_int_equal(expected.times, 0); /* never from within */
    assert_int_equal(sd_event_loop(own.event), 0);
    hf_loop_close(&own);
    assert_int_equal(expected.times, 1);
    assert_int_equal(count_fds(), fds);
}

static void test_commands(void **state)
{
    (void)state;
    run("test \"$ANSWER\" = 42", 60 * HF_USEC_PER_SEC, 0, "");
    run("echo out of cheese; exit 3", 60 * HF_USEC_PER_SEC, -EREMOTEIO,
        "the command exited with status 3:\nout of cheese");
    run("exec sleep 600", 50 * HF_USEC_PER_MSEC, -EREMOTEIO, "the command did not finish in 50 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
