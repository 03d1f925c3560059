#include "cli/json.h"
#include "cli/show.h"

static void add_instance(HfJson *json, const HfView *view)
{
    hf_json_string(json, "name", view->name);
    hf_json_string(json, "version", view->version);
    hf_json_number(json, "pid", view->pid);
    hf_json_seconds(json, "started", view->started);
    hf_json_string(json, "state", view->state);
    if (view->generation > 0)
        hf_json_number(json, "generation", view->generation);
    else
        hf_json_null(json, "generation");
    hf_json_number(json, "draining", view->draining);
    hf_json_open(json, "replacements", '{');
    for (size_t i = 0; i < view->n_replacements; i++)
        hf_json_number(json, view->replacements[i].cause, view->replacements[i].count);
    hf_json_close(json, '}');
    hf_json_number(json, "failures", view->failures);
    hf_json_seconds(json, "replaced", view->replaced);
    hf_json_seconds(json, "ready_after", view->ready_after);
}

static void add_generations(HfJson *json, const HfView *view)
{
    hf_json_open(json, "generations", '[');
    for (size_t i = 0; i < view->n_generations; i++) {
        const HfViewGeneration *generation = &view->generations[i];
        hf_json_open(json, NULL, '{');
        hf_json_number(json, "number", generation->number);
        hf_json_string(json, "state", generation->state);
        hf_json_string(json, "stage", generation->stage);
        hf_json_string(json, "cause", generation->cause);
        if (generation->pid > 0)
            hf_json_number(json, "pid", generation->pid);
        else
            hf_json_null(json, "pid");
        hf_json_seconds(json, "started", generation->started);
        hf_json_seconds(json, "ready", generation->ready);
        hf_json_seconds(json, "age", generation->age);
        hf_json_number(json, "processes", generation->processes);
        hf_json_number(json, "memory", generation->memory);
        hf_json_string(json, "status", generation->status);
        hf_json_close(json, '}');
    }
    hf_json_close(json, ']');
}

static void add_listeners(HfJson *json, const HfView *view)
{
    hf_json_open(json, "listeners", '[');
    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        hf_json_open(json, NULL, '{');
        hf_json_string(json, "name", listener->name);
        hf_json_string(json, "address", listener->address);
        hf_json_string(json, "kind", listener->kind);
        hf_json_number(json, "depth", listener->depth);
        hf_json_number(json, "limit", listener->limit);
        hf_json_number(json, "highest", listener->highest);
        if (listener->drops >= 0)
            hf_json_number(json, "drops", (uint64_t)listener->drops);
        else
            hf_json_null(json, "drops");
        hf_json_close(json, '}');
    }
    hf_json_close(json, ']');
}

static void add_events(HfJson *json, const HfView *view)
{
    hf_json_open(json, "events", '[');
    for (size_t i = 0; i < view->n_events; i++) {
        const HfViewEvent *event = &view->events[i];
        hf_json_open(json, NULL, '{');
        hf_json_seconds(json, "time", event->usec);
        hf_json_string(json, "name", event->name);
        if (event->generation > 0)
            hf_json_number(json, "generation", event->generation);
        else
            hf_json_null(json, "generation");
        hf_json_string(json, "cause", event->cause);
        hf_json_string(json, "text", event->text);
        hf_json_close(json, '}');
    }
    hf_json_close(json, ']');
}

void hf_show_status_json(const HfView *view, HfText *text)
{
    HfJson json = {.text = text};

    hf_json_open(&json, NULL, '{');
    add_instance(&json, view);
    add_generations(&json, view);
    add_listeners(&json, view);
    add_events(&json, view);
    hf_json_close(&json, '}');
    hf_text_add(text, "\n");
}

void hf_show_history_json(const HfView *view, HfText *text)
{
    HfJson json = {.text = text};

    hf_json_open(&json, NULL, '{');
    hf_json_string(&json, "name", view->name);
    hf_json_open(&json, "generations", '[');
    for (size_t i = 0; i < view->n_history; i++) {
        const HfViewPast *past = &view->history[i];
        hf_json_open(&json, NULL, '{');
        hf_json_number(&json, "number", past->number);
        hf_json_string(&json, "cause", past->cause);
        hf_json_seconds(&json, "started", past->started);
        hf_json_seconds(&json, "ready", past->ready);
        hf_json_seconds(&json, "ended", past->ended);
        hf_json_seconds(&json, "ready_after", past->ready_after);
        hf_json_seconds(&json, "lifetime", past->lifetime);
        hf_json_number(&json, "processes", past->processes);
        if (past->ended > 0)
            hf_json_string(&json, "end", past->end);
        else
            hf_json_null(&json, "end");
        hf_json_close(&json, '}');
    }
    hf_json_close(&json, ']');
    hf_json_close(&json, '}');
    hf_text_add(text, "\n");
}
