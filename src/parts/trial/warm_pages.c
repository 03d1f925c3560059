/* SPDX-License-Identifier: MIT */
#include "parts/trial/trial_parts.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "format/pages.h"
#include "kernel/file.h"
#include "parts/probe/figures.h"
#include "run/listener.h"

/* ---- for both kinds of warm-up ---- */

void hf_warm_excuse(HfWarmUp *warm, const char *format, ...)
{
    va_list arguments;

    if (warm->why.length > 0)
        return;
    va_start(arguments, format);
    hf_text_addv(&warm->why, format, arguments);
    va_end(arguments);
}

void hf_warm_next(HfWarmSlot *slot)
{
    slot->warm->running--;
    sd_event_source_set_enabled(slot->warm->pump, SD_EVENT_ONESHOT);
}

void hf_warm_pause(HfWarmUp *warm, uint64_t usec)
{
    warm->paused = sd_event_source_set_time_relative(warm->pause, usec) >= 0 &&
                   sd_event_source_set_enabled(warm->pause, SD_EVENT_ONESHOT) >= 0;
    if (!warm->paused)
        sd_event_source_set_enabled(warm->pump, SD_EVENT_ONESHOT);
}

/* ---- requests: each page once per worker, since each has its own caches ---- */

#define FILE_MAX     (1024U * 1024) /* bytes of a list */
#define PAGES_MAX    10000U
#define WORKERS_MAX  4096U
#define MORE_MIN     16U /* requests */
#define REST_MIN     (10 * HF_USEC_PER_MSEC)
#define REST_MAX     (320 * HF_USEC_PER_MSEC)
#define STATUS_MAX   (1024U * 1024) /* bytes of a status page with all workers */
#define USER_AGENT   "User-Agent: holdfast/" HF_VERSION " (warm-up)"
#define OWN_HEADER   "X-Holdfast: warm-up"
#define ORIGINAL     "X-Forwarded-Proto: https"
#define HEADERS_MOST (HF_HEADERS_MAX + 5)

static int add_page(HfWarmUp *warm, const char *uri, const char *script, const char *host,
                    size_t pool, HfWarmPage **ret)
{
    HF_CLEANUP_TEXT HfText header = {0};
    HfWarmPage page = {.pool = pool};

    if (warm->n_pages >= PAGES_MAX)
        return 0;
    int r = hf_array_reserve(&warm->pages, &warm->capacity, warm->n_pages + 1, sizeof(page));
    if (r < 0)
        return r;
    r = hf_string_set(&page.uri, uri);
    if (r >= 0)
        r = hf_string_set(&page.script, script);
    if (r >= 0 && host) {
        hf_text_addf(&header, "Host: %s", host);
        r = hf_text_take(&header, &page.host);
    }
    warm->pages[warm->n_pages++] = page;
    *ret = &warm->pages[warm->n_pages - 1];
    return r;
}

static int add_line(HfWarmUp *warm, const char *line, size_t length)
{
    HfWarmPage *added = NULL;
    HfPage page;

    int r = hf_page_parse(line, length, &page);
    if (r <= 0)
        return r;
    r = add_page(warm, page.target, NULL, page.host, SIZE_MAX, &added);
    if (added) {
        added->head = strcmp(page.method, "HEAD") == 0;
        added->secure = page.secure;
    }
    hf_page_clear(&page);
    return r;
}

static int read_pages(HfWarmUp *warm, const char *path)
{
    HF_CLEANUP_FREE char *text = NULL;
    unsigned number = 0;
    size_t length;

    int r = hf_file_read(path, FILE_MAX, &text, &length);
    if (r < 0) {
        hf_warm_excuse(warm, "%s cannot be read: %s", path, strerror(-r));
        return 0;
    }
    for (const char *line = text; length > 0;) {
        const char *end = memchr(line, '\n', length);
        size_t n = end ? (size_t)(end - line) : length;
        number++;
        r = add_line(warm, line, n);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            hf_warm_excuse(warm, "%s:%u: write PATH or METHOD URL, as GET https://example.org/",
                           path, number);
        line += n + (end ? 1 : 0);
        length -= n + (end ? 1 : 0);
    }
    return 0;
}

int hf_warm_make_pages(HfWarmUp *warm)
{
    char *const *entry = warm->settings->warm;
    HfWarmPage *page;
    const char *what;
    int r = 0;

    for (; r >= 0 && entry && *entry; entry++) {
        HfWarm kind = hf_warm_kind(*entry, &what);
        if (kind == HF_WARM_FASTCGI || kind == HF_WARM_HTTP)
            r = add_page(warm, what, NULL, NULL, SIZE_MAX, &page);
        else if (kind == HF_WARM_FILE)
            r = read_pages(warm, what);
    }
    return r;
}

void hf_warm_clear_pages(HfWarmUp *warm)
{
    for (size_t i = 0; i < warm->n_pages; i++) {
        free(warm->pages[i].uri);
        free(warm->pages[i].script);
        free(warm->pages[i].host);
    }
    hf_freep(&warm->pages);
    warm->n_pages = 0;
}

/* ---- last requested pages ---- */

static int ask_status(HfWarmSlot *slot, const HfGeneration *generation, size_t pool,
                      HfRequestCallback callback)
{
    const HfPlan *plan = generation->plan;
    HF_CLEANUP_TEXT HfText uri = {0};
    HfReach reach;

    int r = hf_figures_find_page(plan, generation->statuses, pool, generation->side, &reach);
    if (r < 0)
        return r;
    hf_text_addf(&uri, "%s?full", plan->pools[pool].status_path);
    const HfRequestSpec question = {
        .kind = HF_PROBE_FASTCGI,
        .what = hf_text_peek(&uri),
        .reach = &reach,
        .most = STATUS_MAX,
        .timeout = slot->warm->settings->warm_timeout,
    };
    return hf_request_start(slot->warm->supervisor->loop, &question,
                            (const struct sockaddr *)&reach.address, reach.length, callback, slot,
                            &slot->request);
}

static void take_recent(const char *uri, const char *script, void *userdata)
{
    const HfWarmSlot *slot = userdata;
    const HfPlan *before = slot->warm->before->plan;
    const HfPlan *after = slot->warm->generation->plan;
    HF_CLEANUP_TEXT HfText moved = {0};
    HfWarmPage *page;

    if (strcmp(uri, before->pools[slot->pool].status_path) == 0)
        return;
    for (size_t i = 0; i < slot->warm->n_pages; i++)
        if (strcmp(slot->warm->pages[i].uri, uri) == 0)
            return;
    bool maps = before->document_root && after->document_root;
    hf_path_moved(script, strlen(script), maps ? before->document_root : "",
                  maps ? after->document_root : "", &moved);
    for (size_t i = 0; i < after->n_pools; i++)
        if (strcmp(after->pools[i].name, before->pools[slot->pool].name) == 0 &&
            hf_plan_pools_share(&after->pools[i], &before->pools[slot->pool]))
            add_page(slot->warm, uri, hf_text_peek(&moved), NULL, i, &page);
}

static void on_recent(const HfReply *reply, void *userdata)
{
    HfWarmSlot *slot = userdata;

    slot->request = NULL;
    if (reply->result >= 0)
        slot->warm->before->plan->adapter->recent(reply->body, reply->length, take_recent, slot);
    hf_warm_next(slot);
}

bool hf_warm_begin_recent(HfWarmSlot *slot)
{
    HfWarmUp *warm = slot->warm;
    const HfGeneration *before = warm->before;

    if (!before || before->main_exited || !hf_settings_warms(warm->settings, HF_WARM_RECENT) ||
        !before->plan->adapter->recent || !hf_plan_is_probed(before->plan))
        return false;
    while (warm->next < before->plan->n_pools) {
        slot->pool = warm->next++;
        if (ask_status(slot, before, slot->pool, on_recent) >= 0)
            return true;
    }
    return false;
}

/* ---- the requests ---- */

static void on_page(const HfReply *reply, void *userdata)
{
    HfWarmSlot *slot = userdata;

    slot->request = NULL;
    slot->warm->warmed.requests++;
    if (reply->result < 0)
        slot->warm->warmed.failures++;
    hf_warm_next(slot);
}

static void add_headers(const HfWarmUp *warm, const HfWarmPage *page, const char **headers)
{
    size_t n = 0;

    for (char *const *own = warm->settings->http_headers; own && *own; own++)
        if (!page->host || strncasecmp(*own, "Host:", 5) != 0)
            headers[n++] = *own;
    if (page->host)
        headers[n++] = page->host;
    headers[n++] = OWN_HEADER;
    headers[n++] = USER_AGENT;
    if (page->secure)
        headers[n++] = ORIGINAL;
    headers[n] = NULL;
}

/* Like web servers, takes index.php for a directory. */
static void name_script(const HfWarmUp *warm, const HfWarmPage *page, HfText *text)
{
    int length = (int)strcspn(page->uri, "?");
    const char *root = warm->settings->document_root;

    if (page->script)
        hf_text_add(text, page->script);
    else
        hf_text_addf(text, "%s%.*s%s", root ? root : "", length, page->uri,
                     page->uri[length - 1] == '/' ? "index.php" : "");
}

static int ask_page(HfWarmSlot *slot, const HfWarmPage *page, const HfListener *listener)
{
    static const char *const secure[] = {"HTTPS", "on", NULL};
    const HfWarmUp *warm = slot->warm;
    const HfAdapter *adapter = warm->generation->plan->adapter;
    bool fastcgi = adapter->fastcgi || warm->generation->plan->handoff->fastcgi;
    const char *headers[HEADERS_MOST];
    HF_CLEANUP_TEXT HfText script = {0};
    HfReach reach;

    add_headers(warm, page, headers);
    name_script(warm, page, &script);
    const HfFastcgiRequest over = {
        .uri = page->uri,
        .script_filename = hf_text_peek(&script),
        .document_root = warm->settings->document_root,
        .method = page->head ? "HEAD" : "GET",
        .headers = headers,
        .params = page->secure ? secure : NULL,
    };
    int r = hf_listener_reach(listener, warm->generation->side, &reach);
    const HfRequestSpec question = {
        .kind = fastcgi ? HF_PROBE_FASTCGI : HF_PROBE_HTTP,
        .what = page->uri,
        .page = fastcgi ? &over : NULL,
        .headers = headers,
        .reach = &reach,
        .timeout = warm->settings->warm_timeout,
    };
    return r < 0 ? r
                 : hf_request_start(warm->supervisor->loop, &question,
                                    (const struct sockaddr *)&reach.address, reach.length, on_page,
                                    slot, &slot->request);
}

/* A worker that has just been forked may come to its first request late: for half of the time that
 * a warm-up may take it is waited for. Returns whether it is. */
static bool rest(HfWarmUp *warm)
{
    if (hf_clock_monotonic() - warm->began >= warm->settings->warm_timeout / 2)
        return false;
    warm->rest = warm->rest == 0 ? REST_MIN : warm->rest * 2;
    if (warm->rest > REST_MAX)
        warm->rest = REST_MAX;
    hf_warm_pause(warm, warm->rest);
    return true;
}

/* Counts the workers, and whether each has had its request; a pool that keeps no workers gets one.
 */
static void on_workers(const HfReply *reply, void *userdata)
{
    HfWarmSlot *slot = userdata;
    HfWarmVisit *visit = &slot->warm->visit;
    const HfPlan *plan = slot->warm->generation->plan;
    bool on_demand = plan->pools[plan->wanted[visit->listener].pool].on_demand;
    HfScoreboard status;

    slot->request = NULL;
    visit->asked = false;
    if (reply->result < 0 || plan->adapter->scoreboard(reply->body, reply->length, &status) < 0) {
        visit->counts = false;
        hf_warm_next(slot);
        return;
    }
    uint64_t workers = status.active + status.idle;
    workers = workers > WORKERS_MAX ? WORKERS_MAX : workers;
    if (!visit->known) {
        visit->known = true;
        visit->least = status.least + 1;
        visit->left = on_demand || workers == 0 ? 1 : workers;
        visit->more = on_demand ? 0 : MORE_MIN + 2 * workers;
    } else if (status.least < visit->least && visit->more > 0) {
        visit->left = 1;
        visit->more--;
    } else if (status.least == 0 && !on_demand && rest(slot->warm)) {
        visit->left = 1;
    } else {
        visit->counts = false;
    }
    hf_warm_next(slot);
}

/* Moves on to the next page and listener. Returns whether there is one. */
static bool next_visit(HfWarmUp *warm)
{
    const HfPlan *plan = warm->generation->plan;
    size_t total = warm->n_pages * plan->n_listeners;

    while (warm->next < total) {
        size_t page = warm->next / plan->n_listeners;
        size_t listener = warm->next++ % plan->n_listeners;
        const HfPlanned *wanted = &plan->wanted[listener];
        bool fits = warm->pages[page].pool == SIZE_MAX || warm->pages[page].pool == wanted->pool;
        bool closed = plan->n_pools > 0 && plan->pools[wanted->pool].closed;
        if (wanted->status || !fits || (closed && !hf_address_is_path(&wanted->spec.address)))
            continue;
        warm->visit = (HfWarmVisit){
            .active = true,
            .counts = hf_plan_is_probed(plan) && warm->generation->statuses,
            .left = plan->n_pools > 0 && !plan->pools[wanted->pool].on_demand
                        ? plan->pools[wanted->pool].workers
                        : 1,
            .page = page,
            .listener = listener,
        };
        return true;
    }
    return false;
}

static bool look_at_workers(HfWarmSlot *slot)
{
    HfWarmVisit *visit = &slot->warm->visit;
    const HfGeneration *generation = slot->warm->generation;
    size_t pool = (size_t)generation->plan->wanted[visit->listener].pool;

    if (ask_status(slot, generation, pool, on_workers) < 0) {
        visit->counts = false;
        return false;
    }
    visit->asked = true;
    return true;
}

bool hf_warm_begin_page(HfWarmSlot *slot)
{
    HfWarmUp *warm = slot->warm;
    HfWarmVisit *visit = &warm->visit;

    for (;;) {
        if (visit->asked || warm->paused)
            return false;
        if (visit->active && visit->counts && !visit->known && look_at_workers(slot))
            return true;
        if (visit->active && visit->left > 0) {
            visit->left--;
            if (ask_page(slot, &warm->pages[visit->page],
                         warm->generation->plan->listeners[visit->listener]) >= 0)
                return true;
            continue;
        }
        if (warm->running > 0)
            return false;
        if (visit->active && visit->counts && look_at_workers(slot))
            return true;
        if (!next_visit(warm))
            return false;
    }
}

/* ---- commands ---- */

static int run_command(HfWarmSlot *slot, const char *command, const HfListener *listener)
{
    const HfWarmUp *warm = slot->warm;
    const HfGeneration *generation = warm->generation;
    HF_CLEANUP_TEXT HfText where = {0};
    HF_CLEANUP_TEXT HfText from = {0};
    HF_CLEANUP_TEXT HfText pid = {0};
    HfReach reach;

    int r = hf_listener_reach(listener, generation->side, &reach);
    if (r >= 0)
        r = hf_request_name_reach(&reach, "HOLDFAST_WARM", &where, &from);
    if (r < 0)
        return r;
    hf_text_addf(&pid, "HOLDFAST_MAINPID=%d", (int)generation->main.pid);
    const char *const more[] = {hf_text_peek(&where), hf_text_peek(&pid),
                                from.length > 0 ? hf_text_peek(&from) : NULL, NULL};
    const HfRequestSpec question = {
        .kind = HF_PROBE_EXEC,
        .what = command,
        .reaper = warm->supervisor->reaper,
        .directory = generation->plan->directory,
        .environment = more,
        .timeout = warm->settings->warm_timeout,
    };
    return hf_request_start(warm->supervisor->loop, &question, NULL, 0, on_page, slot,
                            &slot->request);
}

bool hf_warm_begin_command(HfWarmSlot *slot)
{
    HfWarmUp *warm = slot->warm;
    const HfPlan *plan = warm->generation->plan;
    size_t total = hf_strv_length(warm->settings->warm) * plan->n_listeners;
    const char *what;

    while (warm->next < total) {
        const char *entry = warm->settings->warm[warm->next / plan->n_listeners];
        size_t listener = warm->next++ % plan->n_listeners;
        if (hf_warm_kind(entry, &what) == HF_WARM_EXEC && !plan->wanted[listener].status &&
            run_command(slot, what, plan->listeners[listener]) >= 0)
            return true;
    }
    return false;
}
