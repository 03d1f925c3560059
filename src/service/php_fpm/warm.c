/* SPDX-License-Identifier: MIT */
/* Fills a generation's opcode cache with the scripts in the previous one's. */
#include <errno.h>
#include <string.h>

#include "format/http.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

/* Run by a pool of holdfast's own. HOLDFAST_WARM=list prints the scripts in the cache that the
 * pool's user can read, most used first, without those that nobody has requested for an hour.
 * HOLDFAST_WARM=compile compiles the scripts in the body, one per line, without running them, for
 * as long as a batch may take, and prints a character for each one it reached: + compiled, =
 * already there, x no longer a file, ~ too new, f the cache is nearly full, - failed. Declarations
 * of a script last until the end of the request, so when one fails that is not the first, and may
 * only clash with them, the request ends before it and the next request begins with it.
 * HOLDFAST_WARM=figures prints the cache's figures, see hf_phpfpm_cache_parse. The first line says
 * ok, or what is missing. For PHP 5.5 and later. */
const char hf_phpfpm_warm_script[] =
    "<?php\n"
    "/* holdfast: run for a reload, see --warm in holdfast(1), and for figures; then removed */\n"
    "error_reporting(0);\n"
    "$task = isset($_SERVER['HOLDFAST_WARM']) ? $_SERVER['HOLDFAST_WARM'] : '';\n"
    "if ($task === '') { header('Status: 404 Not Found'); exit; }\n"
    "function holdfast_missing() {\n"
    "    if (!extension_loaded('Zend OPcache')) return 'opcache is not loaded; add "
    "zend_extension=opcache';\n"
    "    foreach (array('opcache_get_status', 'opcache_compile_file', 'opcache_is_script_cached') "
    "as $name)\n"
    "        if (!is_callable($name) || !function_exists($name))\n"
    "            return \"$name is disabled; take it out of disable_functions\";\n"
    "    $status = opcache_get_status(false);\n"
    "    if (!$status || !$status['opcache_enabled']) return 'opcache is off; set "
    "opcache.enable=1';\n"
    "    return '';\n"
    "}\n"
    "$missing = holdfast_missing();\n"
    "if ($missing !== '') { echo $missing, \"\\n\"; exit; }\n"
    "echo \"ok\\n\";\n"
    "while (ob_get_level() > 0) ob_end_flush();\n"
    "flush(); /* the status is out: no error of a script changes it */\n"
    "if ($task === 'list') {\n"
    "    $status = opcache_get_status(true);\n"
    "    $young = time() - $status['opcache_statistics']['start_time'] < 3600;\n"
    "    $hits = array();\n"
    "    foreach (isset($status['scripts']) ? $status['scripts'] : array() as $path => $script)\n"
    "        if (($young || $script['hits'] > 0) && $path !== __FILE__ && strpos($path, \"\\n\") "
    "=== false &&\n"
    "            is_file($path) && is_readable($path))\n"
    "            $hits[$path] = $script['hits'];\n"
    "    arsort($hits);\n"
    "    echo implode(\"\\n\", array_keys($hits));\n"
    "    exit;\n"
    "}\n"
    "if ($task === 'figures') {\n"
    "    $status = opcache_get_status(false);\n"
    "    $memory = $status['memory_usage'];\n"
    "    $counts = $status['opcache_statistics'];\n"
    "    foreach (array('scripts' => $counts['num_cached_scripts'],\n"
    "                   'keys' => $counts['num_cached_keys'],\n"
    "                   'keys limit' => $counts['max_cached_keys'],\n"
    "                   'hits' => $counts['hits'], 'misses' => $counts['misses'],\n"
    "                   'used' => $memory['used_memory'], 'free' => $memory['free_memory'],\n"
    "                   'wasted' => $memory['wasted_memory'],\n"
    "                   'full restarts' => $counts['oom_restarts'] + $counts['hash_restarts']) as\n"
    "             $name => $value)\n"
    "        echo \"$name: $value\\n\";\n"
    "    exit;\n"
    "}\n"
    "function holdfast_full() {\n"
    "    $status = opcache_get_status(false);\n"
    "    $memory = $status['memory_usage'];\n"
    "    $keys = $status['opcache_statistics'];\n"
    "    return $status['cache_full'] || $keys['num_cached_keys'] > 0.95 * "
    "$keys['max_cached_keys'] ||\n"
    "        $memory['free_memory'] < 0.05 * ($memory['free_memory'] + $memory['used_memory']);\n"
    "}\n"
    "function holdfast_compile($path, $young) {\n"
    "    if (!is_file($path)) return 'x';\n"
    "    if (opcache_is_script_cached($path)) return '=';\n"
    "    try {\n"
    "        if (opcache_compile_file($path) && opcache_is_script_cached($path)) return '+';\n"
    "    } catch (Throwable $error) {\n"
    "        return '-';\n"
    "    } catch (Exception $error) {\n"
    "        return '-';\n"
    "    }\n"
    "    return filemtime($path) >= $young ? '~' : '-';\n"
    "}\n"
    "$protected = (int) ini_get('opcache.file_update_protection');\n"
    "$young = $protected > 0 ? $_SERVER['REQUEST_TIME'] - $protected : PHP_INT_MAX;\n"
    "$end = microtime(true) + 0.3;\n"
    "$full = $declared = false;\n"
    "foreach (explode(\"\\n\", rtrim(file_get_contents('php://input'), \"\\n\")) as $i => $path) "
    "{\n"
    "    if (microtime(true) > $end) break;\n"
    "    if ($i % 8 === 0 && !$full) $full = holdfast_full();\n"
    "    $mark = $full && !opcache_is_script_cached($path) ? 'f' : holdfast_compile($path, "
    "$young);\n"
    "    if ($mark === '-' && $declared) break; /* maybe by a name of one before */\n"
    "    $declared = $declared || strpos('+~-', $mark) !== false;\n"
    "    echo $mark;\n"
    "}\n";

static const char on_demand[] = "pm = ondemand\n"
                                "pm.max_children = 64\n"
                                "pm.process_idle_timeout = 1s\n";
/* Once its master has died it is there for one question, and ends. */
static const char kept[] = "pm = static\n"
                           "pm.max_children = 1\n"
                           "pm.max_requests = 1\n";
/* Only its own user's master can be asked there. Settings that would run the user's code, or keep
 * the script out of the cache, are off. */
static const char section[] = "request_terminate_timeout = 60s\n"
                              "security.limit_extensions = .php\n"
                              "php_admin_value[auto_prepend_file] = none\n"
                              "php_admin_value[auto_append_file] = none\n"
                              "php_admin_value[output_handler] = none\n"
                              "php_admin_value[open_basedir] = none\n"
                              "php_admin_value[opcache.restrict_api] = none\n"
                              "php_admin_value[user_ini.filename] = none\n"
                              "php_admin_value[memory_limit] = 1G\n"
                              "php_admin_value[max_execution_time] = 60\n"
                              "php_admin_flag[zlib.output_compression] = off\n"
                              "php_admin_flag[session.auto_start] = off\n"
                              "php_admin_flag[display_errors] = off\n"
                              "php_admin_flag[log_errors] = off\n";

static int add_setting(HfText *text, const char *before, const char *value)
{
    return value && *value ? hf_phpfpm_add_literal(text, before, value, "") : 0;
}

static int add_section(const HfPlanPool *pool, size_t index, bool left, const char *statuses,
                       const char *mode, HfText *text)
{
    char listen[HF_ADDRESS_TEXT_MAX];

    hf_plan_warm_socket(statuses, index, left, listen);
    hf_text_addf(text, "[holdfast-%s-%zu]\n", left ? "keep" : "warm", index);
    int r = add_setting(text, "user = ", pool->user);
    if (r >= 0)
        r = add_setting(text, "group = ", pool->group);
    if (r >= 0)
        r = add_setting(text, "chroot = ", pool->chroot);
    if (r >= 0)
        r = hf_phpfpm_add_literal(text, "listen = ", listen, "");
    hf_text_addf(text, "listen.mode = %s\n%s%s", mode, left ? kept : on_demand, section);
    return r;
}

int hf_phpfpm_warm_section(const HfPlanPool *pool, size_t index, const char *statuses, bool keeps,
                           const char *mode, HfText *text)
{
    int r = add_section(pool, index, false, statuses, mode, text);

    return r < 0 || !keeps ? r : add_section(pool, index, true, statuses, mode, text);
}

/* ---- last requested pages ---- */

#define LINE_MAX_ 4096 /* bytes of a URI or path */

typedef struct Worker {
    bool get;
    char uri[LINE_MAX_];
    char script[LINE_MAX_];
} Worker;

/* Reads "request URI:          /x" of length bytes; skips values that are too long or not text. */
static bool parse_value(const char *line, size_t length, const char *name, char *ret)
{
    size_t skipped = strlen(name);

    if (length < skipped || memcmp(line, name, skipped) != 0)
        return false;
    while (skipped < length && line[skipped] == ' ')
        skipped++;
    length -= skipped;
    bool fits = length < LINE_MAX_ && !memchr(line + skipped, '\0', length);
    memcpy(ret, line + skipped, fits ? length : 0);
    ret[fits ? length : 0] = '\0';
    if (hf_text_has_control(ret))
        ret[0] = '\0';
    return true;
}

void hf_phpfpm_recent(const char *page, size_t length, HfRecentPage callback, void *userdata)
{
    Worker worker = {0};
    char method[LINE_MAX_];

    while (length > 0) {
        const char *end = memchr(page, '\n', length);
        size_t line = end ? (size_t)(end - page) : length;
        if (parse_value(page, line, "request method:", method)) {
            worker = (Worker){.get = strcmp(method, "GET") == 0};
        } else if (parse_value(page, line, "script:", worker.script)) {
            if (worker.get && worker.script[0] == '/' && hf_http_is_target(worker.uri))
                callback(worker.uri, worker.script, userdata);
        } else {
            parse_value(page, line, "request URI:", worker.uri);
        }
        page += line + (end ? 1 : 0);
        length -= line + (end ? 1 : 0);
    }
}
