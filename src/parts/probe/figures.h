/* SPDX-License-Identifier: MIT */
/* The service's own figures, asked for on demand: how busy its pools are, and its opcode cache.
 * Bounded in time and bytes; nothing blocks. */
#pragma once

#include "parts/probe/request.h"
#include "run/supervisor.h"

typedef struct HfFigures HfFigures;

typedef struct HfPoolFigures {
    char *name;
    uint64_t limit;  /* workers */
    uint64_t queued; /* connections on the generation's side */
    HfScoreboard counts;
    char *error; /* why the figures are not known; NULL: they are */
    HfFigures *figures;
    HfRequest *request;
    size_t index; /* of the plan's pools */
} HfPoolFigures;

struct HfFigures {
    HfPoolFigures *pools; /* n of them; for the cache a single one */
    size_t n;
    HfCacheFigures cache;

    HfSupervisor *supervisor;
    HfPlan *plan; /* a reference */
    unsigned side;
    char *statuses;
    char *script; /* path of the script that reports the cache; removed in the end */
    size_t next;
    size_t running;
    void (*callback)(bool cache, void *userdata);
    void *userdata;
};

/* Where to reach the status page of a pool: its private socket (statuses NULL: there is none), or
 * the user's own for the generation on that side. Returns 0, -ENOENT when it has none, or negative
 * errno. */
int hf_figures_find_page(const HfPlan *plan, const char *statuses, size_t pool, unsigned side,
                         HfReach *ret);

/* Asks the active generation for its pools' or its opcode cache's figures. The callback comes from
 * the loop. ret must be given to hf_figures_free in any case. Returns 0, -ENOENT when nobody can be
 * asked, or negative errno. */
int hf_figures_ask(HfSupervisor *supervisor, bool cache,
                   void (*callback)(bool cache, void *userdata), void *userdata, HfFigures **ret);
/* Cancels the questions. Accepts and returns NULL. */
HfFigures *hf_figures_free(HfFigures *figures);

/* ---- the adapter's script ---- */

/* Writes it, always with the same modification time, so that it occupies room in the cache only
 * once. Returns 0 or negative errno. */
int hf_script_place(const HfAdapter *adapter, const char *file);

/* Runs it in the pool of HfPlanPool.warms. script: its path for that pool; task: what it must do.
 * The rest as in hf_request_start. */
typedef struct HfScriptRun {
    const char *statuses;
    size_t pool;
    bool left; /* the main process has died */
    const char *script;
    const char *task;
    const char *body; /* NULL: none */
    size_t body_length;
    uint64_t timeout;
} HfScriptRun;
int hf_script_run(sd_event *loop, const HfScriptRun *run, HfRequestCallback callback,
                  void *userdata, HfRequest **ret);

/* Has the script succeeded? Returns its further output, or its own explanation in why. */
bool hf_script_answer(const HfReply *reply, const char **ret, size_t *ret_length, HfText *why);
