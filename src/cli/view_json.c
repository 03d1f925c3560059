/* SPDX-License-Identifier: MIT */
/* JSON, RFC 8259. */
#include "base/parse.h"
#include "cli/view.h"

void hf_view_add_seconds(HfText *text, uint64_t usec)
{
    hf_text_addf(text, "%llu.%06llu", (unsigned long long)(usec / HF_USEC_PER_SEC),
                 (unsigned long long)(usec % HF_USEC_PER_SEC));
}

static void add_quoted(HfText *text, const char *value)
{
    hf_text_add(text, "\"");
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;
        if (byte == '"' || byte == '\\')
            hf_text_addf(text, "\\%c", byte);
        else if (byte == '\n')
            hf_text_add(text, "\\n");
        else if (byte < 0x20)
            hf_text_addf(text, "\\u%04x", (unsigned)byte);
        else
            hf_text_add_bytes(text, value, 1);
    }
    hf_text_add(text, "\"");
}

static void add_key(HfText *text, bool first, const char *key)
{
    hf_text_add(text, first ? "" : ",");
    add_quoted(text, key);
    hf_text_add(text, ":");
}

static void add_integer(HfText *text, const HfViewField *field, const void *at)
{
    uint64_t number = field->type == 'u' ? *(const uint32_t *)at : *(const uint64_t *)at;
    bool none = field->type == 'x' ? *(const int64_t *)at < 0 : number == 0;

    if (none && field->shown != HF_SHOWN_NUMBER)
        hf_text_add(text, "null");
    else if (field->shown == HF_SHOWN_SECONDS)
        hf_view_add_seconds(text, number);
    else
        hf_text_addf(text, "%llu", (unsigned long long)number);
}

static void add_value(HfText *text, const HfViewField *field, const void *row)
{
    const void *at = (const char *)row + field->offset;

    if (field->type != 's') {
        add_integer(text, field, at);
        return;
    }
    const char *string = *(const char *const *)at;
    if (field->shown == HF_SHOWN_WORDS && !*string)
        hf_text_add(text, "null");
    else
        add_quoted(text, string);
}

/* Adds an array of objects, or one object of dict entries. */
static void add_list(HfText *text, const HfViewList *list, const HfView *view)
{
    const char *row = *(char *const *)((const char *)view + list->rows);
    size_t n = *(const size_t *)((const char *)view + list->n_rows);
    bool is_object = list->container == 'e';

    hf_text_add(text, is_object ? "{" : "[");
    for (size_t i = 0; i < n; i++, row += list->size) {
        if (is_object) {
            add_key(text, i == 0, *(const char *const *)(row + list->fields[0].offset));
            add_value(text, &list->fields[1], row);
            continue;
        }
        hf_text_add(text, i == 0 ? "{" : ",{");
        for (const HfViewField *field = list->fields; field->key; field++) {
            add_key(text, field == list->fields, field->key);
            add_value(text, field, row);
        }
        hf_text_add(text, "}");
    }
    hf_text_add(text, is_object ? "}" : "]");
}

void hf_view_add_json(const HfView *view, HfText *text)
{
    hf_text_add(text, "{");
    for (const HfViewField *field = hf_view_properties; field->key; field++) {
        add_key(text, field == hf_view_properties, field->key);
        if (field->shown == HF_SHOWN_LIST)
            add_list(text, &hf_view_lists[HF_VIEW_REPLACEMENTS], view);
        else
            add_value(text, field, view);
    }
    for (HfViewListName name = HF_VIEW_GENERATIONS; name <= HF_VIEW_EVENTS; name++) {
        add_key(text, false, hf_view_lists[name].key);
        add_list(text, &hf_view_lists[name], view);
    }
    hf_text_add(text, "}\n");
}

void hf_view_add_history_json(const HfView *view, HfText *text)
{
    hf_text_add(text, "{");
    add_key(text, true, hf_view_properties[0].key);
    add_value(text, &hf_view_properties[0], view);
    add_key(text, false, hf_view_lists[HF_VIEW_HISTORY].key);
    add_list(text, &hf_view_lists[HF_VIEW_HISTORY], view);
    hf_text_add(text, "}\n");
}
