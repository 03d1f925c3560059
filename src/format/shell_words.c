#include "format/shell_words.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static const char blanks[] = " \t\n";

/* Appends what stands between the quotes; text is behind the first one. Returns what is behind the
 * last, or NULL. */
static const char *take_quoted(const char *text, char quote, HfText *word)
{
    for (; *text && *text != quote; text++) {
        bool escape = quote == '"' && *text == '\\' && (text[1] == '"' || text[1] == '\\');
        hf_text_add_bytes(word, escape ? ++text : text, 1);
    }
    return *text == quote ? text + 1 : NULL;
}

/* One word; text stands at its first character. Returns what is behind it, or NULL. */
static const char *take_word(const char *text, HfText *word)
{
    while (text && *text && !strchr(blanks, *text)) {
        if (*text == '\'' || *text == '"') {
            text = take_quoted(text + 1, *text, word);
        } else if (*text == '\\') {
            if (text[1] == '\0')
                return NULL;
            hf_text_add_bytes(word, text + 1, 1);
            text += 2;
        } else {
            size_t plain = strcspn(text, " \t\n'\"\\");
            hf_text_add_bytes(word, text, plain);
            text += plain;
        }
    }
    return text;
}

int hf_shell_words_split(const char *text, char ***ret)
{
    HF_CLEANUP_STRV char **words = NULL;
    HF_CLEANUP_TEXT HfText word = {0};

    while (*(text += strspn(text, blanks))) {
        char *taken;
        text = take_word(text, &word);
        if (!text)
            return -EINVAL;
        int r = hf_text_take(&word, &taken);
        if (r >= 0)
            r = hf_strv_consume(&words, taken);
        if (r < 0)
            return r;
    }
    *ret = HF_STEAL(words);
    return 0;
}
