# SPDX-License-Identifier: MIT
"""An instance that lies: impostor.py DIRECTORY answers at DIRECTORY/control whatever holdfast's verbs ask, each string
with what controls a terminal. It prints a line when it can be asked."""
import os
import socket
import struct
import sys
import threading

EVIL = "evil\n\x1b[31m\x1b]0;title\x07\x9b5m\x7f"
PATH, INTERFACE = "/org/holdfast/Control1", "org.holdfast.Control1"
RETURN, ERROR, SIGNAL = 2, 3, 4
LISTS = {"ListGenerations": "a(tsssutttuts)", "ListListeners": "a(sssuuuxuus)", "ListPools": "a(sxxxxxxxxxs)",
         "ListCaches": "a(xxxxxxxxxs)", "ListEvents": "a(stsst)", "GetHistory": "a(tstttttusttttt)"}
PROPERTIES = {"Name": "s", "Version": "s", "Pid": "u", "Started": "t", "State": "s", "Generation": "t", "Draining": "u",
              "Replaced": "t", "Handover": "s", "Spared": "s"}


class Body(bytearray):
    """Little-endian; D-Bus specification, Marshaling."""

    def number(self, size, value):
        self.extend(b"\0" * (-len(self) % size) + value.to_bytes(size, "little"))

    def string(self, text):
        self.number(4, len(text.encode()))
        self.extend(text.encode() + b"\0")

    def signature(self, text):
        self.extend(bytes([len(text)]) + text.encode() + b"\0")

    def value(self, kind):
        if kind == "s":
            self.string(EVIL)
        else:
            self.number(4 if kind == "u" else 8, 1)

    def array(self, fill):
        self.number(4, 0)
        at = len(self)
        self.extend(b"\0" * (-at % 8))
        begin = len(self)
        fill()
        struct.pack_into("<I", self, at - 4, len(self) - begin)


def message(kind, serial, fields, body):
    header = Body(b"l" + bytes([kind]) + b"\0\1" + struct.pack("<II", len(body), serial))

    def fill():
        for code, signature, value in fields:
            header.extend(b"\0" * (-len(header) % 8) + bytes([code]))
            header.signature(signature)
            if signature == "u":
                header.number(4, value)
            elif signature == "g":
                header.signature(value)
            else:
                header.string(value)

    header.array(fill)
    return bytes(header) + b"\0" * (-len(header) % 8) + bytes(body)


def answer(member, serial):
    body = Body()
    if member == "GetAll":
        def fill():
            for name, kind in PROPERTIES.items():
                body.extend(b"\0" * (-len(body) % 8))
                body.string(name)
                body.signature(kind)
                body.value(kind)
        body.array(fill)
        return message(RETURN, serial, [(5, "u", serial), (8, "g", "a{sv}")], body)
    if member in LISTS:
        def fill_row():
            for kind in LISTS[member][2:-1]:
                body.value(kind)
        body.array(fill_row)
        return message(RETURN, serial, [(5, "u", serial), (8, "g", LISTS[member])], body)
    body.string(EVIL)
    failure = message(ERROR, 1000 + serial, [(4, "s", "org.holdfast.Error.Failed"), (5, "u", serial), (8, "g", "s")], body)
    event = Body()
    for kind in "stsst":
        event.value(kind)
    return message(SIGNAL, 2000 + serial, [(1, "o", PATH), (2, "s", INTERFACE), (3, "s", "Event"), (8, "g", "stsst")],
                   event) + failure


def shake_hands(connection, data):
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            data = line + connection.recv(4096)
        elif line == b"BEGIN":
            return data
        elif line.lstrip(b"\0").startswith(b"NEGOTIATE"):
            connection.sendall(b"ERROR\r\n")
        elif line.lstrip(b"\0") == b"AUTH EXTERNAL":
            connection.sendall(b"DATA\r\n")
        else:
            connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")


def serve(connection):
    data = shake_hands(connection, b"")
    while True:
        while len(data) < 16 or len(data) < size_of(data):
            more = connection.recv(65536)
            if not more:
                return
            data += more
        size = size_of(data)
        serial, = struct.unpack_from("<I", data, 8)
        member = data[:size].partition(b"\3\1s\0")[2]
        length, = struct.unpack_from("<I", member)
        connection.sendall(answer(member[4:4 + length].decode(), serial))
        data = data[size:]


def size_of(data):
    body, _, fields = struct.unpack_from("<III", data, 4)
    return 16 + fields + -fields % 8 + body


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{sys.argv[1]}/control")
    listener.listen(16)
    print(flush=True)
    while True:
        threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()


main()
