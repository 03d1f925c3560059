# SPDX-License-Identifier: MIT
"""Front ends with the very files of examples/: only port, root and php-fpm's address are replaced."""
import os
import shutil
import signal
import subprocess

import pytest

from harness import net
from harness.lines import Lines
from harness.paths import ROOT
from harness.process import PATH, Process, environment, reap_strays

EXAMPLES = ROOT / "examples"
DOCUMENTS = "/srv/www/current/public"


class FrontEnd:
    """Serves root at url until it is closed. backend: HOST:PORT or an absolute path; marks: of the lines that are
    wanted, too."""

    optional = None  # a program without which its tests are skipped, but in CI
    example = None  # below examples/
    listen = None   # what says port 80 there, and with {} what says another
    ready = None    # said when it listens
    main = None     # the configuration around it
    php = "127.0.0.1:9000"  # php-fpm there; tcp and unix: others
    tcp = "{host}:{port}"
    unix = None
    repeats_posts = False  # also with the mark keep-alive alone

    def __init__(self, directory, root, backend, marks=()):
        if self.optional and not shutil.which(self.optional, path=PATH):
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{self.optional} is not installed")
        self.main_path = directory / "main.conf"
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (directory / "site.conf").write_text(self.site(root, backend, marks))
        self.main_path.write_text(self.main.replace("DIRECTORY", str(directory)).replace("PORT", str(self.port)))
        self.process = Process(self.command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=environment(HOME=str(directory)))
        self.lines = Lines(self.process.popen.stderr)
        self.lines.wait(self.ready)

    def site(self, root, backend, marks):
        text = (EXAMPLES / self.example).read_text()
        host, _, port = backend.rpartition(":")
        php = self.unix.format(backend) if backend.startswith("/") else self.tcp.format(host=host, port=port)
        words = [(self.listen[0], self.listen[1].format(self.port)), (DOCUMENTS, str(root)), (self.php, php),
                 *((f"#{mark}: ", "") for mark in marks)]
        for old, new in words:
            assert old in text, f"{self.example}: {old}"
            text = text.replace(old, new)
        # the second way of Apache's
        return text.replace("localhost:9000", f"localhost:{port}")

    def command(self):
        raise NotImplementedError

    def close(self):
        self.process.stop(signal.SIGTERM)
        self.lines.join()
        # HAProxy's worker outlives its master.
        reap_strays()


class Nginx(FrontEnd):
    example = "nginx/php.conf"
    listen = ("listen 80;", "listen 127.0.0.1:{};")
    unix = "unix:{}"
    ready = "start worker processes"
    main = """
daemon off;
user www-data;
worker_processes 1;
pid DIRECTORY/nginx.pid;
error_log stderr notice;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path DIRECTORY/nginx-body;
    fastcgi_temp_path DIRECTORY/nginx-fastcgi;
    proxy_temp_path DIRECTORY/nginx-proxy;
    scgi_temp_path DIRECTORY/nginx-scgi;
    uwsgi_temp_path DIRECTORY/nginx-uwsgi;
    include DIRECTORY/site.conf;
}
"""

    def command(self):
        return ["nginx", "-e", "stderr", "-c", self.main_path]


class Apache(FrontEnd):
    example = "frontends/apache.conf"
    listen = ("*:80>", "*:{}>")
    php = "fcgi://127.0.0.1:9000"
    tcp = "fcgi://{host}:{port}"
    unix = "unix:{}|fcgi://php"
    ready = "resuming normal operations"
    repeats_posts = True
    # One process, so that max= of the example is all that it keeps.
    main = """
ServerRoot /usr/lib/apache2
ServerName localhost
DefaultRuntimeDir DIRECTORY
PidFile DIRECTORY/apache2-pid
ErrorLog /dev/stderr
User www-data
Group www-data
Listen 127.0.0.1:PORT
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so
LoadModule proxy_balancer_module modules/mod_proxy_balancer.so
LoadModule lbmethod_byrequests_module modules/mod_lbmethod_byrequests.so
LoadModule slotmem_shm_module modules/mod_slotmem_shm.so
StartServers 1
ServerLimit 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
Include DIRECTORY/site.conf
"""

    def command(self):
        return ["apache2", "-DFOREGROUND", "-f", self.main_path]


class Lighttpd(FrontEnd):
    example = "frontends/lighttpd.conf"
    listen = ("server.port = 80", "server.port = {}")
    php = '"host" => "127.0.0.1", "port" => 9000'
    tcp = '"host" => "{host}", "port" => {port}'
    unix = '"socket" => "{}"'
    ready = "server started"
    main = """
server.bind = "127.0.0.1"
server.username = "www-data"
server.groupname = "www-data"
include "DIRECTORY/site.conf"
"""

    def command(self):
        return ["lighttpd", "-D", "-f", self.main_path]


class Haproxy(FrontEnd):
    example = "frontends/haproxy.cfg"
    listen = ("bind :80", "bind 127.0.0.1:{}")
    unix = "unix@{}"
    ready = "Loading success"
    # One thread, so that each request finds what another has left.
    main = """
global
    nbthread 1
    user www-data
    group www-data
    log stderr local0
defaults
    log global
"""

    def command(self):
        return ["haproxy", "-W", "-f", self.main_path, "-f", self.main_path.with_name("site.conf")]


class Caddy(FrontEnd):
    optional = "caddy"  # not every mirror of Debian has it
    example = "frontends/Caddyfile"
    listen = (":80 {", "http://127.0.0.1:{} {{")
    unix = "unix/{}"
    ready = "serving initial configuration"
    main = """
{
    admin off
}
import DIRECTORY/site.conf
"""

    def command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.main_path]


FRONT_ENDS = {"nginx": Nginx, "apache": Apache, "lighttpd": Lighttpd, "haproxy": Haproxy, "caddy": Caddy}
