# SPDX-License-Identifier: MIT
"""As much D-Bus as a client needs to behave worse than busctl."""
import socket
import struct
import subprocess

from harness.process import environment
from harness.wait import DEADLINE

PATH = "/org/holdfast/Control1"
INTERFACE = "org.holdfast.Control1"
HELLO = b"\0AUTH EXTERNAL 30\r\n"  # the hexadecimal of "0", root


def call(member, serial=1):
    """A method call without arguments; D-Bus specification, Message Protocol."""
    fields = b""
    for code, kind, text in ((1, b"o", PATH), (2, b"s", INTERFACE), (3, b"s", member)):
        fields += b"\0" * (-len(fields) % 8)
        fields += struct.pack("<B", code) + b"\1" + kind + b"\0" + struct.pack("<I", len(text)) + text.encode() + b"\0"
    header = b"l\1\0\1" + struct.pack("<III", 0, serial, len(fields)) + fields
    return header + b"\0" * (-len(header) % 8)


class Connection:
    """To the control socket of an instance, authenticated as root."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        self.socket.sendall(HELLO)
        answer = self.socket.recv(4096)
        assert answer.startswith(b"OK "), answer
        self.socket.sendall(b"BEGIN\r\n" + call("ListListeners"))
        assert self.socket.recv(65536)  # from now on it is told what happens

    def read_until(self, text):
        """Everything that comes until text has come."""
        data = b""
        while text not in data:
            more = self.socket.recv(65536)
            assert more, f"the connection ended before {text}: {data}"
            data += more
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def busctl(path, *arguments):
    """The real one, to its end."""
    return subprocess.run(["busctl", f"--address=unix:path={path}", *arguments], env=environment(), capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
