"""The smallest FastCGI client: one request, one connection, no nginx between."""
import socket
import struct

from harness.wait import DEADLINE

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RESPONDER = 1


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


def request(address, *arguments, **more):
    """request_over a connection of its own."""
    with connect(address) as connection:
        return request_over(connection, *arguments, **more)


def request_over(connection, script, query="", method="GET"):
    """(header fields, body) that the script answers."""
    parameters = {"REQUEST_METHOD": method, "SCRIPT_FILENAME": script, "SCRIPT_NAME": script,
                  "REQUEST_URI": script, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1",
                  "GATEWAY_INTERFACE": "CGI/1.1", "REDIRECT_STATUS": 200}
    output = b""
    with connection.makefile("rb") as stream:
        connection.sendall(record(BEGIN_REQUEST, struct.pack("!HB5x", RESPONDER, 0))
                           + record(PARAMS, b"".join(parameter(*item) for item in parameters.items()))
                           + record(PARAMS) + record(STDIN))
        while True:
            _, kind, _, length, padding = struct.unpack("!BBHHBx", read_exactly(stream, 8))
            content = read_exactly(stream, length)
            read_exactly(stream, padding)
            if kind == STDOUT:
                output += content
            elif kind == END_REQUEST:
                break
    head, _, body = output.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    return fields, body.decode("latin-1")
