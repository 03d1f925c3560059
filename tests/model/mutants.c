/* SPDX-License-Identifier: MIT */
/* Shows that each rule can fail: the explorer must find in every broken machine exactly the rule
 * that it breaks (TAP). --stories prints the paths. */
#include <stdlib.h>
#include <string.h>

#include "mutators.h"
#include "replay.h"

int main(int argc, char **argv)
{
    bool stories = argc > 1 && strcmp(argv[1], "--stories") == 0;
    bool failed = false;
    bool covered[RULE_MAX_] = {[RULE_NONE] = true};
    FILE *out = stdout;

    fprintf(out, "1..%zu\n", mutants_n + RULE_MAX_ - 1);
    for (size_t i = 0; i < mutants_n; i++) {
        Search search;
        uint16_t *path = NULL;
        search_run(&search, bounds_get(mutants[i].bounds, true), mutants[i].step);
        bool ok = search.broken == mutants[i].breaks;
        size_t length = search.broken == RULE_NONE ? 0 : search_path(&search, &path);
        fprintf(out, "%sok %zu - %s: after %zu events\n", ok ? "" : "not ", i + 1, mutants[i].does,
                length);
        if (!ok)
            fprintf(out, "# expected: %s\n# found:    %s\n", rule_text(mutants[i].breaks),
                    rule_text(search.broken));
        if (search.broken != RULE_NONE && (stories || !ok))
            replay_story(&search, out);
        failed = failed || !ok;
        covered[mutants[i].breaks] = covered[mutants[i].breaks] || ok;
        free(path);
        search_clear(&search);
    }
    for (Rule rule = RULE_NONE + 1; rule < RULE_MAX_; rule++) {
        fprintf(out, "%sok %zu - can fail: %s\n", covered[rule] ? "" : "not ",
                mutants_n + (size_t)rule, rule_text(rule));
        failed = failed || !covered[rule];
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
