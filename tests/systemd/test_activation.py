# SPDX-License-Identifier: MIT
"""A .socket unit that was there at boot: the first request comes before the service."""
import pathlib

from harness import fastcgi, systemd

CONFIGURATION = """\
[global]
error_log = /var/log/early.log
[www]
user = www-data
listen = 127.0.0.1:9801
pm = static
pm.max_children = 2
ping.path = /ping
"""


def ping():
    return fastcgi.request("127.0.0.1:9801", "/ping")[1]


def test_the_first_request_starts_the_service():
    pathlib.Path("/etc/holdfast-early.conf").write_text(CONFIGURATION)
    early = systemd.Unit("early.service")
    assert early.get("ActiveState") == "inactive"
    assert ping() == "pong"
    assert early.get("ActiveState") == "active"
    before = early.main_pid()
    early.restart()
    assert ping() == "pong"
    assert early.main_pid() != before
    early.stop()
    # the socket is still there, and starts it again
    assert ping() == "pong"
    systemd.systemctl("stop", "early.socket", "early.service")
