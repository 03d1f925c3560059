/* SPDX-License-Identifier: MIT */
#include "format/pages.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "format/http.h"

void hf_page_clear(HfPage *page)
{
    hf_freep(&page->method);
    hf_freep(&page->target);
    hf_freep(&page->host);
    *page = (HfPage){0};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* url: the part after the method, or the whole line. */
static int parse_url(const char *url, HfPage *page)
{
    HF_CLEANUP_TEXT HfText host = {0};
    bool http = strncmp(url, "http://", 7) == 0;

    page->secure = strncmp(url, "https://", 8) == 0;
    if (http || page->secure) {
        url += http ? 7 : 8;
        size_t length = strcspn(url, "/?#@ \t");
        hf_text_add_bytes(&host, url, length);
        url += length;
        if (length == 0)
            return -EINVAL;
        int r = hf_text_take(&host, &page->host);
        if (r < 0)
            return r;
        if (*url == '\0')
            url = "/";
    }
    return hf_http_is_target(url) && (!page->host || !hf_text_has_control(page->host))
               ? hf_string_set(&page->target, url)
               : -EINVAL;
}

int hf_page_parse(const char *line, size_t length, HfPage *ret)
{
    HF_CLEANUP_FREE char *copy = NULL;
    HF_CLEANUP_TEXT HfText text = {0};
    HfPage page = {0};

    while (length > 0 && is_blank(*line))
        line++, length--;
    while (length > 0 && is_blank(line[length - 1]))
        length--;
    if (length == 0 || *line == '#')
        return 0;
    if (length > HF_PAGES_MAX || memchr(line, '\0', length))
        return -EINVAL;
    hf_text_add_bytes(&text, line, length);
    int r = hf_text_take(&text, &copy);
    if (r < 0)
        return r;
    bool head = strncmp(copy, "HEAD ", 5) == 0;
    const char *url = copy + (head ? 5 : strncmp(copy, "GET ", 4) == 0 ? 4 : 0);
    while (*url == ' ' || *url == '\t')
        url++;
    r = hf_string_set(&page.method, head ? "HEAD" : "GET");
    if (r >= 0)
        r = parse_url(url, &page);
    if (r < 0) {
        hf_page_clear(&page);
        return r;
    }
    *ret = page;
    return 1;
}

/* Drops the trailing components that both have in common. */
static void drop_common_end(const char *before, size_t *n_before, const char *after,
                            size_t *n_after)
{
    size_t b = *n_before;
    size_t a = *n_after;

    while (b > 0 && a > 0 && before[b - 1] == after[a - 1]) {
        b--, a--;
        if (before[b] == '/') {
            *n_before = b;
            *n_after = a;
        }
    }
}

void hf_path_moved(const char *path, size_t length, const char *before, const char *after,
                   HfText *text)
{
    size_t n_before = strlen(before);
    size_t n_after = strlen(after);

    drop_common_end(before, &n_before, after, &n_after);
    bool below = n_before > 0 && length > n_before && memcmp(path, before, n_before) == 0 &&
                 path[n_before] == '/';
    if (below) {
        hf_text_add_bytes(text, after, n_after);
        path += n_before;
        length -= n_before;
    }
    hf_text_add_bytes(text, path, length);
}

/* ---- answers of holdfast's own script ---- */

static const char *end_of_line(const char *text, size_t length)
{
    const char *end = length > 0 ? memchr(text, '\n', length) : NULL;

    return end ? end : text + length;
}

int hf_scripts_answer(const char *body, size_t length, const char **ret, size_t *ret_length)
{
    const char *end = end_of_line(body, length);
    size_t first = (size_t)(end - body);

    if (first == length)
        return -EBADMSG;
    bool ok = first == 2 && memcmp(body, "ok", 2) == 0;
    *ret = ok ? end + 1 : body;
    *ret_length = ok ? length - first - 1 : first;
    return ok;
}

size_t hf_scripts_moved(const char *list, size_t length, const char *before, const char *after,
                        HfText *text)
{
    const char *over = list + length;
    size_t n = 0;

    for (const char *end; list < over; list = end + 1) {
        end = end_of_line(list, (size_t)(over - list));
        size_t line = (size_t)(end - list);
        if (line == 0 || memchr(list, '\0', line))
            continue;
        hf_path_moved(list, line, before, after, text);
        hf_text_add(text, "\n");
        n++;
    }
    return n;
}

size_t hf_scripts_mark(const char *marks, size_t n, const char *scripts, size_t length,
                       HfScriptMarks *ret, HfText *again)
{
    const char *script = scripts;
    const char *over = scripts + length;

    *ret = (HfScriptMarks){0};
    for (size_t i = 0; i < n && script < over; i++) {
        const char *end = end_of_line(script, (size_t)(over - script));
        const char *next = end + (end < over);
        ret->compiled += marks[i] == '+' || marks[i] == '=';
        ret->gone += marks[i] == 'x';
        ret->full = ret->full || marks[i] == 'f';
        if (marks[i] == '~')
            hf_text_add_bytes(again, script, (size_t)(next - script));
        script = next;
    }
    return (size_t)(script - scripts);
}
