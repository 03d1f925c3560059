# SPDX-License-Identifier: MIT
"""The helper programs as objects: load and unix probe."""
import json
import os
import signal
import subprocess

from harness.paths import HELPERS, PYTHON
from harness.process import Process, environment
from harness.wait import DEADLINE, readable


class Tool:
    """A helper that runs until it is stopped and then prints one JSON object."""

    allowed = True

    def __init__(self, command, **options):
        assert self.allowed, "a test that drives load is marked so: pytest.mark.load"
        self.process = Process([PYTHON, *command], stdout=subprocess.PIPE, env=environment(),
                               start_new_session=True, **options)
        self.result = None

    def stop(self):
        """Ends it and gives its result. May be called again."""
        if self.result is None:
            self.process.send(signal.SIGTERM)
        return self.finish()

    def finish(self):
        """Its result at its own end."""
        if self.result is None:
            output = self.process.popen.stdout.read()
            self.process.popen.stdout.close()
            assert self.process.wait() == 0, f"{self.process.popen.args} failed"
            self.result = json.loads(output.splitlines()[-1])
        return self.result

    def abandon(self):
        if self.result is None:
            self.process.popen.stdout.close()
            self.process.stop(signal.SIGKILL)


class Load(Tool):
    """Requests at a fixed rate, with slow ones under way from the beginning."""

    def __init__(self, url, rate=200, slow_share=0.05, **options):
        self.ready, writer = os.pipe()
        words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
                 for name, values in options.items() for value in (values if isinstance(values, list) else [values])]
        super().__init__([HELPERS / "load.py", url, f"--rate={rate}", f"--slow-share={slow_share}", "--ledger",
                          f"--ready-fd={writer}", *words], pass_fds=[writer])
        os.close(writer)
        readable([self.ready], "first slow answer to the load", DEADLINE)
        os.close(self.ready)

    def finish(self):
        result = super().finish()
        if result["ledger"] and not isinstance(result["ledger"][0], dict):
            result["ledger"] = [dict(zip(result["columns"], entry)) for entry in result["ledger"]]
        return result

    def failed(self):
        """Every request that was not answered with 200, whole."""
        return [entry for entry in self.stop()["ledger"] if entry["error"] or entry["status"] != 200]

    def under_way(self, moment):
        """Requests that had begun and were not answered at a moment of CLOCK_MONOTONIC."""
        return [entry for entry in self.stop()["ledger"]
                if entry["at"] <= moment < entry["at"] + entry["latency"]]

    def assert_nothing_lost(self, at_least=1):
        result = self.stop()
        assert not self.failed(), f"{len(self.failed())} of {result['requests']} failed: {self.failed()[:5]}"
        assert len(result["ledger"]) == result["requests"] >= at_least


class UnixProbe(Tool):
    """1000 connects a second to a unix path."""

    def __init__(self, path, rate=1000):
        super().__init__([HELPERS / "unixprobe.py", path, str(rate)])
        assert self.process.popen.stdout.readline() == b"started\n"
