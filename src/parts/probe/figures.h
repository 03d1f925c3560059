/* SPDX-License-Identifier: MIT */
/* What the service counts itself, asked for when somebody wants to know: how busy its pools are,
 * and its opcode cache. Bounded in time and bytes; nothing blocks. */
#pragma once

#include "parts/probe/request.h"
#include "run/supervisor.h"

typedef struct HfFigures HfFigures;

typedef struct HfPoolFigures {
    char *name;
    uint64_t limit;  /* workers */
    uint64_t queued; /* connections at the side of the generation */
    HfScoreboard counts;
    char *error; /* why they are not known; NULL: they are */
    HfFigures *figures;
    HfRequest *request;
    size_t index; /* of the plan's pools */
} HfPoolFigures;

struct HfFigures {
    HfPoolFigures *pools; /* n of them; of the cache one */
    size_t n;
    HfCacheFigures cache;

    HfSupervisor *supervisor;
    HfPlan *plan; /* a reference */
    unsigned side;
    char *statuses;
    char *script; /* that tells of the cache; removed in the end */
    size_t next;
    size_t running;
    void (*callback)(void *userdata);
    void *userdata;
};

/* Asks the active generation: its pools, or the opcode cache. The callback comes from the loop. ret
 * is to be given to hf_figures_free in any case. Returns 0, -ENOENT where nobody can be asked, or
 * negative errno. */
int hf_figures_ask(HfSupervisor *supervisor, bool cache, void (*callback)(void *userdata),
                   void *userdata, HfFigures **ret);
/* Asks no more. NULL is fine. Returns NULL. */
HfFigures *hf_figures_free(HfFigures *figures);

/* ---- the adapter's script ---- */

/* Writes it. Always with the same time, so that it takes room in the cache only once. Returns 0 or
 * negative errno. */
int hf_script_place(const HfAdapter *adapter, const char *file);

/* Has it run by the pool of HfPlanPool.warms. script: as that one sees it; task: what it is to do.
 * The others as in hf_request_start. */
typedef struct HfScriptRun {
    const char *statuses;
    size_t pool;
    const char *script;
    const char *task;
    const char *body; /* NULL: none */
    size_t body_length;
    uint64_t timeout;
} HfScriptRun;
int hf_script_run(sd_event *loop, const HfScriptRun *run, HfRequestCallback callback,
                  void *userdata, HfRequest **ret);

/* Did the script do it, and what did it say then? Else says why not, in its own words. */
bool hf_script_answer(const HfReply *reply, const char **ret, size_t *ret_length, HfText *why);
