# SPDX-License-Identifier: MIT
"""A page that shows reloads as visitors meet them, with a button. Only this machine may press it: nginx listens on the loopback
interface, other names for it are refused, and PHP takes a POST with the page's token, and passes on one byte."""
import os
import pathlib
import secrets
import shutil
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent

NGINX = """
        # also what a name of somebody else's leads here to
        if ($host !~ "^(127\\.0\\.0\\.1|localhost)$") {{ return 403; }}
        location = /live {{ default_type text/html; alias {directory}/www/live/page.html; }}
        location = /live/status.json {{ add_header Cache-Control no-store; }}
"""

RELOAD = """<?php
header('Content-Type: text/plain');
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
    exit("POST only\\n");
}
if (!hash_equals('%s', $_SERVER['HTTP_X_TOKEN'] ?? '')) {
    http_response_code(403);
    exit("wrong token\\n");
}
$bell = fopen('%s', 'r+');
stream_set_blocking($bell, false);
fwrite($bell, 'r');
echo "a reload is on its way\\n";
"""


class Live:
    """Writes down what `holdfast status` says, once a second, and reloads when the bell is rung."""

    def __init__(self, site):
        self.site = site
        self.url = f"{site.url}/live"
        self.directory = site.directory / "www" / "live"
        self.directory.mkdir()
        token = secrets.token_hex(16)
        bell = site.directory / "bell"
        os.mkfifo(bell, 0o600)
        shutil.chown(bell, "www-data", "www-data")
        (self.directory / "page.html").write_text((HERE / "live.html").read_text().replace("{token}", token))
        (self.directory / "reload.php").write_text(RELOAD % (token, bell))
        self.bell = os.open(bell, os.O_RDWR | os.O_CLOEXEC)
        self.watch = None
        self.threads = []

    def begin(self):
        self.watch = subprocess.Popen([self.site.holdfast_path, "status", "--watch", "--json", f"--name={self.site.name}"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      start_new_session=True)
        self.threads = [threading.Thread(target=step, daemon=True) for step in (self._note, self._reload)]
        for thread in self.threads:
            thread.start()

    def _note(self):
        for line in self.watch.stdout:
            if line.strip():
                (self.directory / "status.new").write_bytes(line)
                os.replace(self.directory / "status.new", self.directory / "status.json")

    def _reload(self):
        """However often the bell was rung in the meantime, one more reload follows."""
        while b"e" not in os.read(self.bell, 4096):
            subprocess.run([self.site.holdfast_path, "reload", "--quiet", f"--name={self.site.name}"], stdin=subprocess.DEVNULL,
                           capture_output=True, check=False)

    def close(self):
        if self.watch:
            os.write(self.bell, b"e")
            self.watch.terminate()
            self.watch.wait()
            for thread in self.threads:
                thread.join()
            self.watch.stdout.close()
        os.close(self.bell)
