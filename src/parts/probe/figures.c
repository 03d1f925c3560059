/* SPDX-License-Identifier: MIT */
#include "parts/probe/figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "format/pages.h"
#include "kernel/file.h"
#include "run/generation_files.h"
#include "run/listener.h"
#include "run/plan.h"

#define FIGURES_TIMEOUT (2 * HF_USEC_PER_SEC) /* per answer: clients wait for 5 s */
#define AT_ONCE_MAX     64                    /* pools asked at the same time */
#define SCRIPT_MOST     (16U * 1024 * 1024)   /* bytes per answer */

/* ---- where the figures are ---- */

/* The user's own status address is a listener that we hold. */
static int find_listener(const HfPlan *plan, size_t pool, unsigned side, HfReach *ret)
{
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->wanted[i].status && plan->wanted[i].pool == pool)
            return hf_listener_reach(plan->listeners[i], side, ret);
    return -ENOENT;
}

int hf_figures_find_page(const HfPlan *plan, const char *statuses, size_t pool, unsigned side,
                         HfReach *ret)
{
    char path[HF_ADDRESS_TEXT_MAX];
    HfReach reach = {0};
    HfAddress address;

    if (!statuses || !(plan->pools[pool].probe & HF_POOL_COUNTS))
        return -ENOENT;
    if (!(plan->pools[pool].probe & HF_POOL_LISTENS))
        return find_listener(plan, pool, side, ret);
    hf_plan_status_socket(statuses, pool, path);
    int r = hf_address_parse(path, &address);
    if (r >= 0)
        r = hf_address_to_sockaddr(&address, &reach.address, &reach.length);
    if (r >= 0)
        *ret = reach;
    return r;
}

/* ---- the script ---- */

int hf_script_place(const HfAdapter *adapter, const char *file)
{
    static const struct timespec old[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    const char *text = adapter->warm_script;

    int r = hf_file_write(file, text, strlen(text), 0644);
    if (r >= 0 && utimensat(AT_FDCWD, file, old, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    return r;
}

int hf_script_run(sd_event *loop, const HfScriptRun *run, HfRequestCallback callback,
                  void *userdata, HfRequest **ret)
{
    const char *const params[] = {"HOLDFAST_WARM", run->task, NULL};
    const HfFastcgiRequest page = {
        .uri = "/holdfast-warm-up.php",
        .script_filename = run->script,
        .params = params,
        .body = run->body,
        .body_length = run->body_length,
    };
    const HfRequestSpec question = {
        .kind = HF_PROBE_FASTCGI,
        .page = &page,
        .most = SCRIPT_MOST,
        .timeout = run->timeout,
    };
    char path[HF_ADDRESS_TEXT_MAX];
    HfAddress address;
    struct sockaddr_storage sockaddr;
    socklen_t length;

    hf_plan_warm_socket(run->statuses, run->pool, run->left, path);
    int r = hf_address_parse(path, &address);
    if (r >= 0)
        r = hf_address_to_sockaddr(&address, &sockaddr, &length);
    return r < 0 ? r
                 : hf_request_start(loop, &question, (const struct sockaddr *)&sockaddr, length,
                                    callback, userdata, ret);
}

bool hf_script_answer(const HfReply *reply, const char **ret, size_t *ret_length, HfText *why)
{
    char words[256] = "the answer is cut";

    int r = reply->result < 0 ? reply->result
                              : hf_scripts_answer(reply->body, reply->length, ret, ret_length);
    if (r > 0)
        return true;
    if (r == 0)
        hf_text_printable(*ret, *ret_length, words, sizeof(words));
    hf_text_add(why, reply->result < 0 ? reply->error : words);
    return false;
}

/* ---- the figures ---- */

HfFigures *hf_figures_free(HfFigures *figures)
{
    if (!figures)
        return NULL;
    for (size_t i = 0; i < figures->n; i++) {
        hf_request_abort(figures->pools[i].request);
        free(figures->pools[i].name);
        free(figures->pools[i].error);
    }
    if (figures->script)
        unlink(figures->script);
    hf_plan_unref(figures->plan);
    free(figures->pools);
    free(figures->statuses);
    free(figures->script);
    free(figures);
    return NULL;
}

static void ask_pools(HfFigures *figures);

static void end_question(HfPoolFigures *pool, const char *error)
{
    HfFigures *figures = pool->figures;

    hf_string_set(&pool->error, error);
    figures->running--;
    ask_pools(figures);
    if (figures->running == 0)
        figures->callback(figures->script != NULL, figures->userdata);
}

static void on_counts(const HfReply *reply, void *userdata)
{
    HfPoolFigures *pool = userdata;
    const HfAdapter *adapter = pool->figures->plan->adapter;

    pool->request = NULL;
    if (reply->result < 0)
        end_question(pool, reply->error);
    else if (adapter->scoreboard(reply->body, reply->length, &pool->counts) < 0)
        end_question(pool, "its status page cannot be parsed");
    else
        end_question(pool, NULL);
}

static void on_cache(const HfReply *reply, void *userdata)
{
    HfPoolFigures *pool = userdata;
    HfFigures *figures = pool->figures;
    const HfAdapter *adapter = figures->plan->adapter;
    HF_CLEANUP_TEXT HfText why = {0};
    const char *said;
    size_t length;

    pool->request = NULL;
    if (hf_script_answer(reply, &said, &length, &why) &&
        adapter->cache(said, length, &figures->cache) < 0)
        hf_text_add(&why, "the answer cannot be parsed");
    end_question(pool, why.length > 0 ? hf_text_peek(&why) : NULL);
}

static int ask_pool(HfPoolFigures *pool)
{
    HfFigures *figures = pool->figures;
    const HfPlan *plan = figures->plan;
    sd_event *loop = figures->supervisor->loop;
    HfReach reach;

    if (figures->script) {
        const HfScriptRun run = {.statuses = figures->statuses,
                                 .pool = pool->index,
                                 .script = figures->script,
                                 .task = "figures",
                                 .timeout = FIGURES_TIMEOUT};
        return hf_script_run(loop, &run, on_cache, pool, &pool->request);
    }
    int r = hf_figures_find_page(plan, figures->statuses, pool->index, figures->side, &reach);
    const HfRequestSpec question = {
        .kind = HF_PROBE_FASTCGI,
        .what = plan->pools[pool->index].status_path,
        .reach = &reach,
        .timeout = FIGURES_TIMEOUT,
    };
    return r < 0 ? r
                 : hf_request_start(loop, &question, (const struct sockaddr *)&reach.address,
                                    reach.length, on_counts, pool, &pool->request);
}

static void ask_pools(HfFigures *figures)
{
    while (figures->next < figures->n && figures->running < AT_ONCE_MAX) {
        HfPoolFigures *pool = &figures->pools[figures->next++];
        int r = ask_pool(pool);
        if (r < 0)
            hf_string_set(&pool->error, strerror(-r));
        else
            figures->running++;
    }
}

static int add_pool(HfFigures *figures, size_t index)
{
    const HfPlan *plan = figures->plan;
    HfPoolFigures *pool = &figures->pools[figures->n++];
    HfQueue queue;

    *pool =
        (HfPoolFigures){.figures = figures, .index = index, .limit = plan->pools[index].workers};
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->wanted[i].pool == index && !plan->wanted[i].status &&
            hf_listener_queue(plan->listeners[i], figures->side, &queue) >= 0)
            pool->queued = queue.depth;
    return hf_string_set(&pool->name, plan->pools[index].name);
}

/* Beside the overlay. One pool sees the whole cache. A pool in a chroot is not used: the script
 * would have to lie in a directory of the user's. */
static int find_cache(HfFigures *figures, const char *overlay)
{
    const HfPlan *plan = figures->plan;
    const char *base = strrchr(overlay, '/') + 1;
    HF_CLEANUP_TEXT HfText file = {0};
    size_t i = 0;

    while (i < plan->n_pools && !(plan->pools[i].warms && plan->pools[i].chroot[0] == '\0'))
        i++;
    if (!plan->switches || !plan->adapter->cache || i == plan->n_pools)
        return -ENOENT;
    hf_text_addf(&file, "%.*s.php", (int)((size_t)(base - overlay) + strcspn(base, ".")), overlay);
    int r = hf_text_take(&file, &figures->script);
    if (r >= 0)
        r = hf_script_place(plan->adapter, figures->script);
    return r < 0 ? r : add_pool(figures, i);
}

static int find_pools(HfFigures *figures)
{
    const HfPlan *plan = figures->plan;
    int r = plan->adapter->scoreboard ? 0 : -ENOENT;

    for (size_t i = 0; r >= 0 && i < plan->n_pools; i++)
        if (plan->pools[i].probe & HF_POOL_COUNTS)
            r = add_pool(figures, i);
    return r < 0 ? r : figures->n == 0 ? -ENOENT : 0;
}

int hf_figures_ask(HfSupervisor *supervisor, bool cache,
                   void (*callback)(bool cache, void *userdata), void *userdata, HfFigures **ret)
{
    const HfGeneration *generation = hf_supervisor_active(supervisor);

    if (!generation || !generation->statuses || generation->main_exited)
        return -ENOENT;
    HfFigures *figures = calloc(1, sizeof(*figures));
    if (!figures)
        return -ENOMEM;
    *figures = (HfFigures){
        .supervisor = supervisor,
        .plan = hf_plan_ref(generation->plan),
        .side = generation->side,
        .pools = calloc(generation->plan->n_pools + 1, sizeof(*figures->pools)),
        .callback = callback,
        .userdata = userdata,
    };
    *ret = figures;
    int r = figures->pools ? hf_string_set(&figures->statuses, generation->statuses) : -ENOMEM;
    if (r >= 0)
        r = cache ? find_cache(figures, generation->files.overlay) : find_pools(figures);
    if (r < 0)
        return r;
    ask_pools(figures);
    return figures->running > 0 ? 0 : -ENOENT;
}
