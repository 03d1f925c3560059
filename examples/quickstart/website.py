# SPDX-License-Identifier: MIT
"""A web site in a temporary directory: a PHP page, nginx, and php-fpm by itself or behind holdfast."""
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

import live

HOST = "127.0.0.1"
WORKERS = 8
START_SECONDS = 30
STOP_SECONDS = 40

PAGES = {
    "index.php": """<?php
header('Content-Type: text/plain');
echo 'Hello from worker ', getmypid(), ' of php-fpm ', posix_getppid(), "\\n";
""",
    "busy.php": """<?php
$end = microtime(true) + $_GET['ms'] / 1000;
while (microtime(true) < $end) {
    usleep(5000);
}
echo "done\\n";
""",
}

# process_control_timeout is not set: so does Debian.
PHP_FPM_CONF = """[global]
pid = {directory}/php-fpm.pid
error_log = {directory}/php-fpm.log

[www]
user = www-data
group = www-data
listen = {address}
pm = static
pm.max_children = {workers}
"""

NGINX_CONF = """daemon off;
user www-data;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    proxy_temp_path {directory}/nginx-proxy;
    scgi_temp_path {directory}/nginx-scgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    server {{
        listen {web};
        root {directory}/www;
        index index.php;
        location / {{ }}
{live}        location ~ \\.php$ {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass {address};
        }}
    }}
}}
"""


class Failure(Exception):
    """An error for people; the demonstration cannot continue."""


def listen(port):
    """A socket that listens at the port; OSError if the port is taken."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(4096)
    except OSError:
        listener.close()
        raise
    return listener


def listen_near(holdfast, port):
    """The same at the port or, saying so, at a free one above it."""
    try:
        return listen(port)
    except OSError:
        pass
    for other in range(port + 1, port + 1000):
        try:
            listener = listen(other)
        except OSError:
            continue
        print(f"{explain_taken(holdfast, port)}; this demonstration uses {HOST}:{other} instead", flush=True)
        return listener
    raise Failure(f"{HOST}:{port} and the ports above it are taken")


def explain_taken(holdfast, port):
    """holdfast can say who holds an address."""
    address = f"{HOST}:{port}"
    check = subprocess.run([holdfast, "check", f"--listen={address}", "--", "true"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    for line in check.stdout.splitlines():
        if line.startswith(f"Problem: {address} is in use"):
            return line.removeprefix("Problem: ").partition(";")[0]
    return f"{address} is in use"


def end(process, number=signal.SIGTERM):
    """Ends a child, politely first."""
    if process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Site:
    """Everything below a directory that is removed in the end. close() ends what was started."""

    def __init__(self, holdfast, php_fpm):
        self.holdfast_path, self.php_fpm_path = holdfast, php_fpm
        self._directory = tempfile.TemporaryDirectory(prefix="holdfast-quickstart-")
        self.directory = pathlib.Path(self._directory.name)
        self.children = []
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self):
        self.directory.chmod(0o755)
        self.name = "quickstart"
        if os.path.lexists(f"/run/holdfast/{self.name}"):
            self.name += f"-{os.getpid()}"
        self.log = self.directory / "holdfast.log"
        self.configuration = self.directory / "php-fpm.conf"
        (self.directory / "www").mkdir()
        for name, text in PAGES.items():
            (self.directory / "www" / name).write_text(text)
        # Both are chosen before either is given back, or they could be the same.
        with listen_near(self.holdfast_path, 8080) as web, listen_near(self.holdfast_path, 9000) as backend:
            self.url = "http://{}:{}".format(*web.getsockname())
            self.address = "{}:{}".format(*backend.getsockname())
            self._start_nginx(web)
        self.configuration.write_text(PHP_FPM_CONF.format(
            directory=self.directory, address=self.address, workers=WORKERS))

    def _start_nginx(self, web):
        path = self.directory / "nginx.conf"
        path.write_text(NGINX_CONF.format(
            directory=self.directory, web="{}:{}".format(*web.getsockname()), address=self.address,
            live=live.NGINX.format(directory=self.directory)))
        # nginx takes over a socket that is open already as from an older nginx: nobody else can get the port.
        self.spawn(["nginx", "-e", "stderr", "-p", self.directory, "-c", path],
                   self.directory / "nginx.log", pass_fds=[web.fileno()], NGINX=f"{web.fileno()};")

    def spawn(self, command, log, pass_fds=(), **variables):
        with open(log, "ab") as stderr:
            # A session of its own: Ctrl-C reaches only us, and we end the children in order.
            child = subprocess.Popen([str(word) for word in command], env={**os.environ, **variables},
                                     stdin=subprocess.DEVNULL, stderr=stderr, pass_fds=pass_fds,
                                     start_new_session=True)
        self.children.append(child)
        return child

    def _start(self, command, log):
        """A child that has said READY=1 (sd_notify(3)); None when it ended instead."""
        path = self.directory / "notify"
        # Only for the start: nobody reads it later.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            try:
                child = self.spawn(command, log, NOTIFY_SOCKET=str(path))
                if self._await_ready(child, notify):
                    return child
            finally:
                path.unlink()
        self.children.remove(child)
        return None

    @staticmethod
    def _await_ready(child, notify):
        """Until READY=1 comes: True, or until the child ends: False."""
        pidfd = os.pidfd_open(child.pid)
        deadline = time.monotonic() + START_SECONDS
        try:
            while (left := deadline - time.monotonic()) > 0:
                readable, _, _ = select.select([notify, pidfd], [], [], left)
                if notify in readable and b"READY=1" in notify.recv(4096).split(b"\n"):
                    return True
                if pidfd in readable and notify not in readable:
                    child.wait()
                    return False
            raise Failure(f"{child.args[0]} is not ready after {START_SECONDS} s")
        finally:
            os.close(pidfd)

    def start_plain(self):
        """php-fpm by itself. None when it does not come up."""
        return self._start([self.php_fpm_path, "-F", "-y", self.configuration], self.directory / "php-fpm.stderr")

    def restart_plain(self, old):
        """As an old cron script: ask it to stop, start at once, again until that works."""
        old.send_signal(signal.SIGQUIT)
        deadline = time.monotonic() + START_SECONDS
        while (new := self.start_plain()) is None:
            if time.monotonic() > deadline:
                raise Failure(f"php-fpm does not start:\n{self.tail('php-fpm.stderr')}")
        end(old, signal.SIGKILL)
        self.children.remove(old)
        return new

    def start_holdfast(self):
        child = self._start([self.holdfast_path, "run", f"--name={self.name}", "--", self.php_fpm_path, "-y",
                             self.configuration], self.log)
        if child is None:
            raise Failure(f"holdfast does not start:\n{self.tail(self.log.name)}")
        return child

    def call_holdfast(self, verb):
        called = subprocess.run([self.holdfast_path, verb, f"--name={self.name}"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False)
        if called.returncode != 0:
            raise Failure(f"holdfast {verb} failed:\n{called.stderr}{self.tail(self.log.name)}")

    def end(self, child, number=signal.SIGTERM):
        end(child, number)
        self.children.remove(child)

    def tail(self, name):
        try:
            return "\n".join((self.directory / name).read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""

    def close(self):
        for child in reversed(self.children):
            end(child)
        self._directory.cleanup()
