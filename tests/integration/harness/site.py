# SPDX-License-Identifier: MIT
"""A web site in a temporary directory: configuration, pages, nginx, and whatever serves them."""
import http.client
import os
import pathlib
import shutil
import tempfile
import threading
import uuid

from harness import net, scripts
from harness.holdfast import Holdfast
from harness.nginx import Nginx
from harness.paths import HOLDFAST, PHP_FPM
from harness.phpfpm import PlainPhpFpm, Pool, configuration
from harness.process import PATH
from harness.tools import Load, UnixProbe
from harness.wait import DEADLINE, Appearance, NotifySocket


class Answer(threading.Thread):
    """A request under way in the background."""

    def __init__(self, site, path):
        super().__init__(daemon=True)
        self.site, self.path = site, path
        self.result = None
        self.worker = self.mark = None
        self.start()

    def run(self):
        try:
            self.result = self.site.get(self.path)
        except (OSError, http.client.HTTPException) as problem:
            self.result = (0, str(problem))

    def done(self):
        return self.result is not None

    def finish(self):
        """Lets a slow request end: (status, body)"""
        with open(self.mark.with_suffix(".end"), "rb+", buffering=0) as bell:
            bell.write(b"x")
            return self.get()

    def get(self):
        """(status, body)"""
        self.join(DEADLINE)
        assert self.result is not None, f"{self.path}: no answer"
        return self.result


class Site:
    def __init__(self, listen="tcp", pools=None, children=16, pool_options=None, **options):
        """listen: tcp, unix or the value itself; pools: instead of the one; options: of [global]."""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.root = self.directory / "www"
        self.root.mkdir(mode=0o755)
        scripts.write(self.root)
        self.marks = self.directory / "marks"
        self.marks.mkdir()
        self.marks.chmod(0o777)
        self.error_log = self.directory / "fpm.log"
        self.configuration_path = self.directory / "php-fpm.conf"
        self.program = self.directory / "php-fpm"
        self.notify = NotifySocket(self.directory / "notify")
        if listen == "tcp":
            listen = f"127.0.0.1:{net.free_port()}"
        elif listen == "unix":
            listen = str(self.directory / "fpm.sock")
        self.pools = pools or [Pool(listen, children=children, options=pool_options or {})]
        self.options = options
        self.address = self.pools[0].listen
        self._nginx = None
        self._closing = []
        self.instances = []
        self.configure()

    def configure(self, **options):
        """Writes the configuration again, with other [global] options. Who reads it meanwhile finds it whole."""
        self.options.update(options)
        lines = {"error_log": self.error_log, **self.options}
        written = self.configuration_path.with_suffix(".new")
        written.write_text(configuration(self.pools, **lines))
        written.rename(self.configuration_path)

    def break_configuration(self):
        """As a bad deploy does. configure() repairs it."""
        with open(self.configuration_path, "a") as stream:
            stream.write("no_such_setting = 1\n")

    @property
    def command(self):
        """php-fpm by a path that break_program() can turn."""
        if not self.program.is_symlink():
            self.repair_program()
        return [self.program, "-y", self.configuration_path]

    def break_program(self):
        """As a broken package does: no php-fpm can be started, by whatever configuration. repair_program() repairs it."""
        broken = self.directory / "broken"
        # No "#!/bin/sh": that opens the link once more, which may lead to php-fpm again by then, and reads it as a script.
        broken.write_text("""#!/usr/bin/env -S sh -c 'echo "php-fpm: error while loading shared libraries: libxml2.so.2" >&2; exit 127'\n""")
        broken.chmod(0o755)
        self._turn(broken)

    def repair_program(self):
        self._turn(shutil.which(PHP_FPM, path=PATH))

    def _turn(self, target):
        turned = self.program.with_suffix(".new")
        turned.symlink_to(target)
        turned.rename(self.program)

    @property
    def nginx(self):
        if self._nginx is None:
            self._nginx = Nginx(self.directory, self.root, self.address)
        return self._nginx

    def serve_by(self, front_end, backend=None, marks=()):
        """Something of harness.frontends in the place of nginx; backend: in the place of the first pool."""
        self._nginx = front_end(self.directory, self.root, backend or self.address, marks)
        self.instances.append(self._nginx)
        return self._nginx

    @property
    def url(self):
        return self.nginx.url

    def get(self, path="/hello.php", method="GET"):
        """(status, body) through nginx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=DEADLINE)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("latin-1")
        finally:
            connection.close()

    def get_later(self, path):
        """The same in the background."""
        return Answer(self, path)

    def without_privilege(self, *more):
        """Where and how a holdfast of www-data's runs, as options of holdfast(): in a home where that user may read it and
        make sockets, whatever the rights of the checkout. more: options of setpriv."""
        home = self.directory / "user"
        runtime = home / "run"
        runtime.mkdir(parents=True)
        program = home / "holdfast"
        shutil.copy(HOLDFAST, program)
        for where in (home, runtime, program):
            shutil.chown(where, "www-data", "www-data")
        return {"env": {"XDG_RUNTIME_DIR": str(runtime)}, "runtime": runtime / "holdfast",
                "wrapper": ("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", *more, program)}

    def start_slow(self, ms=DEADLINE * 1000, page="busy.php?"):
        """A slow request that a worker has begun with; its pid is in worker. It ends after ms, or by finish()."""
        mark = self.marks / uuid.uuid4().hex
        os.mkfifo(mark.with_suffix(".end"))
        mark.with_suffix(".end").chmod(0o666)
        with Appearance(mark) as appearance:
            answer = self.get_later(f"/{page}&ms={ms}&mark={mark.name}")
            appearance.wait()
        answer.worker, answer.mark = int(mark.read_text()), mark
        return answer

    def main_pid(self):
        """Pid of the php-fpm master that answers."""
        status, body = self.get()
        assert status == 200, f"{status} {body}"
        return int(body.split()[1])

    def at_close(self, close):
        """Calls it before nginx is ended, the newest first."""
        self._closing.append(close)

    def load(self, **options):
        tool = Load(self.url, **options)
        self._closing.append(tool.abandon)
        return tool

    def unix_probe(self):
        tool = UnixProbe(self.address)
        self._closing.append(tool.abandon)
        return tool

    def plain(self):
        server = PlainPhpFpm(self)
        self._closing.append(server.close)
        return server

    def holdfast(self, *options, command=None, **more):
        """A `holdfast run` that is ready."""
        instance = Holdfast(self, options, command, **more)
        self.instances.append(instance)
        self._closing.append(instance.close)
        instance.start()
        return instance

    def ports(self):
        """TCP ports of the pools."""
        return [int(pool.listen.rpartition(":")[2]) for pool in self.pools if not pool.listen.startswith("/")]

    def snapshot(self, log=True):
        """Every file of the site, php-fpm's log only with log: what it is and when it changed."""
        facts = {}
        for path in sorted(self.directory.rglob("*")):
            if path == self.error_log and not log:
                continue
            status = path.lstat()
            facts[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_size,
                                None if path.is_dir() else status.st_mtime_ns)
        return facts

    def close(self):
        try:
            for close in reversed(self._closing):
                close()
        finally:
            if self._nginx:
                self._nginx.close()
            self.notify.close()
            shutil.rmtree(self.directory)
