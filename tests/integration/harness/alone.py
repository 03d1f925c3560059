# SPDX-License-Identifier: MIT
"""A view of the machine without its instances."""
import os
import subprocess

from harness import net, words
from harness.lines import Lines
from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.sleeper import COMMAND
from harness.wait import DEADLINE


class Alone:
    """/run is empty but for /run/holdfast and what users have: no other instance runs. Users: numbers, each with a
    /run/user/UID of its own."""

    def __init__(self, users=(), program=HOLDFAST):
        self.program = str(program)
        made = "".join(f" && mkdir -p /run/user/{uid}/holdfast && chown -R {uid} /run/user/{uid}" for uid in users)
        self.holder = Process(["unshare", "--mount", "sh", "-c",
                               f"mount -t tmpfs none /run && mkdir /run/holdfast{made} && echo && exec sleep infinity"],
                              env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.popen.stdout.readline() == b"\n"
        self.instances = []

    def close(self):
        for instance in self.instances:
            instance.stop()
        self.holder.stop()
        self.holder.popen.stdout.close()

    def root(self):
        """Its file system, from outside."""
        return f"/proc/{self.holder.pid}/root"

    def enter(self, uid=0):
        """The words before a command that is to run there."""
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["nsenter", f"--target={self.holder.pid}", "--mount", f"--wd={os.sep}", "--", *user]

    def call(self, *arguments, uid=0, **more):
        return subprocess.run([*self.enter(uid), self.program, *arguments], env=environment(**more),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False)

    def run(self, name, uid=0, **more):
        port = net.free_port()
        instance = Process([*self.enter(uid), self.program, "run", f"--name={name}", f"--listen=127.0.0.1:{port}",
                            "--ready=delay:1ms", "--", *COMMAND], env=environment(**more), stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
        self.instances.append(instance)
        instance.lines = Lines(instance.popen.stderr)
        instance.lines.wait(words.ready(1))
        return instance
