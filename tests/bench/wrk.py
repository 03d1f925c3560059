# SPDX-License-Identifier: MIT
"""wrk: connections that send their next request as soon as they have an answer (closed loop)."""
import re
import subprocess

from harness.process import Process, environment


class Wrk:
    def __init__(self, site, options):
        seconds = int(options.interval * options.replacements) + 1
        site.nginx  # has to listen before
        self.process = Process(["wrk", "--threads=1", f"--connections={options.wrk}", f"--duration={seconds}s",
                                f"{site.url}/hello.php"], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, start_new_session=True)
        site.at_close(self.process.stop)

    def finish(self):
        output = self.process.popen.stdout.read().decode()
        self.process.popen.stdout.close()
        if self.process.wait():
            raise AssertionError(f"wrk failed: {output}")
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        failed = sum(map(int, errors.groups())) if errors else 0
        return {"wrk_requests": int(re.search(r"(\d+) requests in", output).group(1)),
                "wrk_failed": failed + (int(refused.group(1)) if refused else 0)}
