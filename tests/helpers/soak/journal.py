# SPDX-License-Identifier: MIT
"""What each worker says of the request it is at: the page of the soak, and its notes."""

# Its first act is to note who it is, its last before it answers that it is done. Nothing is sent before its end.
PAGE = """<?php
function note($what) {
    file_put_contents(__DIR__ . '/../marks/journal', "$what {$_GET['id']} " . getmypid() . "\\n", FILE_APPEND);
}
note('begin');
$end = microtime(true) + mt_rand(0, $_GET['ms'] ?? 0) / 1000;
$silent = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
while (($left = $end - microtime(true)) > 0) { // a signal interrupts the wait
    $read = [$silent[0]];
    $write = $except = null;
    @stream_select($read, $write, $except, (int) $left, (int) (fmod($left, 1) * 1000000));
}
note('end');
echo 'soak ', $_GET['id'], ' ', getmypid(), "\\n";"""


class Journal:
    """The notes, read on as they grow."""

    def __init__(self, site):
        (site.root / "soak.php").write_text(PAGE)
        path = site.marks / "journal"
        path.touch()
        path.chmod(0o666)
        self._stream = open(path, "rb")
        self._rest = b""
        self._last = {}  # pid: (what, id)
        self.begun = {}  # id: how often

    def read(self):
        """What has been noted until now."""
        *lines, self._rest = (self._rest + self._stream.read()).split(b"\n")
        for line in lines:
            what, request, pid = line.decode().split(" ")
            self._last[int(pid)] = (what, request)
            if what == "begin":
                self.begun[request] = self.begun.get(request, 0) + 1

    def under_way(self, pid):
        """The request that a worker has begun and not done with, or None."""
        self.read()
        what, request = self._last.get(pid, ("end", None))
        return request if what == "begin" else None

    def forget(self, pid):
        """The next process of this number is another."""
        self._last.pop(pid, None)

    def close(self):
        self._stream.close()
