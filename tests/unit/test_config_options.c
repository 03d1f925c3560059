/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/option.h"
#include "config/options.h"
#include "service/adapter.h"

#define WORDS_MAX 12

static const char *const x300 = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/* Splits at '|', so that a case is one readable string; each word is a copy, exactly as long. */
static char **split(const char *line)
{
    char **words = NULL;
    HF_CLEANUP_FREE char *copy = strdup(line);
    char *rest = copy;

    while (rest)
        assert_int_equal(hf_strv_append(&words, strsep(&rest, "|")), 0);
    return words;
}

static int parse(const char *line, HfCommandLine *ret, HfText *error)
{
    HF_CLEANUP_STRV char **words = split(line);
    HfCommandLine parsed;

    int r = hf_options_parse((int)hf_strv_length(words), words, &parsed, error);
    if (r < 0)
        return r;
    r = hf_adapter_validate(&parsed, error);
    if (r < 0)
        hf_command_line_clear(&parsed);
    else
        *ret = parsed;
    return r;
}

static HfCommandLine parse_good(const char *line)
{
    HfCommandLine parsed;
    HF_CLEANUP_TEXT HfText error = {0};
    int r = parse(line, &parsed, &error);

    if (r < 0)
        fail_msg("%s: %s", line, hf_text_peek(&error));
    assert_string_equal(hf_text_peek(&error), "");
    return parsed;
}

static void assert_line(const char *line, const char *error)
{
    size_t length = strlen(error);

    if (length == 0 || length > 400 || strncmp(error, "holdfast:", 9) == 0)
        fail_msg("%s: no one line: %s", line, error);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)error[i] < 0x20 || error[i] == 0x7f)
            fail_msg("%s: control character in: %s", line, error);
}

/* A failure leaves ret alone and says expected. */
static void assert_refused(const char *line, int r, const void *ret, size_t size,
                           const char *expected, const HfText *error)
{
    const unsigned char *bytes = ret;

    if (r != -EINVAL)
        fail_msg("%s: gives %d", line, r);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0xa5)
            fail_msg("%s: touched its output", line);
    assert_line(line, hf_text_peek(error));
    if (strcmp(hf_text_peek(error), expected) != 0)
        fail_msg("%s:\n     gives: %s\n  expected: %s", line, hf_text_peek(error), expected);
}

static const struct {
    const char *line;
    const char *error;
} refused[] = {
    /* verbs */
    {"holdfast", "no verb; a command is started by holdfast run -- COMMAND, see holdfast --help"},
    {"holdfast|--|run",
     "no verb; a command is started by holdfast run -- COMMAND, see holdfast --help"},
    {"holdfast|relaod", "unknown verb \"relaod\"; did you mean reload? See holdfast --help"},
    {"holdfast|chekc|x", "unknown verb \"chekc\"; did you mean check? See holdfast --help"},
    {"holdfast|php-fpm8.2", "unknown verb \"php-fpm8.2\"; a command is started by holdfast run -- "
                            "COMMAND, see holdfast --help"},
    {"holdfast|", "unknown verb \"\"; a command is started by holdfast run -- COMMAND, see "
                  "holdfast --help"},
    {"holdfast|-", "unknown verb \"-\"; a command is started by holdfast run -- COMMAND, see "
                   "holdfast --help"},
    {"holdfast|RUN|x", "unknown verb \"RUN\"; a command is started by holdfast run -- COMMAND, see "
                       "holdfast --help"},
    {"holdfast|--name=a|run|x",
     "--name goes behind the verb, as in holdfast VERB --name; see holdfast --help"},
    {"holdfast|help|chekc", "unknown verb \"chekc\"; did you mean check? See holdfast --help"},
    {"holdfast|--verison", "unknown option --verison; did you mean --version? See holdfast --help"},
    {"holdfast|--version=1", "--version takes no value; write just --version"},
    {"holdfast|--quux", "unknown option --quux; see holdfast --help"},

    /* probe */
    {"holdfast|probe", "no ADDRESS; write holdfast probe ADDRESS [OPTION...], and see holdfast "
                       "probe --help"},
    {"holdfast|probe|here", "\"here\" is not an address; write one as 127.0.0.1:9000, 9000 or "
                            "/run/php/php-fpm.sock"},
    {"holdfast|probe|9000|9001", "probe takes one ADDRESS; \"9001\" is one too many"},
    {"holdfast|probe|9000|--fastcgi=ping",
     "--fastcgi: \"ping\" is not a page that can be asked for; "
     "write it from the root, without blanks, as "
     "/healthz.php"},
    {"holdfast|probe|9000|--fastcgi-root=/srv",
     "--fastcgi-root is for --fastcgi=/PATH only; add that, or drop it"},
    {"holdfast|probe|9000|--timeout=0", "--timeout: \"0\" is too short; write at least 1ms"},
    {"holdfast|hold|--timeout=99ms", "--timeout: \"99ms\" is too short; write at least 100ms"},
    {"holdfast|release|--timeout=1s",
     "--timeout belongs to hold and probe, not to release; see holdfast release --help"},

    /* options */
    {"holdfast|run|--lisen=9000|x",
     "unknown option --lisen; did you mean --listen? See holdfast run --help"},
    {"holdfast|run|--lisen|9000|x",
     "unknown option --lisen; did you mean --listen? See holdfast run --help"},
    {"holdfast|run|-listen=9000|x",
     "unknown option -listen; did you mean --listen? See holdfast run --help"},
    {"holdfast|run|--drain=5s|x",
     "unknown option --drain; did you mean --drain-timeout? See holdfast run --help"},
    {"holdfast|run|--ready-timeuot|x",
     "unknown option --ready-timeuot; did you mean --ready-timeout? See holdfast run --help"},
    {"holdfast|run|--color|x", "unknown option --color; see holdfast run --help"},
    {"holdfast|run|-F|x", "unknown option -F; see holdfast run --help"},
    {"holdfast|run|-hv|x", "unknown option -hv; see holdfast run --help"},
    {"holdfast|run|-h=1|x", "unknown option -h; see holdfast run --help"},
    {"holdfast|run|--=x|x", "unknown option --; see holdfast run --help"},
    {"holdfast|run|-=x|x", "unknown option -; see holdfast run --help"},
    {"holdfast|run|---|x", "unknown option ---; see holdfast run --help"},
    {"holdfast|run|--a\nb\033[1m=x|x", "unknown option --a?b?[1m; see holdfast run --help"},
    {"holdfast|reload|--listen=9000",
     "--listen belongs to run, exec and check, not to reload; see holdfast reload --help"},
    {"holdfast|run|--no-wait|x", "--no-wait belongs to reload, restart, rollback, stop and "
                                 "upgrade, not to run; see holdfast run --help"},
    {"holdfast|stop|--unit=a.service|--name=a",
     "--unit ends what is left of a systemd unit and waits for it; it cannot be used with --name "
     "or --no-wait"},
    {"holdfast|stop|--unit=a.service|--no-wait",
     "--unit ends what is left of a systemd unit and waits for it; it cannot be used with --name "
     "or --no-wait"},
    {"holdfast|stop|--drain-timeout=3s",
     "--drain-timeout of stop is for what --unit finds; an instance has its own"},
    {"holdfast|stop|--no-wait=yes", "--no-wait takes no value; write just --no-wait"},
    {"holdfast|run|--help=x", "--help: \"x\" is unknown; write --help, or --help=all"},
    {"holdfast|run|--name", "--name needs a value; write --name=NAME, and see holdfast run --help"},
    {"holdfast|run|--listen|--|x",
     "--listen needs a value; write --listen=ADDR[,KEY=VALUE...]|none, and see holdfast run "
     "--help"},
    {"holdfast|stop|--name|--no-wait",
     "--name needs a value; write --name=NAME|DIR, and see holdfast stop --help"},
    {"holdfast|run|--adapter", "--adapter needs a value; write --adapter=auto|php-fpm|php-cgi|"
                               "generic, and see holdfast run --help"},

    /* words */
    {"holdfast|run", "no COMMAND; write holdfast run [OPTION...] [--] COMMAND [ARG...], and see "
                     "holdfast run --help"},
    {"holdfast|exec|--name=a|--", "no COMMAND; write holdfast exec [OPTION...] [--] COMMAND "
                                  "[ARG...], and see holdfast exec --help"},
    {"holdfast|check||a", "COMMAND is empty; write holdfast check [OPTION...] [--] COMMAND "
                          "[ARG...], and see holdfast check --help"},
    {"holdfast|reload|web",
     "reload takes no argument \"web\"; to name an instance, write --name=web"},
    {"holdfast|restart|--|web",
     "restart takes no argument \"web\"; to name an instance, write --name=web"},
    {"holdfast|stop|--name=a|b|c",
     "stop takes no argument \"b\"; to name an instance, write --name=b"},
    {"holdfast|reload|a b",
     "reload takes no argument \"a b\"; to name an instance, write --name=NAME"},
    {"holdfast|reload|.", "reload takes no argument \".\"; to name an instance, write --name=NAME"},
    {"holdfast|reload|", "reload takes no argument \"\"; to name an instance, write --name=NAME"},

    /* values */
    {"holdfast|run|--name=|x",
     "--name: \"\" is not an instance name; write 1 to 64 of a-z, 0-9, '_', "
     "'-' and '.', the first no '.'"},
    {"holdfast|run|--name=Web|x",
     "--name: \"Web\" is not an instance name; write 1 to 64 of a-z, 0-9, "
     "'_', '-' and '.', the first no '.'"},
    {"holdfast|reload|--name=..",
     "--name: \"..\" is not an instance name; write 1 to 64 of a-z, 0-9, "
     "'_', '-' and '.', the first no '.'"},
    {"holdfast|stop|--name|a/b",
     "--name: \"a/b\" is not an instance name; write 1 to 64 of a-z, 0-9, "
     "'_', '-' and '.', the first no '.'"},
    {"holdfast|run|--name="
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|x",
     "--name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is not an "
     "instance name; write 1 to 64 of a-z, 0-9, '_', '-' and '.', the first no '.'"},
    {"holdfast|run|--adapter=perl|x",
     "--adapter: \"perl\" is not a valid adapter; write auto, php-fpm, php-cgi or generic"},
    {"holdfast|run|--adapter=|x",
     "--adapter: \"\" is not a valid adapter; write auto, php-fpm, php-cgi or generic"},
    {"holdfast|run|--handoff=fd|x", "--handoff: \"fd\" is not a valid handoff; write auto, "
                                    "listen-fds, php-fpm, stdin or server-starter"},
    {"holdfast|run|--ready-timeout=5 parsecs|x",
     "--ready-timeout: \"5 parsecs\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|--drain-timeout=|x",
     "--drain-timeout: \"\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|--drain-timeout=-1|x",
     "--drain-timeout: \"-1\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|--drain-timeout=11y|x",
     "--drain-timeout: \"11y\" is too long; write at most 3650d"},
    {"holdfast|run|--ready=sometimes|x",
     "--ready: \"sometimes\" is unknown; write auto, notify, pidfile, delay:2s or log:TEXT"},
    {"holdfast|run|--ready=delay|x",
     "--ready: \"delay\" is unknown; write auto, notify, pidfile, delay:2s or log:TEXT"},
    {"holdfast|run|--ready=log|x",
     "--ready: \"log\" is unknown; write auto, notify, pidfile, delay:2s or log:TEXT"},
    {"holdfast|run|--ready=log:|x",
     "--ready: \"\" is not the text of a line; write what the service logs "
     "once it is ready, as log:listening"},
    {"holdfast|run|--ready=log:a\nb|x",
     "--ready: \"a?b\" is not the text of a line; write what the service logs once it is ready, as "
     "log:listening"},
    {"holdfast|run|--ready=delay:|x", "--ready: \"\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|--ready=pidfile|x",
     "--ready=pidfile is for php-fpm only; write --ready=notify or --ready=delay:2s"},
    {"holdfast|run|--preflight=|x", "--preflight: the text is empty; leave the option out"},
    {"holdfast|run|--canary=https:/x|php-fpm",
     "--canary: \"https:/x\" is unknown; write fastcgi:/PATH, http:/PATH or exec:COMMAND"},
    {"holdfast|run|--canary=http:/x|php-fpm",
     "--canary=http:/x asks over HTTP, which php-fpm does not speak; write --canary=fastcgi:/PATH"},
    {"holdfast|run|--probe=http:/x|--listen=9000|php-cgi",
     "--probe=http:/x asks over HTTP, which php-cgi does not speak; write --probe=fastcgi:/PATH"},
    {"holdfast|run|--probe=http:/x|x", "--probe=http needs a socket; add --listen=ADDR"},
    {"holdfast|run|--probe=http:x|x",
     "--probe: \"x\" is not a page that can be asked for; write it from the root, without blanks, "
     "as /healthz.php"},
    {"holdfast|run|--http-header=Host|x", "--http-header: \"Host\" is not a header that can be "
                                          "sent; write NAME: VALUE, and none that says "
                                          "how long a request is or when the connection ends"},
    {"holdfast|run|--http-header=Host: x|--probe=tcp|--listen=9000|x",
     "--http-header is for requests over HTTP, but there are none; add --probe=http:/PATH, or drop "
     "it"},
    {"holdfast|probe|9000|--http-header=Host: x|--fastcgi=/ping",
     "--http-header is for requests over HTTP, but there are none; add --probe=http:/PATH, or drop "
     "it"},
    {"holdfast|probe|9000|--probe=exec:true",
     "--probe=exec: asks no ADDRESS; run the command itself"},
    {"holdfast|probe|9000|--fastcgi-root=/srv|--probe=http:/x",
     "--fastcgi-root is for --fastcgi=/PATH only; add that, or drop it"},
    {"holdfast|run|--warm=autos|php-fpm",
     "--warm: \"autos\" is unknown; write auto, none, recent, fastcgi:/PATH, http:/PATH, file:FILE "
     "or exec:COMMAND"},
    {"holdfast|run|--warm=file:pages|php-fpm",
     "--warm: \"pages\" is not an absolute path; write it from the root, as "
     "file:/etc/holdfast/pages"},
    {"holdfast|run|--warm=fastcgi:x|php-fpm",
     "--warm: \"x\" is not a page that can be asked for; write it from the root, without blanks, "
     "as /healthz.php"},
    {"holdfast|run|--warm=exec:|php-fpm", "--warm: there is no command after exec:"},
    {"holdfast|run|--http-header=Host: x|--warm=fastcgi:/x|--listen=9000|x",
     "--http-header is for requests over HTTP, but there are none; add --probe=http:/PATH, or drop "
     "it"},
    {"holdfast|run|--canary=exec:|php-fpm", "--canary: there is no command after exec:"},
    {"holdfast|run|--canary=fastcgi:x y|php-fpm",
     "--canary: \"x y\" is not a page that can be asked for; write it from the root, without "
     "blanks, "
     "as /healthz.php"},
    {"holdfast|run|--canary=exec:true|--canary-root=/srv|--listen=1|x",
     "--document-root is for pages, but none is asked for; add --canary=fastcgi:/PATH, --probe or "
     "--warm, or drop it"},
    {"holdfast|run|--canary-root=srv|php-fpm",
     "--canary-root: \"srv\" is not an absolute path; write it from the root, as /srv/www"},
    {"holdfast|run|--handover=rough|x",
     "--handover: \"rough\" is not a valid handover; write auto, switch, gentle or at-once"},
    {"holdfast|run|--stdin=file|x",
     "--stdin: \"file\" is not a valid stdin; write null or inherit"},
    {"holdfast|run|--stdin=inherit|--listen=1|php-cgi",
     "--stdin=inherit: the standard input of COMMAND is its socket; drop it, or say "
     "--handoff=listen-fds"},
    {"holdfast|run|--watchdog=1s|php-fpm",
     "--watchdog: php-fpm never says WATCHDOG=1; write --probe=fastcgi:/ping"},
    {"holdfast|run|gosu|www-data|php-fpm",
     "gosu starts php-fpm as another user, who cannot use the files that holdfast makes for it; "
     "write --user=www-data in its place"},
    {"holdfast|check|nice|/sbin/su-exec|33:34|php-fpm",
     "su-exec starts php-fpm as another user, who cannot use the files that holdfast makes for it; "
     "write --user=33 in its place"},
    {"holdfast|run|setpriv|--clear-groups|--reuid=33|php-fpm",
     "setpriv starts php-fpm as another user, who cannot use the files that holdfast makes for it; "
     "write --user=33 in its place"},
    {"holdfast|run|chpst|-u|app|php-fpm",
     "chpst starts php-fpm as another user, who cannot use the files that holdfast makes for it; "
     "write --user=app in its place"},
    {"holdfast|run|--watchdog=1ms|x", "--watchdog: \"1ms\" is too short; write at least 10ms"},
    {"holdfast|run|--listen=none|--listen=1|x",
     "--listen: none says that there is no socket, and another --listen names one; drop one of "
     "them"},
    {"holdfast|run|--listen=none|php-cgi",
     "php-cgi needs a socket; add --listen=ADDR, as --listen=127.0.0.1:9000"},
    {"holdfast|run|--stop-signal=TERMINATE|x",
     "--stop-signal: \"TERMINATE\" is not a signal; write its name, as TERM, SIGWINCH or RTMIN+3, "
     "its number, or auto"},
    {"holdfast|run|--stop-signal=9|x", "--stop-signal: \"9\" cannot be caught, so no request could "
                                       "finish; write another one, or --drain-timeout=0"},
    {"holdfast|run|--stop-signal=SIGSTOP|x",
     "--stop-signal: \"SIGSTOP\" cannot be caught, so no request could finish; write another one, "
     "or --drain-timeout=0"},
    {"holdfast|run|--max-draining=0|x", "--max-draining: \"0\" is not a number from 1 to 5"},
    {"holdfast|run|--max-draining=6|x", "--max-draining: \"6\" is not a number from 1 to 5"},
    {"holdfast|run|--max-draining=two|x", "--max-draining: \"two\" is not a number from 1 to 5"},
    {"holdfast|run|--backoff-max=1ms|x",
     "--backoff-max: \"1ms\" is too short; write at least 100ms"},
    {"holdfast|run|--recycle-every=soon|x",
     "--recycle-every: \"soon\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|--recycle-every=0|x", "--recycle-every: \"0\" is too short; write at least 1s"},
    {"holdfast|run|--probe=ping|x",
     "--probe: \"ping\" is unknown; write fastcgi:/PATH, http:/PATH, tcp, exec:COMMAND or "
     "none"},
    {"holdfast|run|--probe=exec:|x", "--probe: there is no command after exec:"},
    {"holdfast|run|--probe=fastcgi:ping|php-fpm",
     "--probe: \"ping\" is not a page that can be asked "
     "for; write it from the root, without blanks, as "
     "/healthz.php"},
    {"holdfast|run|--probe=fastcgi:/ping|--listen=9000|x",
     "--probe=fastcgi:/ping asks over FastCGI, which COMMAND does not speak; write "
     "--probe=http:/PATH, "
     "--probe=tcp or --probe=exec:COMMAND, or say --handoff=stdin if it does"},
    {"holdfast|run|--probe=tcp|x", "--probe=tcp needs a socket; add --listen=ADDR"},
    {"holdfast|run|--probe-every=5s|php-fpm",
     "--probe-every, --probe-timeout, --probe-failures and --probe-hung-after say how to probe, "
     "but "
     "nothing says what; add --probe, as --probe=fastcgi:/ping"},
    {"holdfast|run|--probe-timeout=1s|php-fpm",
     "--probe-every, --probe-timeout, --probe-failures and --probe-hung-after say how to probe, "
     "but nothing says what; add --probe, as --probe=fastcgi:/ping"},
    {"holdfast|run|--probe-hung-after=1min|php-fpm",
     "--probe-every, --probe-timeout, --probe-failures and --probe-hung-after say how to probe, "
     "but nothing says what; add --probe, as --probe=fastcgi:/ping"},
    {"holdfast|run|--probe=fastcgi:/p|--probe-hung-after=1min|--listen=1|php-cgi",
     "--probe-hung-after needs php-fpm's own count of requests; write --probe=fastcgi:/ping, or "
     "drop it"},
    {"holdfast|run|--probe=tcp|--probe=none|--probe-failures=5|php-fpm",
     "--probe-every, --probe-timeout, --probe-failures and --probe-hung-after say how to probe, "
     "but "
     "nothing says what; add --probe, as --probe=fastcgi:/ping"},
    {"holdfast|run|--probe=tcp|--probe-hung-after=1min|php-fpm",
     "--probe-hung-after needs php-fpm's own count of requests; write --probe=fastcgi:/ping, or "
     "drop "
     "it"},
    {"holdfast|run|--probe-failures=0|x", "--probe-failures: \"0\" is not a number from 1 to 1000"},
    {"holdfast|run|--recycle-memory=1000|x",
     "--recycle-memory: \"1000\" is not a size of 1M or more; write 512M, 2G or never"},
    {"holdfast|run|--recycle-memory=much|x",
     "--recycle-memory: \"much\" is not a size of 1M or more; write 512M, 2G or never"},
    {"holdfast|run|--recycle-check=1s|x", "--recycle-check says how often to look at the memory, "
                                          "but nothing says how much it may be; add "
                                          "--recycle-memory=BYTES"},
    {"holdfast|exec|--probe=tcp|x",
     "--probe belongs to run, check and probe, not to exec; see holdfast exec --help"},
    {"holdfast|exec|--handover=gentle|x",
     "--handover belongs to run and check, not to exec; see holdfast exec --help"},
    {"holdfast|run|--ready-timeout=99999999999999999999999|x",
     "--ready-timeout: \"99999999999999999999999\" is too long; write at most 3650d"},
    {"holdfast|run|--ready-timeout=0|x", "--ready-timeout: \"0\" is too short; write at least 1ms"},
    {"holdfast|run|--ready-timeout|999us|x",
     "--ready-timeout: \"999us\" is too short; write at least 1ms"},
    {"holdfast|run|--directory=www|x",
     "--directory: \"www\" is not an absolute path; write it from the root, as /srv/www"},
    {"holdfast|run|--directory=|x",
     "--directory: \"\" is not an absolute path; write it from the root, as /srv/www"},
    {"holdfast|run|--directory=/a\177|x",
     "--directory: \"/a?\" is not an absolute path; write it from the root, as /srv/www"},
    {"holdfast|run|--config=|x", "--config: \"\" is not the path of a file"},
    {"holdfast|run|--config=/a\n|x", "--config: \"/a?\" is not the path of a file"},
    {"holdfast|run|--take-over=x|x", "--take-over: \"x\" is not a pid; write --take-over=PID, or "
                                     "--take-over alone for whoever holds the sockets"},
    {"holdfast|run|--take-over=0|x", "--take-over: \"0\" is not a pid; write --take-over=PID, or "
                                     "--take-over alone for whoever holds the sockets"},
    {"holdfast|run|--directory=/a\nb|x",
     "--directory: \"/a?b\" is not an absolute path; write it from the root, as /srv/www"},
    {"holdfast|run|--listen=host|x",
     "--listen: \"host\" is not an address; write 127.0.0.1:9000, [::1]:9000, 9000, /run/x.sock or "
     "@name, udp:127.0.0.1:53, dgram:/run/x.sock or seqpacket:/run/x.sock"},

    /* between options */
    {"holdfast|run|--listen=9000|--listen=9001|--listen=9000|x",
     "--listen: \"9000\" is given twice; drop one"},
    {"holdfast|run|--listen=/run/a.sock|--listen=unix:/run/a.sock|x",
     "--listen: \"/run/a.sock\" is given twice; drop one"},
    {"holdfast|check|--listen=9000|--listen=[::]:9000|x",
     "--listen: \"9000\" and \"[::]:9000\" are the same place; drop one"},
    {"holdfast|exec|--listen=1,name=a|--listen=2,name=b|--listen=3,name=a|x",
     "--listen: \"1\" and \"3\" are both named a; rename one"},
    {"holdfast|run|--handoff=stdin|x",
     "--handoff=stdin needs a socket; add --listen=ADDR, as --listen=127.0.0.1:9000"},
    {"holdfast|check|/usr/bin/php-cgi8.2",
     "php-cgi needs a socket; add --listen=ADDR, as --listen=127.0.0.1:9000"},
    {"holdfast|run|--handoff=stdin|--listen=1|--listen=2|--listen=3|x",
     "--handoff=stdin takes one socket, not 3; drop --listen until one is left"},
    {"holdfast|exec|--listen=1|--listen=2|php-cgi",
     "php-cgi takes one socket, not 2; drop --listen until one is left"},
    {"holdfast|run|--handoff=stdin|php-fpm8.2",
     "--handoff=stdin does not work with php-fpm, which cannot read it; drop it, or say "
     "--adapter=generic if COMMAND is not php-fpm"},
    {"holdfast|run|--handoff=listen-fds|--adapter=php-fpm|x",
     "--handoff=listen-fds does not work with php-fpm, which cannot read it; drop it, or say "
     "--adapter=generic if COMMAND is not php-fpm"},
    {"holdfast|run|--listen=9000|php-fpm8.2",
     "--listen does not go with php-fpm, whose sockets are those of its pools; set listen in the "
     "pool, or say --adapter=generic if COMMAND is not php-fpm"},
    {"holdfast|run|php-fpm8.2|-F|-t",
     "php-fpm only prints something and exits with -t; leave it out"},
};

static void bad_lines_say_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        HfCommandLine parsed;
        HF_CLEANUP_TEXT HfText error = {0};
        memset(&parsed, 0xa5, sizeof(parsed));
        int r = parse(refused[i].line, &parsed, &error);
        assert_refused(refused[i].line, r, &parsed, sizeof(parsed), refused[i].error, &error);
    }
}

#define NO_ADDRESS                                                                                 \
    " is not an address; write 127.0.0.1:9000, [::1]:9000, 9000, /run/x.sock or @name, "           \
    "udp:127.0.0.1:53, dgram:/run/x.sock or seqpacket:/run/x.sock"
#define NO_KEY                                                                                     \
    " is not known; behind the address write backlog, mode, owner, group, name, ipv6-only, "       \
    "interface, reuse-port, free-bind, no-delay, keep-alive, defer-accept, fast-open, mark, or "   \
    "receive-buffer, as in backlog=511"

static const struct {
    const char *text;
    const char *error;
} refused_listeners[] = {
    {"", "--listen: \"\"" NO_ADDRESS},
    {",name=a", "--listen: \"\"" NO_ADDRESS},
    {"127.0.0.1", "--listen: \"127.0.0.1\"" NO_ADDRESS},
    {"127.0.0.1:0", "--listen: \"127.0.0.1:0\"" NO_ADDRESS},
    {"70000", "--listen: \"70000\"" NO_ADDRESS},
    {"run/x.sock", "--listen: \"run/x.sock\"" NO_ADDRESS},
    {"/run/\001x", "--listen: \"/run/?x\"" NO_ADDRESS},
    {"9000,", "--listen: \"\"" NO_KEY},
    {"9000,,name=a", "--listen: \"\"" NO_KEY},
    {"9000,baklog=1", "--listen: \"baklog=1\"" NO_KEY},
    {"9000,back=1", "--listen: \"back=1\"" NO_KEY},
    {"9000,=1", "--listen: \"=1\"" NO_KEY},
    {"9000,no-delay=1", "--listen: no-delay=\"1\" is neither yes nor no"},
    {"9000,mark=x", "--listen: mark=\"x\" is not a number from 0 to 2147483647"},
    {"9000,defer-accept=3601", "--listen: defer-accept=\"3601\" is not a number from 0 to 3600"},
    {"9000,interface=a/b", "--listen: \"a/b\" is not the name of a network interface"},
    {"9000,interface=", "--listen: \"\" is not the name of a network interface"},
    {"9000,interface=more-than-15-bytes",
     "--listen: \"more-than-15-bytes\" is not the name of a network interface"},
    {"/x,no-delay=yes", "--listen: no-delay is for TCP addresses, \"/x\" is none; drop it"},
    {"udp:53,backlog=9",
     "--listen: backlog is for sockets that take connections, \"udp:53\" is none; drop it"},
    {"udp:53,keep-alive=yes",
     "--listen: keep-alive is for TCP addresses, \"udp:53\" is none; drop it"},
    {"udp:53,mode=0600", "--listen: mode is for unix paths, \"udp:53\" is none; drop it"},
    {"dgram:/x,defer-accept=1",
     "--listen: defer-accept is for TCP addresses, \"dgram:/x\" is none; drop it"},
    {"dgram:/x,backlog=1",
     "--listen: backlog is for sockets that take connections, \"dgram:/x\" is none; drop it"},
    {"@x,mark=1", "--listen: mark is for TCP and UDP addresses, \"@x\" is none; drop it"},
    {"[::]:9000,ipv6-only=1", "--listen: ipv6-only=\"1\" is neither yes nor no"},
    {"0.0.0.0:9000,ipv6-only=no",
     "--listen: ipv6-only is for IPv6 addresses; drop it, or write [::]:PORT"},
    {"9000,name", "--listen: name needs a value; write name=VALUE"},
    {"9000,name=",
     "--listen: \"\" is not the name of a socket; write 1 to 64 of A-Z, a-z, 0-9, '_', "
     "'-' and '.'"},
    {"9000,name=a:b",
     "--listen: \"a:b\" is not the name of a socket; write 1 to 64 of A-Z, a-z, 0-9, "
     "'_', '-' and '.'"},
    {"9000,name=a,name=a b",
     "--listen: \"a b\" is not the name of a socket; write 1 to 64 of A-Z, a-z, "
     "0-9, '_', '-' and '.'"},
    {"9000,backlog=0",
     "--listen: \"0\" is not a backlog; write a number from 1 to 2147483647, or max"},
    {"9000,backlog=2147483648",
     "--listen: \"2147483648\" is not a backlog; write a number from 1 to 2147483647, or max"},
    {"9000,backlog=-1",
     "--listen: \"-1\" is not a backlog; write a number from 1 to 2147483647, or max"},
    {"9000,name=a,mode=0660", "--listen: mode is for unix paths, \"9000\" is none; drop it"},
    {"[::1]:80,owner=www", "--listen: owner is for unix paths, \"[::1]:80\" is none; drop it"},
    {"@x,group=www", "--listen: group is for unix paths, \"@x\" is none; drop it"},
    {"/run/x,mode=0888", "--listen: \"0888\" is not a mode; write it octal, up to 0777, as 0660"},
    {"/run/x,mode=01777", "--listen: \"01777\" is not a mode; write it octal, up to 0777, as 0660"},
    {"/run/x,mode=rw", "--listen: \"rw\" is not a mode; write it octal, up to 0777, as 0660"},
    {"/run/x,owner=a,group=", "--listen: \"\" is not a valid group; write a name or a number"},
    {"/run/x,owner=a:b", "--listen: \"a:b\" is not a valid owner; write a name or a number"},
    {"/run/x,owner=a b", "--listen: \"a b\" is not a valid owner; write a name or a number"},
    {"/run/x,owner=a,owner=b,name=c,group=\177",
     "--listen: \"?\" is not a valid group; write a name or a number"},
};

static void bad_listeners_say_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused_listeners) / sizeof(*refused_listeners); i++) {
        const char *text = refused_listeners[i].text;
        HfListenerSpec spec;
        HF_CLEANUP_TEXT HfText error = {0};
        memset(&spec, 0xa5, sizeof(spec));
        int r = hf_options_parse_listen(text, &spec, &error);
        assert_refused(text, r, &spec, sizeof(spec), refused_listeners[i].error, &error);
    }
}

static void long_values_are_refused_and_cut(void **state)
{
    (void)state;
    static const char *const formats[] = {
        "/%s", "%s:80", "/run/x,owner=%s", "9000,name=%s", "9000,%s=1", "9000,%s", "/run/x,mode=%s",
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        HF_CLEANUP_TEXT HfText error = {0};
        HfListenerSpec spec;
        const char *hole = strstr(formats[i], "%s");
        hf_text_add_bytes(&text, formats[i], (size_t)(hole - formats[i]));
        hf_text_add(&text, x300);
        hf_text_add(&text, hole + 2);
        assert_int_equal(hf_options_parse_listen(hf_text_peek(&text), &spec, &error), -EINVAL);
        assert_line(formats[i], hf_text_peek(&error));
        assert_non_null(strstr(hf_text_peek(&error), "xxx...\""));
        assert_null(strstr(hf_text_peek(&error), x300 + 300 - 81));
    }
    HF_CLEANUP_TEXT HfText path = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfListenerSpec spec;
    hf_text_addf(&path, "/%s", x300 + 300 - 107);
    assert_int_equal(hf_options_parse_listen(hf_text_peek(&path), &spec, &error), -EINVAL);
    assert_non_null(strstr(hf_text_peek(&error), "...\" is too long; a unix path has at most 107 "
                                                 "bytes, a host name 255"));
}

static void long_echoes_keep_characters_whole(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText line = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine parsed;
    hf_text_add(&line, "holdfast|x");
    for (int i = 0; i < 60; i++)
        hf_text_add(&line, "\xc3\xbc");
    assert_int_equal(parse(hf_text_peek(&line), &parsed, &error), -EINVAL);
    assert_non_null(strstr(hf_text_peek(&error), "\xc3\xbc...\"; a command"));
}

/* ---- what is taken ---- */

static void run_takes_how_a_generation_is_replaced(void **state)
{
    (void)state;
    HF_CLEANUP_COMMAND_LINE HfCommandLine line =
        parse_good("holdfast|run|--ready=delay:300ms|--handover=at-once|--stop-signal=INT|--kill-"
                   "mode=all|--cgroup=off|--max-draining=5|"
                   "--backoff-max=1min|--recycle-every=20min|--busy-after=never|"
                   "--preflight=make test && true|--canary=fastcgi:/up.php?x|--canary-root=/srv|"
                   "--listen=9000|./server");
    const HfSettings *settings = &line.settings;

    assert_int_equal(settings->readiness, HF_READINESS_DELAY);
    assert_int_equal(settings->ready_delay, 300 * HF_USEC_PER_MSEC);
    assert_int_equal(settings->handover, HF_HANDOVER_AT_ONCE);
    assert_int_equal(settings->stop_signal, SIGINT);
    assert_int_equal(settings->kill_mode, HF_KILL_MODE_ALL);
    assert_int_equal(settings->cgroup, HF_CGROUP_USE_OFF);
    assert_int_equal(settings->max_draining, 5);
    assert_int_equal(settings->backoff_max, 60 * HF_USEC_PER_SEC);
    assert_int_equal(settings->recycle_every, 1200 * HF_USEC_PER_SEC);
    assert_true(settings->busy_after == HF_USEC_INFINITY);
    assert_string_equal(settings->preflight, "make test && true");
    assert_int_equal(settings->canary.kind, HF_PROBE_FASTCGI);
    assert_string_equal(settings->canary.what, "/up.php?x");
    assert_string_equal(settings->document_root, "/srv");
}

static void probe_takes_an_address_between_its_options(void **state)
{
    static const char *const lines[] = {
        "holdfast|probe|/run/x.sock|--fastcgi=/ping?full|--fastcgi-root=/srv|--timeout=300ms",
        "holdfast|probe|--fastcgi=/ping?full|--timeout|300ms|/run/x.sock|--fastcgi-root=/srv",
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(lines[i]);
        assert_int_equal(line.verb, HF_VERB_PROBE);
        assert_int_equal(line.probing.address.kind, HF_ADDRESS_UNIX);
        assert_string_equal(line.probing.address.name, "/run/x.sock");
        assert_int_equal(line.settings.probe.kind, HF_PROBE_FASTCGI);
        assert_string_equal(line.settings.probe.what, "/ping?full");
        assert_string_equal(line.probing.root, "/srv");
        assert_int_equal(line.probing.timeout, 300 * HF_USEC_PER_MSEC);
    }
    HF_CLEANUP_COMMAND_LINE HfCommandLine plain = parse_good("holdfast|probe|9000");
    assert_int_equal(plain.settings.probe.kind, HF_PROBE_NONE);
    assert_int_equal(plain.probing.timeout, 5 * HF_USEC_PER_SEC);
}

static void run_takes_how_health_is_seen(void **state)
{
    (void)state;
    HF_CLEANUP_COMMAND_LINE HfCommandLine line =
        parse_good("holdfast|run|--probe=exec:false|--probe=fastcgi:/ping?full|--probe-every=1s|"
                   "--probe-timeout=2s|--probe-failures=7|--probe-hung-after=1min|"
                   "--recycle-memory=512M|--recycle-check=5s|php-fpm8.2");
    HF_CLEANUP_COMMAND_LINE HfCommandLine other =
        parse_good("holdfast|run|--probe=fastcgi:/x|--probe=tcp|--listen=9000|./server");
    HF_CLEANUP_COMMAND_LINE HfCommandLine none = parse_good("holdfast|run|--probe=none|./server");
    const HfSettings *settings = &line.settings;

    assert_int_equal(settings->probe.kind, HF_PROBE_FASTCGI);
    assert_string_equal(settings->probe.what, "/ping?full");
    assert_int_equal(settings->probe_every, HF_USEC_PER_SEC);
    assert_int_equal(settings->probe_timeout, 2 * HF_USEC_PER_SEC);
    assert_int_equal(settings->probe_failures, 7);
    assert_int_equal(settings->probe_hung_after, 60 * HF_USEC_PER_SEC);
    assert_int_equal(settings->recycle_memory, 512 * 1024 * 1024);
    assert_int_equal(settings->recycle_check, 5 * HF_USEC_PER_SEC);
    assert_int_equal(other.settings.probe.kind, HF_PROBE_TCP);
    assert_null(other.settings.probe.what);
    assert_int_equal(none.settings.probe.kind, HF_PROBE_NONE);
}

static void never_and_the_defaults_are_the_same(void **state)
{
    (void)state;
    HF_CLEANUP_COMMAND_LINE HfCommandLine line =
        parse_good("holdfast|run|--recycle-every=1h|--recycle-every=never|--ready=auto|./server");
    HF_CLEANUP_SETTINGS HfSettings defaults;

    hf_settings_init(&defaults);
    assert_int_equal(line.settings.recycle_every, defaults.recycle_every);
    assert_int_equal(line.settings.readiness, defaults.readiness);
    assert_int_equal(line.settings.handover, HF_HANDOVER_AUTO);
    assert_int_equal(line.settings.kill_mode, HF_KILL_MODE_SERVICE);
    assert_int_equal(line.settings.cgroup, HF_CGROUP_USE_AUTO);
    assert_int_equal(line.settings.stop_signal, 0);
}

static void run_takes_all_its_options(void **state)
{
    (void)state;
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(
        "holdfast|run|--name=first|--name|web-1_.x|--listen|127.0.0.1:9000|--adapter=generic|"
        "--handoff=listen-fds|--ready-timeout=1min 30s|--drain-timeout|0|--directory=/srv/www|"
        "--listen=/run/a.sock,mode=0660,owner=www-data,group=33,backlog=max,name=A.b|--|./server|"
        "--name=x||-F");
    const HfSettings *settings = &line.settings;

    assert_int_equal(line.verb, HF_VERB_RUN);
    assert_false(line.help || line.version);
    assert_string_equal(settings->name, "web-1_.x");
    assert_string_equal(settings->adapter, "generic");
    assert_string_equal(settings->handoff, "listen-fds");
    assert_int_equal(settings->ready_timeout, 90 * HF_USEC_PER_SEC);
    assert_int_equal(settings->drain_timeout, 0);
    assert_string_equal(settings->directory, "/srv/www");
    assert_int_equal(settings->n_listeners, 2);
    assert_int_equal(settings->listeners[0].address.kind, HF_ADDRESS_INET);
    assert_int_equal(settings->listeners[0].address.port, 9000);
    assert_null(settings->listeners[0].name);
    assert_null(settings->listeners[0].owner);
    assert_int_equal(settings->listeners[0].mode, HF_MODE_UNSET);
    assert_string_equal(settings->listeners[1].address.name, "/run/a.sock");
    assert_int_equal(settings->listeners[1].mode, 0660);
    assert_string_equal(settings->listeners[1].owner, "www-data");
    assert_string_equal(settings->listeners[1].group, "33");
    assert_int_equal(settings->listeners[1].backlog, HF_BACKLOG_MAXIMUM);
    assert_string_equal(settings->listeners[1].name, "A.b");
    assert_int_equal(hf_strv_length(settings->command), 4);
    assert_string_equal(settings->command[0], "./server");
    assert_string_equal(settings->command[1], "--name=x");
    assert_string_equal(settings->command[2], "");
    assert_string_equal(settings->command[3], "-F");
}

static void defaults_stay_without_options(void **state)
{
    (void)state;
    HfSettings defaults;
    hf_settings_init(&defaults);
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good("holdfast|run|./server|-F|--help");

    assert_null(line.settings.name);
    assert_null(line.settings.directory);
    assert_null(line.settings.adapter);
    assert_null(line.settings.handoff);
    assert_int_equal(line.settings.ready_timeout, defaults.ready_timeout);
    assert_int_equal(line.settings.drain_timeout, defaults.drain_timeout);
    assert_int_equal(line.settings.n_listeners, 0);
    assert_false(line.help);
    assert_int_equal(hf_strv_length(line.settings.command), 3);
    assert_string_equal(line.settings.command[1], "-F");
    assert_string_equal(line.settings.command[2], "--help");
    hf_settings_clear(&defaults);
}

static const char *const accepted[] = {
    "holdfast|run|gosu|root|php-fpm",
    "holdfast|run|gosu|0|php-fpm",
    "holdfast|run|setpriv|--no-new-privs|php-fpm",
    "holdfast|exec|gosu|www-data|php-fpm",
    "holdfast|run|--adapter=php-cgi|--listen=1|gosu|www-data|php-cgi",
    "holdfast|run|--|php-fpm8.2",
    "holdfast|run|php-fpm8.2|-F",
    "holdfast|run|--listen=[::]:80,ipv6-only=yes|--listen=0.0.0.0:80|x",
    "holdfast|run|--listen=[::]:80,ipv6-only=no|x",
    "holdfast|run|-",
    "holdfast|run|--|--",
    "holdfast|exec|php-fpm8.2|--nodaemonize",
    "holdfast|exec|php-cgi8.2",
    "holdfast|exec|--handoff=stdin|x",
    "holdfast|run|--listen=9000|php-cgi8.2",
    "holdfast|run|--listen=9000|--listen=9001|--handoff=listen-fds|php-cgi8.2",
    "holdfast|run|--handoff=php-fpm|php-fpm8.2",
    "holdfast|run|--handoff=php-fpm|--listen=9000|./start-php",
    "holdfast|run|--adapter=generic|--listen=9000|php-fpm8.2",
    "holdfast|run|--listen=9000|--listen=127.0.0.1:9000|--listen=[::1]:9000|x",
    "holdfast|run|--listen=@a|--listen=/a|--listen=localhost:1|x",
    "holdfast|check|--listen=9000,backlog=2147483647|x",
    "holdfast|run|--listen=/a,mode=777|--listen=/b,mode=0|x",
    "holdfast|run|--ready-timeout=1ms|--drain-timeout=3650d|x",
    "holdfast|run|--name=a|--name=-a|x",
    "holdfast|run|--config=/etc/x.conf",
    "holdfast|run|--take-over|--listen=9000|x",
    "holdfast|run|--take-over=1|--listen=9000|x",
    "holdfast|run|--ready=pidfile|php-fpm",
    "holdfast|run|--probe=fastcgi:/ping|--handoff=stdin|--listen=9000|x",
    "holdfast|run|--probe=fastcgi:/ping|--probe-hung-after=1min|php-fpm",
    "holdfast|run|--recycle-memory=2G|--recycle-memory=never|x",
    "holdfast|stop|--unit=a.service",
    "holdfast|stop|--unit=a.service|--drain-timeout=3s",
    "holdfast|reload|--",
    "holdfast|restart",
};

static void good_lines_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(accepted[i]);
        assert_false(line.help || line.version);
    }
}

static void last_setting_of_a_listener_counts(void **state)
{
    (void)state;
    HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(
        "holdfast|run|--listen=/a,mode=0600,backlog=5,owner=a,name=x,mode=0640,backlog=7,owner=b,"
        "name=y|x");

    assert_int_equal(line.settings.listeners[0].mode, 0640);
    assert_int_equal(line.settings.listeners[0].backlog, 7);
    assert_string_equal(line.settings.listeners[0].owner, "b");
    assert_string_equal(line.settings.listeners[0].name, "y");
}

static void listeners_take_socket_options(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText error = {0};
    HfListenerSpec spec;

    assert_int_equal(hf_options_parse_listen("9000,interface=eth0,no-delay=yes,mark=7,no-delay=no,"
                                             "reuse-port=yes,free-bind=yes,keep-alive=yes,"
                                             "defer-accept=5,fast-open=16,receive-buffer=65536",
                                             &spec, &error),
                     0);
    assert_string_equal(spec.interface, "eth0");
    assert_int_equal(spec.n_options, HF_SOCKET_OPTIONS_MAX);
    const int expected[][3] = {{IPPROTO_TCP, TCP_NODELAY, 0}, {SOL_SOCKET, SO_MARK, 7}};
    assert_memory_equal(spec.options, expected, sizeof(expected));
    hf_listener_spec_clear(&spec);
}

static void calls_take_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        HfVerb verb;
        const char *name;
        bool no_wait;
    } cases[] = {
        {"holdfast|reload", HF_VERB_RELOAD, NULL, false},
        {"holdfast|restart|--no-wait", HF_VERB_RESTART, NULL, true},
        {"holdfast|stop|--name|web|--no-wait", HF_VERB_STOP, "web", true},
        {"holdfast|stop|--name=a|--name=b|--", HF_VERB_STOP, "b", false},
        {"holdfast|reload|--name=/run/user/1/holdfast/a", HF_VERB_RELOAD, "/run/user/1/holdfast/a",
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(cases[i].line);
        assert_int_equal(line.verb, cases[i].verb);
        assert_int_equal(line.call.no_wait, cases[i].no_wait);
        if (cases[i].name)
            assert_string_equal(line.call.name, cases[i].name);
        else
            assert_null(line.call.name);
        assert_null(line.settings.name);
        assert_null(line.settings.command);
    }
}

static void help_and_version_need_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        HfVerb verb;
        HfHelp help;
        bool version;
    } cases[] = {
        {"holdfast|--help", HF_VERB_MAX_, HF_HELP_SHORT, false},
        {"holdfast|-h", HF_VERB_MAX_, HF_HELP_SHORT, false},
        {"holdfast|help", HF_VERB_MAX_, HF_HELP_SHORT, false},
        {"holdfast|help|probe|--quux", HF_VERB_PROBE, HF_HELP_SHORT, false},
        {"holdfast|-V", HF_VERB_MAX_, HF_HELP_NONE, true},
        {"holdfast|run|-V", HF_VERB_RUN, HF_HELP_NONE, true},
        {"holdfast|--version|--quux", HF_VERB_MAX_, HF_HELP_NONE, true},
        {"holdfast|run|--help", HF_VERB_RUN, HF_HELP_SHORT, false},
        {"holdfast|run|--help=all", HF_VERB_RUN, HF_HELP_ALL, false},
        {"holdfast|run|--listen=9000|-h|--quux", HF_VERB_RUN, HF_HELP_SHORT, false},
        {"holdfast|check|--version", HF_VERB_CHECK, HF_HELP_NONE, true},
        {"holdfast|stop|-h|web", HF_VERB_STOP, HF_HELP_SHORT, false},
        {"holdfast|run|--handoff=stdin|--help", HF_VERB_RUN, HF_HELP_SHORT, false},
        {"holdfast|probe|9000|--help", HF_VERB_PROBE, HF_HELP_SHORT, false},
        {"holdfast|probe|9000|--version", HF_VERB_PROBE, HF_HELP_NONE, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_COMMAND_LINE HfCommandLine line = parse_good(cases[i].line);
        assert_int_equal(line.verb, cases[i].verb);
        assert_int_equal(line.help, cases[i].help);
        assert_int_equal(line.version, cases[i].version);
    }
}

static void verbs_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(hf_verb_name(HF_VERB_RESTART), "restart");
    assert_string_equal(hf_verb_name(HF_VERB_ROLLBACK), "rollback");
    assert_int_equal(hf_verb_value("check"), HF_VERB_CHECK);
    assert_int_equal(hf_verb_value("start"), -EINVAL);
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++)
        assert_true(strlen(hf_option_verb_summary(verb)) > 0);
}

/* ---- hostile argv ---- */

static void no_argv_at_all(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine parsed;
    char *const none[] = {NULL};

    assert_int_equal(hf_options_parse(0, none, &parsed, &error), -EINVAL);
    assert_line("no argv", hf_text_peek(&error));
}

/* argv of run, n times --listen on different ports and addresses, and a command. */
static char **many_listeners(size_t n)
{
    char **words = hf_allocate(n + 4, sizeof(*words));
    char text[64];

    assert_non_null(words);
    words[0] = strdup("holdfast");
    words[1] = strdup("run");
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "--listen=127.%zu.%zu.1:9000,name=n%zu", i / 256, i % 256, i);
        words[2 + i] = strdup(text);
    }
    words[2 + n] = strdup("x");
    return words;
}

static void listeners_are_bounded(void **state)
{
    (void)state;
    HF_CLEANUP_STRV char **most = many_listeners(HF_LISTENERS_MAX);
    HF_CLEANUP_STRV char **more = many_listeners(HF_LISTENERS_MAX + 1);
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine refused_line;
    HfCommandLine parsed;

    assert_int_equal(hf_options_parse(HF_LISTENERS_MAX + 3, most, &parsed, &error), 0);
    assert_int_equal(parsed.settings.n_listeners, HF_LISTENERS_MAX);
    assert_string_equal(parsed.settings.listeners[HF_LISTENERS_MAX - 1].name, "n4095");
    assert_string_equal(parsed.settings.listeners[0].name, "n0");
    hf_command_line_clear(&parsed);

    assert_int_equal(hf_options_parse(HF_LISTENERS_MAX + 4, more, &refused_line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error), "--listen: more than 4096 sockets; give some of them "
                                              "to a second instance");
}

/* Every option and position with a megabyte of one byte. */
static void huge_words_are_refused(void **state)
{
    (void)state;
    static const char *const prefixes[] = {
        "",
        "-",
        "--",
        "--name=",
        "--listen=",
        "--listen=9000,",
        "--listen=9000,name=",
        "--listen=/x,owner=",
        "--adapter=",
        "--handoff=",
        "--ready-timeout=",
        "--drain-timeout=",
        "--directory=/",
        "--help=",
    };
    static const char bytes[] = {'a', '-', '/', ',', '=', '9', '\n', '\033', '\x80', '\xff', ':'};
    const size_t size = 1 << 20;

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        for (size_t j = 0; j < sizeof(bytes); j++) {
            HF_CLEANUP_FREE char *word = malloc(size + 1);
            HF_CLEANUP_TEXT HfText error = {0};
            HfCommandLine parsed;
            size_t length = strlen(prefixes[i]);
            assert_non_null(word);
            memset(word, bytes[j], size);
            memcpy(word, prefixes[i], length);
            word[size] = '\0';
            char *verbless[] = {(char[]){"holdfast"}, word, NULL};
            char *call[] = {(char[]){"holdfast"}, (char[]){"stop"}, word, NULL};
            char *serving[] = {(char[]){"holdfast"}, (char[]){"run"}, word, NULL};

            assert_int_equal(hf_options_parse(2, verbless, &parsed, &error), -EINVAL);
            assert_line(prefixes[i], hf_text_peek(&error));
            hf_text_clear(&error);
            assert_int_equal(hf_options_parse(3, call, &parsed, &error), -EINVAL);
            assert_line(prefixes[i], hf_text_peek(&error));
            hf_text_clear(&error);
            bool is_command = length == 0 && bytes[j] != '-';
            int r = hf_options_parse(3, serving, &parsed, &error);
            assert_int_equal(r, is_command ? 0 : -EINVAL);
            if (is_command)
                hf_command_line_clear(&parsed);
            else
                assert_line(prefixes[i], hf_text_peek(&error));
        }
}

/* ---- --help ---- */

static void assert_columns(const char *help)
{
    for (const char *line = help; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > 79 || (length > 0 && line[length - 1] == ' ') || memchr(line, '\t', length))
            fail_msg("not a good line of help: %.*s", (int)length, line);
        assert_int_equal(line[length], '\n');
        line += length + 1;
    }
}

/* The entry of an option, up to the next line that is none of its own, blanks collapsed. */
static void find_entry(const char *help, const char *option, HfText *ret)
{
    const char *start = strstr(help, option);

    if (!start)
        fail_msg("no %s in: %s", option, help);
    for (const char *c = start; c && *c; c++) {
        if (*c == '\n' && strncmp(c + 1, "          ", 10) != 0)
            return;
        bool blank = *c == ' ' || *c == '\n';
        bool doubled = ret->length > 0 && ret->data[ret->length - 1] == ' ';
        if (!blank || !doubled)
            hf_text_add_bytes(ret, blank ? " " : c, 1);
    }
}

static void help_lists_what_the_verb_takes(void **state)
{
    (void)state;
    static const char *const options[] = {
        "name",          "listen",         "adapter",        "handoff",
        "directory",     "ready-timeout",  "drain-timeout",  "no-wait",
        "help",          "version",        "ready",          "handover",
        "stop-signal",   "kill-mode",      "max-draining",   "backoff-max",
        "recycle-every", "busy-after",     "preflight",      "probe",
        "probe-every",   "probe-timeout",  "probe-failures", "probe-hung-after",
        "cgroup",        "recycle-memory", "recycle-check"};
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        HF_CLEANUP_TEXT HfText help = {0};
        hf_options_help(&verb, true, &help);
        assert_columns(hf_text_peek(&help));
        assert_non_null(strstr(hf_text_peek(&help), hf_verb_name(verb)));
        for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
            HF_CLEANUP_TEXT HfText line = {0};
            HF_CLEANUP_TEXT HfText error = {0};
            HF_CLEANUP_TEXT HfText listed = {0};
            HfCommandLine parsed;
            hf_text_addf(&line, "holdfast|%s|--%s=.", hf_verb_name(verb), options[i]);
            hf_text_addf(&listed, " --%s", options[i]);
            assert_int_equal(parse(hf_text_peek(&line), &parsed, &error), -EINVAL);
            bool elsewhere = strstr(hf_text_peek(&error), " belongs to ");
            const char *found = strstr(hf_text_peek(&help), hf_text_peek(&listed));
            while (found && found[listed.length] == '-') /* the start of a longer name */
                found = strstr(found + 1, hf_text_peek(&listed));
            if (elsewhere == (found != NULL))
                fail_msg("%s --help and --%s", hf_verb_name(verb), options[i]);
        }
    }
}

/* What a first reader needs fits on a screen. */
static void short_help_of_run(void **state)
{
    (void)state;
    const HfVerb verbs[] = {HF_VERB_RUN, HF_VERB_CHECK};
    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_TEXT HfText help = {0};
        size_t n = 0;
        hf_options_help(&verbs[i], false, &help);
        assert_columns(hf_text_peek(&help));
        for (const char *at = hf_text_peek(&help); (at = strstr(at, "\n     --")); at++)
            n++;
        assert_in_range(n, 10, 12);
        assert_non_null(strstr(hf_text_peek(&help), " --canary="));
        assert_null(strstr(hf_text_peek(&help), " --backoff-max="));
        assert_non_null(strstr(hf_text_peek(&help), i == 0
                                                        ? " options: holdfast run --help=all\n"
                                                        : " options: holdfast check --help=all\n"));
    }
    HfVerb verb = HF_VERB_EXEC;
    HF_CLEANUP_TEXT HfText help = {0};
    hf_options_help(&verb, false, &help);
    assert_null(strstr(hf_text_peek(&help), "--help=all\n"));
}

static void help_tells_the_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        const char *entry;
    } cases[] = {
        {"--ready-timeout=TIME", "(default: 1min)"},
        {"--drain-timeout=TIME", "(default: 30s)"},
        {"--ready=auto|notify|pidfile|delay:TIME|log:TEXT", "(default: auto)"},
        {"--handover=auto|switch|gentle|at-once", "(default: auto)"},
        {"--max-draining=N", "(default: 4)"},
        {"--recycle-every=TIME|never", "(default: never)"},
        {"--recycle-memory=BYTES|never", "(default: never)"},
        {"--recycle-check=TIME", "(default: 30s)"},
        {"--probe=fastcgi:/PATH|http:/PATH|tcp|exec:COMMAND|none", "(default: none)"},
        {"--probe-every=TIME", "(default: 10s)"},
        {"--probe-timeout=TIME", "(default: 5s)"},
        {"--probe-failures=N", "(default: 3)"},
        {"--probe-hung-after=TIME|never", "(default: never)"},
        {"--busy-after=TIME|never", "(default: 10s)"},
        {"--adapter=auto|php-fpm|php-cgi|generic", "(default: auto)"},
        {"--handoff=auto|listen-fds|php-fpm|stdin", "(default: auto)"},
        {"--listen=ADDR[,KEY=VALUE...]", "(default: those that systemd passed)"},
        {"--name=NAME", "(default: COMMAND's base name)"},
        {"--directory=DIR", "(default: where holdfast was started)"},
        {"-h --help[=all]", "Print this help, or all options"},
    };
    const HfVerb verb = HF_VERB_RUN;
    HF_CLEANUP_TEXT HfText help = {0};
    hf_options_help(&verb, true, &help);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_TEXT HfText entry = {0};
        find_entry(hf_text_peek(&help), cases[i].option, &entry);
        if (!strstr(hf_text_peek(&entry), cases[i].entry))
            fail_msg("no %s in %s", cases[i].entry, hf_text_peek(&entry));
    }
}

static void overview_lists_verbs_and_examples(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText help = {0};
    hf_options_help(NULL, false, &help);
    const char *text = hf_text_peek(&help);

    assert_columns(text);
    for (HfVerb verb = 0; verb < HF_VERB_MAX_; verb++) {
        HF_CLEANUP_TEXT HfText entry = {0};
        hf_text_addf(&entry, "\n  %s  ", hf_verb_name(verb));
        assert_non_null(strstr(text, hf_text_peek(&entry)));
    }
    assert_non_null(strstr(text, "\n  holdfast run -- php-fpm8.2\n"));
    assert_non_null(strstr(text, "\n  holdfast run --listen=127.0.0.1:8000 -- ./server\n"));
    assert_non_null(strstr(text, "  -h --help[=all]"));
    assert_non_null(strstr(text, "  -V --version "));
    assert_null(strstr(text, "--name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_lines_say_what_to_do),
        cmocka_unit_test(bad_listeners_say_what_to_do),
        cmocka_unit_test(long_values_are_refused_and_cut),
        cmocka_unit_test(long_echoes_keep_characters_whole),
        cmocka_unit_test(run_takes_all_its_options),
        cmocka_unit_test(run_takes_how_a_generation_is_replaced),
        cmocka_unit_test(probe_takes_an_address_between_its_options),
        cmocka_unit_test(run_takes_how_health_is_seen),
        cmocka_unit_test(never_and_the_defaults_are_the_same),
        cmocka_unit_test(defaults_stay_without_options),
        cmocka_unit_test(good_lines_are_taken),
        cmocka_unit_test(last_setting_of_a_listener_counts),
        cmocka_unit_test(listeners_take_socket_options),
        cmocka_unit_test(calls_take_a_name),
        cmocka_unit_test(help_and_version_need_nothing_else),
        cmocka_unit_test(verbs_have_their_names),
        cmocka_unit_test(no_argv_at_all),
        cmocka_unit_test(listeners_are_bounded),
        cmocka_unit_test(huge_words_are_refused),
        cmocka_unit_test(help_lists_what_the_verb_takes),
        cmocka_unit_test(short_help_of_run),
        cmocka_unit_test(help_tells_the_defaults),
        cmocka_unit_test(overview_lists_verbs_and_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
