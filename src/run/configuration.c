#include "run/configuration.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/file.h"
#include "service/adapter.h"

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

static int read_file(const char *path, char **ret_text, HfOptionsFile *ret, HfText *error)
{
    *ret = (HfOptionsFile){.path = path};
    int r = hf_file_read(path, HF_OPTIONS_FILE_MAX, ret_text, &ret->length);
    ret->text = *ret_text;
    return r < 0 ? explain(path, r, error) : 0;
}

int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error)
{
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = {0};
    HF_CLEANUP_COMMAND_LINE HfCommandLine whole = {0};
    HF_CLEANUP_FREE char *text = NULL;
    HfCommandLine *read = &line;
    HfOptionsFile file;

    int r = hf_options_parse(argc, argv, &line, error);
    if (r >= 0 && line.config && !line.help && !line.version) {
        read = &whole;
        r = read_file(line.config, &text, &file, error);
        if (r >= 0)
            r = hf_options_parse_with_file(argc, argv, &file, &whole, error);
    }
    if (r >= 0)
        r = hf_adapter_validate(read, error);
    if (r < 0)
        return r;
    *ret = *read;
    *read = (HfCommandLine){0};
    return 0;
}
