# SPDX-License-Identifier: MIT
"""The smallest FastCGI client: one request, one connection, no nginx between. And an equally small server."""
import contextlib
import socket
import struct
import threading

from harness.wait import DEADLINE

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RESPONDER = 1
KEEP_CONNECTION = 1


def record(kind, content=b""):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


def parameter(name, value):
    name, value = name.encode(), str(value).encode()
    sizes = b"".join(struct.pack("!B", len(part)) if len(part) < 128 else struct.pack("!I", len(part) | 1 << 31)
                     for part in (name, value))
    return sizes + name + value


def connect(address):
    """address: HOST:PORT or an absolute path."""
    if address.startswith("/"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(address)
        return connection
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), DEADLINE)


def read_exactly(stream, size):
    data = stream.read(size)
    if len(data) != size:
        raise ConnectionError("the connection ended within an answer")
    return data


def read_record(stream):
    _, kind, _, length, padding = struct.unpack("!BBHHBx", read_exactly(stream, 8))
    content = read_exactly(stream, length)
    read_exactly(stream, padding)
    return kind, content


def request(address, *arguments, **more):
    """request_over a connection of its own."""
    with connect(address) as connection:
        return request_over(connection, *arguments, **more)


def request_over(connection, script, query="", method="GET", flags=0):
    """(header fields, body) that the script answers."""
    parameters = {"REQUEST_METHOD": method, "SCRIPT_FILENAME": script, "SCRIPT_NAME": script,
                  "REQUEST_URI": script, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1",
                  "GATEWAY_INTERFACE": "CGI/1.1", "REDIRECT_STATUS": 200}
    output = b""
    with connection.makefile("rb") as stream:
        connection.sendall(record(BEGIN_REQUEST, struct.pack("!HB5x", RESPONDER, flags))
                           + record(PARAMS, b"".join(parameter(*item) for item in parameters.items()))
                           + record(PARAMS) + record(STDIN))
        while True:
            kind, content = read_record(stream)
            if kind == STDOUT:
                output += content
            elif kind == END_REQUEST:
                break
    head, _, body = output.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    return fields, body.decode("latin-1")


class Responder(threading.Thread):
    """Answers with the number of the connection, one after another. A kept one ends when it is used again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.flags = []  # of each connection's first request
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.answer(stream)
                if self.flags[-1] & KEEP_CONNECTION:
                    # As php-fpm's worker does that has to leave: what came is never read.
                    with contextlib.suppress(ConnectionResetError):
                        connection.recv(1, socket.MSG_PEEK)

    def answer(self, stream):
        kind, content = read_record(stream)
        assert kind == BEGIN_REQUEST
        self.flags.append(content[2])
        while read_record(stream) != (STDIN, b""):
            pass
        text = f"Content-Type: text/plain\r\n\r\nconnection {len(self.flags)}"
        stream.write(record(STDOUT, text.encode()) + record(STDOUT) + record(END_REQUEST, bytes(8)))
        stream.flush()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self.listener.close()
