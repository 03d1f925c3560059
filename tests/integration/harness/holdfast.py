# SPDX-License-Identifier: MIT
"""`holdfast run` as a supervisor sees it."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess

from harness import net, process, words
from harness.lines import Lines
from harness.paths import HOLDFAST, PHP_FPM, RUNTIME
from harness.process import Process, environment
from harness.wait import DEADLINE


def call(*arguments, **more):
    """Any other holdfast command, to its end."""
    return subprocess.run([str(HOLDFAST), *map(str, arguments)], env=environment(**more), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=DEADLINE, check=False)


class Holdfast:
    def __init__(self, site, options, command, wrapper=(HOLDFAST,), env=None, runtime=RUNTIME, named=True,
                 stdout=None, stdin=subprocess.DEVNULL):
        """command: None for the site's php-fpm, [] for none; wrapper: how the program is called; runtime: where its
        runtime directory comes to be; named: by --name, else by a file; stdout: of it and the service; stdin: its own."""
        if command is None:
            command = [PHP_FPM, "-y", site.configuration_path]
        self.site = site
        self.runtime = runtime / site.name
        self.command = [*wrapper, "run", *([f"--name={site.name}"] if named else []), *options,
                        *(["--", *command] if command else [])]
        self.env = env or {}
        self.stdout, self.stdin = stdout, stdin
        self.process = None
        self.lines = None

    def launch(self):
        self.process = Process(self.command, stdout=self.stdout, stderr=subprocess.PIPE, stdin=self.stdin,
                               start_new_session=True, env=environment(NOTIFY_SOCKET=str(self.site.notify.path), **self.env))
        self.lines = Lines(self.process.popen.stderr)

    def start(self):
        self.launch()
        try:
            self.site.notify.wait("READY=1", self.process.ended)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it said:\n{self.lines.text()}") from None

    @property
    def pid(self):
        return self.process.pid

    def send(self, number):
        self.process.send(number)

    def wait(self, pattern, since=0):
        return self.lines.wait(pattern, since)

    def mark(self):
        """Where the log is now, for wait(since=)."""
        return len(self.lines.list)

    def call(self, verb, *arguments):
        return call(verb, f"--name={self.site.name}", *arguments)

    def reload(self, number, how=signal.SIGHUP):
        """Reloads by a signal and waits until generation number is active."""
        self.send(how)
        self.wait(words.reloaded(number))

    def replace(self, number, how=signal.SIGHUP):
        """Reloads and waits until the generation before is gone, too: only the new one answers."""
        self.reload(number, how)
        self.wait(words.gone(number - 1))

    @contextlib.contextmanager
    def settled(self):
        """Whatever was logged or announced until now has also been carried out: holdfast does one thing at a time, and here
        it answers the D-Bus handshake. The connection stays open until the end."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(DEADLINE)
            control.connect(str(self.runtime / "control"))
            control.sendall(b"\0AUTH EXTERNAL 30\r\n")
            answer = control.recv(4096)
            assert answer.startswith(b"OK "), answer
            yield

    def settle(self):
        with self.settled():
            pass

    def restart(self):
        result = self.call("restart")
        assert result.returncode == 0, result.stderr

    def stop(self, number=signal.SIGTERM):
        """Stops with drain; nothing may be left."""
        status = self.process.stop(number)
        left = self.residue()
        assert not left, f"left behind: {left}; the log:\n{self.lines.text()}"
        self.lines.join()
        assert status == 0, f"status {status}; the log:\n{self.lines.text()}"

    def residue(self):
        """Everything that is left of an instance that has ended."""
        left = [f"process {pid} {process.command_line(pid)}" for pid in process.strays()]
        process.reap_strays()
        left += [f"file {path}" for path in (self.runtime,) if os.path.lexists(path)]
        left += [f"port {port} listens" for port in self.site.ports() if net.listening(port)]
        paths = [path for path in net.unix_paths() if path.startswith(f"{self.site.directory}/")]
        left += [f"socket {path}" for path in paths if path != self.site.notify.path]
        left += [f"file {path}" for path in self.site.directory.rglob("*")
                 if path.is_socket() and str(path) != self.site.notify.path or path.suffix == ".pid"
                 and path.name != "nginx.pid"]
        return left

    def close(self):
        """For the end of a test: stops it if it still runs, and ends what is left after a failure."""
        try:
            if self.process and self.process.running():
                self.stop()
        finally:
            if self.process and self.process.running():
                self.process.stop(signal.SIGKILL)
            process.end_strays()
            shutil.rmtree(self.runtime, ignore_errors=True)
