# SPDX-License-Identifier: MIT
"""What the soak shakes: php-fpm with a pool on a port and one on a path, an nginx before each, below a holdfast whose
sockets its manager keeps; logs and runtime directory on small disks."""
import ctypes
import os
import resource
import subprocess
import uuid

from harness import net, process
from harness.cgroup import counted
from harness.manager import ManagedHoldfast
from harness.nginx import Nginx
from harness.paths import HOLDFAST, RUNTIME
from harness.phpfpm import Pool
from harness.site import Site

from soak import processes
from soak.journal import Journal
from soak.ledger import Ledger

CLONE_NEWNS = 0x20000
CHILDREN = 10
SLOWEST_MS = 2000
FILES = 1024  # soft limit, as systemd sets it
# Below what a client of the load waits, so that who is ended or refused in an outage is seen to be.
OPTIONS = ["--ready-timeout=15s", "--backoff-max=1s", "--busy-after=25s", "--park=1s"]


def separate_mounts():
    """What is mounted from here on goes with the soak."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def mount_small(path, size):
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "soak", str(path)], check=True)
    return path


class Testbed:
    def __init__(self, options):
        separate_mounts()
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        tag = uuid.uuid4().hex[:8]
        self.runtime_disk = mount_small(RUNTIME, "1m")
        self.site = site = Site(pools=[Pool(f"127.0.0.1:{net.free_port()}", f"port-{tag}", CHILDREN)])
        self.log_disk = mount_small(site.directory / "logs", "64m")
        self.holdfast_log = self.log_disk / "holdfast.log"
        site.error_log = self.log_disk / "fpm.log"
        site.pools.append(Pool(str(site.directory / "fpm.sock"), f"path-{tag}", CHILDREN))
        for pool in site.pools:
            pool.options["access.log"] = self.log_disk / f"{pool.name}.access"
        site.configure()
        self.journal = Journal(site)
        self.ledger = Ledger(self.journal)
        self.group = counted()
        trial = ["--canary=fastcgi:/hello.php", f"--canary-root={site.root}"]
        self.holdfast = ManagedHoldfast(site, *OPTIONS, *trial, group=self.group)
        self.holdfast.wrapper = ["/bin/sh", "-c", f'exec "$0" "$@" 2>>{self.holdfast_log}']
        self.nginxes = []
        self.options = options

    def start(self):
        self.holdfast.start()
        for name, pool in zip(("port", "path"), self.site.pools):
            directory = self.site.directory / f"nginx-{name}"
            directory.mkdir()
            nginx = Nginx(directory, self.site.root, pool.listen)
            self.nginxes.append(nginx)
            self.ledger.follow(nginx.url, name[:2], rate=self.options.rate / 2, slow_share=0.05, timeout=40,
                               slow_path=f"/soak.php?id={name[:2]}{{n}}&ms={SLOWEST_MS}")

    def stop(self):
        """Everything is answered, then holdfast ends: what is left, in words."""
        for load in self.ledger.loads:
            load.stop()
        self.holdfast.stop()
        process.reap_strays()
        left = [f"left behind: process {pid} {process.command_line(pid)}" for pid in process.strays()]
        return left + [f"left behind: {path}" for path in self.runtime_disk.iterdir()]

    def close(self):
        try:
            for load in self.ledger.loads:
                load.abandon()
            if self.holdfast.process:
                self.holdfast.process.stop(9)
        finally:
            process.end_strays()
            self.end_group()
            for nginx in self.nginxes:
                nginx.close()
            self.holdfast.store.quit()
            self.journal.close()
            if self.group:
                self.group.close()
            subprocess.run(["umount", "--lazy", str(self.log_disk)], check=False)
            self.site.close()

    def end_group(self):
        """Whoever is left in it, its holdfast dead, became our child."""
        for pid in self.group.processes() if self.group else []:
            with processes.hold(pid) as held:
                if held:
                    processes.kill(held)
        process.reap_strays()

    def logs(self):
        """{name: file that tells what happened}"""
        files = [*self.log_disk.glob("*.log"), self.site.marks / "journal"]
        return {**{file.name: file for file in files},
                **{f"{nginx.directory.name}.log": nginx.directory / "nginx.log" for nginx in self.nginxes}}
