#include "service/php_fpm/discovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/memory.h"
#include "format/quantity.h"
#include "kernel/memfile.h"
#include "run/capture.h"
#include "run/environment.h"
#include "service/php_fpm/plan.h"

#define OVERLAY_PATH    "/proc/self/fd/3" /* the first descriptor that a child is given */
#define COMPLAINT_LINES 20

struct HfDiscovery {
    HfDiscoveryQuestion question;
    HfPlan *plan;
    HfCapture *capture;
    unsigned attempt; /* of finding the configuration that is compiled in */
    HfDiscoveryCallback callback;
    void *userdata;
};

static void finish(HfDiscovery *discovery, int r, const char *error)
{
    HfDiscoveryCallback callback = discovery->callback;
    void *userdata = discovery->userdata;

    hf_discovery_abort(discovery);
    callback(r, error, userdata);
}

/* Runs php-fpm with one more set of options over an overlay that only it sees. */
static int ask(HfDiscovery *discovery, const char *const *options, const HfText *overlay,
               HfCaptureCallback callback)
{
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_STRV char **environment = NULL;
    HfSpawnStage stage;

    int r = hf_strv_copy(discovery->question.arguments->arguments, &argv);
    for (; r >= 0 && *options; options++)
        r = hf_strv_append(&argv, *options);
    if (r >= 0)
        r = hf_environment_make(discovery->plan->environment, NULL, &environment);
    if (r < 0)
        return r;

    HF_CLEANUP_FD int file =
        hf_memfile_make("holdfast-overlay", hf_text_peek(overlay), overlay->length);
    if (file < 0)
        return file;
    const HfSpawn spawn = {
        .program = discovery->question.program,
        .argv = argv,
        .envp = environment,
        .directory = discovery->question.directory,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .fds = &file,
        .n_fds = 1,
        .session = true,
        .credentials = &discovery->plan->credentials,
    };
    return hf_capture_start(discovery->question.loop, discovery->question.reaper, &spawn,
                            HF_PHPFPM_DUMP_MAX, discovery->question.timeout, callback, discovery,
                            &discovery->capture, &stage);
}

static bool succeeded(const HfCaptured *captured)
{
    return captured->status.si_code == CLD_EXITED && captured->status.si_status == 0;
}

static void fail(HfDiscovery *discovery, const HfCaptured *captured, const char *what)
{
    HF_CLEANUP_TEXT HfText error = {0};

    if (captured->timed_out) {
        hf_text_addf(&error, "php-fpm did not finish the test of its configuration in ");
        hf_text_add_time(&error, discovery->question.timeout);
    } else if (captured->status.si_code != CLD_EXITED) {
        hf_text_addf(&error, "php-fpm died of signal %d while it tested its configuration",
                     captured->status.si_status);
    } else {
        hf_text_addf(&error, "%s:\n", what);
        hf_phpfpm_complaint(captured->output, captured->length, COMPLAINT_LINES, &error);
    }
    finish(discovery, -EBADMSG, hf_text_peek(&error));
}

static void on_verdict(const HfCaptured *captured, void *userdata)
{
    HfDiscovery *discovery = userdata;

    discovery->capture = NULL;
    if (succeeded(captured))
        finish(discovery, 0, "");
    else
        fail(discovery, captured, "php-fpm rejects its configuration");
}

static int ask_verdict(HfDiscovery *discovery)
{
    static const char *const options[] = {"-F", "-O", "-t", "-y", OVERLAY_PATH, NULL};
    HF_CLEANUP_TEXT HfText overlay = {0};

    int r = hf_plan_overlay(discovery->plan, "/proc/self/fd/3.pid", NULL, &overlay);
    if (r < 0)
        return r;
    return ask(discovery, options, &overlay, on_verdict);
}

static int ask_pools(HfDiscovery *discovery);

static void on_pools(const HfCaptured *captured, void *userdata)
{
    HfDiscovery *discovery = userdata;
    HF_CLEANUP_TEXT HfText error = {0};
    HfPhpfpmConfig config;

    discovery->capture = NULL;
    if (!succeeded(captured)) {
        bool missed = hf_phpfpm_include_missed(captured->output, captured->length);
        discovery->attempt++;
        if (missed && ask_pools(discovery) == 0)
            return;
        fail(discovery, captured,
             missed ? "php-fpm's configuration was not found, name it with -y FILE"
                    : "php-fpm rejects its configuration");
        return;
    }
    int r = captured->truncated
                ? -EFBIG
                : hf_phpfpm_config_parse(captured->output, captured->length, &config);
    if (r < 0) {
        hf_text_addf(&error, "what php-fpm -tt prints is not understood: %s", strerror(-r));
        finish(discovery, r, hf_text_peek(&error));
        return;
    }
    r = hf_phpfpm_plan(&config, discovery->question.arguments, discovery->question.base,
                       discovery->question.aliases, discovery->question.page, discovery->plan,
                       &error);
    hf_phpfpm_config_clear(&config);
    if (r >= 0 && discovery->question.bind)
        r = discovery->question.bind(discovery->plan, &error, discovery->question.binder);
    if (r >= 0)
        r = ask_verdict(discovery);
    if (r < 0) {
        if (error.length == 0)
            hf_text_addf(&error, "php-fpm cannot be asked for its verdict: %s", strerror(-r));
        finish(discovery, r, hf_text_peek(&error));
    }
}

static int ask_pools(HfDiscovery *discovery)
{
    static const char *const options[] = {"-F", "-O", "-tt", "-y", OVERLAY_PATH, NULL};
    HF_CLEANUP_TEXT HfText overlay = {0};
    char *include;

    int r = hf_phpfpm_include(discovery->question.arguments, discovery->question.base,
                              discovery->attempt, &include);
    if (r < 0)
        return r;
    free(discovery->plan->include);
    discovery->plan->include = include;
    hf_phpfpm_question(include, &overlay);
    return ask(discovery, options, &overlay, on_pools);
}

int hf_discovery_start(const HfDiscoveryQuestion *question, HfPlan *plan,
                       HfDiscoveryCallback callback, void *userdata, HfDiscovery **ret)
{
    HfDiscovery *discovery = calloc(1, sizeof(*discovery));
    if (!discovery)
        return -ENOMEM;
    discovery->question = *question;
    discovery->plan = plan;
    discovery->callback = callback;
    discovery->userdata = userdata;
    int r = ask_pools(discovery);
    if (r < 0) {
        hf_discovery_abort(discovery);
        return r;
    }
    *ret = discovery;
    return 0;
}

HfDiscovery *hf_discovery_abort(HfDiscovery *discovery)
{
    if (!discovery)
        return NULL;
    hf_capture_abort(discovery->capture);
    free(discovery);
    return NULL;
}
