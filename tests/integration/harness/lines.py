# SPDX-License-Identifier: MIT
"""Lines from a pipe, collected as they come; waiting for one that matches."""
import re
import threading
import time

from harness.wait import DEADLINE, Timeout


class Lines:
    def __init__(self, stream):
        self.list = []
        self.closed = False
        self._stream = stream
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        for raw in self._stream:
            with self._changed:
                self.list.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def wait(self, pattern, since=0, deadline=DEADLINE):
        """The first line, from the index since on, that the pattern is found in."""
        expression = re.compile(pattern)
        seen = since
        end = time.monotonic() + deadline
        with self._changed:
            while True:
                for line in self.list[seen:]:
                    if expression.search(line):
                        return line
                seen = max(since, len(self.list))
                left = end - time.monotonic()
                if self.closed or left <= 0:
                    raise Timeout(f"no line matches {pattern!r} in:\n{self.text(since)}")
                self._changed.wait(left)

    def find(self, pattern):
        expression = re.compile(pattern)
        return [line for line in self.list if expression.search(line)]

    def text(self, since=0):
        return "\n".join(self.list[since:])

    def join(self):
        """Waits for the end: nobody holds the pipe any more."""
        self._thread.join(DEADLINE)
        if self._thread.is_alive():
            raise Timeout("a process still holds the log pipe")
        self._stream.close()
