#include "cli/json.h"

#include "base/parse.h"

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

static void begin(HfJson *json, const char *key)
{
    if (json->follows)
        hf_text_add(json->text, ",");
    json->follows = true;
    if (key) {
        add_quoted(json->text, key);
        hf_text_add(json->text, ":");
    }
}

void hf_json_open(HfJson *json, const char *key, char bracket)
{
    begin(json, key);
    hf_text_add_bytes(json->text, &bracket, 1);
    json->follows = false;
}

void hf_json_close(HfJson *json, char bracket)
{
    hf_text_add_bytes(json->text, &bracket, 1);
    json->follows = true;
}

void hf_json_string(HfJson *json, const char *key, const char *value)
{
    begin(json, key);
    add_quoted(json->text, value);
}

void hf_json_number(HfJson *json, const char *key, uint64_t value)
{
    begin(json, key);
    hf_text_addf(json->text, "%llu", (unsigned long long)value);
}

void hf_json_null(HfJson *json, const char *key)
{
    begin(json, key);
    hf_text_add(json->text, "null");
}

void hf_json_seconds(HfJson *json, const char *key, uint64_t usec)
{
    if (usec == 0) {
        hf_json_null(json, key);
        return;
    }
    begin(json, key);
    hf_text_addf(json->text, "%llu.%06llu", (unsigned long long)(usec / HF_USEC_PER_SEC),
                 (unsigned long long)(usec % HF_USEC_PER_SEC));
}
