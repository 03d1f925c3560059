# SPDX-License-Identifier: MIT
"""supervisord's fcgi-program, which holds the socket of a group of php-cgi processes while one of them runs."""
import signal
import subprocess

from contenders.contender import Contender
from harness.lines import Lines
from harness.paths import PHP_CGI
from harness.process import Process, environment

FOREGROUND = """\
[supervisord]
nodaemon = true
user = root
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {directory}/supervisord.pid
"""

CONFIGURATION = FOREGROUND + """
[unix_http_server]
file = {directory}/supervisord.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{directory}/supervisord.sock

[fcgi-program:php]
socket = {socket}
command = {command}
environment = PHP_FCGI_MAX_REQUESTS="0"
process_name = %(process_num)d
numprocs = {children}
user = www-data
stdout_logfile = NONE
stderr_logfile = NONE
"""


class Supervisord(Contender):
    name = "supervisord"
    note = ("fcgi-program with as many php-cgi, supervisorctl restart php:*, which stops them all, closes the socket "
            "with the last one, and takes the next ones for started after startsecs, 1 s")
    programs = {"supervisord": "supervisor", PHP_CGI: "php8.2-cgi"}

    def start(self):
        pool, = self.site.pools
        unix = pool.listen.startswith("/")
        self.configuration = self.site.directory / "supervisord.conf"
        self.configuration.write_text(CONFIGURATION.format(
            directory=self.site.directory, command=PHP_CGI, children=pool.children,
            socket=f"unix://{pool.listen}\nsocket_owner = www-data" if unix else f"tcp://{pool.listen}"))
        self.process = Process(["supervisord", "-c", self.configuration], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.site.at_close(lambda: self.process.stop(signal.SIGTERM))
        self.lines = Lines(self.process.popen.stdout)
        for number in range(pool.children):
            self.lines.wait(f"success: {number} entered RUNNING state")

    def replace(self):
        result = subprocess.run(["supervisorctl", "-c", self.configuration, "restart", "php:*"], env=environment(),
                                capture_output=True, text=True, check=False)
        if result.returncode:
            raise AssertionError(f"supervisorctl restart: {result.stdout}{result.stderr}")

    def stop(self):
        self.process.stop(signal.SIGTERM)
