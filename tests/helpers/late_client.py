#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A TCP client of its own, behind a tun interface, whose handshake ends on request.

    late_client.py INTERFACE ADDRESS SERVER PORT    says "half" once SYN is answered; on a line of its standard
                                                    input it sends the last ACK, and prints what it receives
"""
import fcntl
import ipaddress
import os
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
FIN, SYN, ACK = 1, 2, 16
PORT = 40000


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)) if len(data) % 2 == 0 else checksum(data + b"\0") ^ 0xFFFF
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def main():
    interface, own, server, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    source, target = (ipaddress.IPv4Address(address).packed for address in (own, server))
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TUN | IFF_NO_PI))

    def send(flags, sequence, acknowledged):
        segment = struct.pack("!HHIIBBHHH", PORT, port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
        pseudo = source + target + struct.pack("!BBH", 0, 6, len(segment))
        segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, source, target)
        os.write(tun, header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment)

    def receive():
        """(flags, sequence, data) of the next segment for us."""
        while True:
            packet = os.read(tun, 65536)
            length = (packet[0] & 15) * 4
            if packet[0] >> 4 != 4 or packet[9] != 6:
                continue
            segment = packet[length:struct.unpack("!H", packet[2:4])[0]]
            ports = struct.unpack("!HH", segment[:4])
            if ports == (port, PORT):
                return segment[13], struct.unpack("!I", segment[4:8])[0], segment[(segment[12] >> 4) * 4:]

    send(SYN, 1000, 0)
    flags, sequence, _ = receive()
    assert flags & (SYN | ACK) == SYN | ACK, flags
    print("half", flush=True)
    sys.stdin.readline()
    expected, text = sequence + 1, b""
    send(ACK, 1001, expected)
    while True:
        flags, sequence, data = receive()
        assert not flags & 4, "reset"
        if flags & SYN or sequence != expected:  # sent again
            send(ACK, 1001, expected)
            continue
        text += data
        expected += len(data) + bool(flags & FIN)
        if data or flags & FIN:
            send(ACK | (flags & FIN), 1001, expected)
        if flags & FIN:
            break
    print(text.decode(), flush=True)


if __name__ == "__main__":
    main()
