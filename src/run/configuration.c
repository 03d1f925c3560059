#include "run/configuration.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/file.h"

static int explain(const char *path, int r, HfText *error)
{
    if (r == -EFBIG)
        hf_text_addf(error, "%s: the file is too large; %d KiB are the most", path,
                     HF_OPTIONS_FILE_MAX / 1024);
    else if (r == -EINVAL)
        hf_text_addf(error, "%s is no regular file", path);
    else
        hf_text_addf(error, "%s cannot be read: %s", path, strerror(-r));
    return r;
}

int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error)
{
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = {0};
    HF_CLEANUP_FREE char *text = NULL;
    HfOptionsFile file = {0};

    int r = hf_options_parse(argc, argv, &line, error);
    if (r < 0)
        return r;
    if (!line.config || line.help || line.version) {
        *ret = line;
        line = (HfCommandLine){0};
        return 0;
    }
    file.path = line.config;
    r = hf_file_read(file.path, HF_OPTIONS_FILE_MAX, &text, &file.length);
    if (r < 0)
        return explain(file.path, r, error);
    file.text = text;
    return hf_options_parse_with_file(argc, argv, &file, ret, error);
}
