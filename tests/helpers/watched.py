#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Becomes a command about whose system calls somebody else decides (seccomp_unotify(2), harness/faults.py).

    watched.py SOCKET NUMBER[,NUMBER...] -- COMMAND [ARG...]      as root; SOCKET: gets the listener's descriptor
"""
import ctypes
import os
import socket
import struct
import sys
import threading

SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
SET_MODE_FILTER, NEW_LISTENER, WAIT_KILLABLE = 1, 1 << 3, 1 << 5
LOAD_NUMBER, EQUALS, RETURN = 0x20, 0x15, 0x06  # of the classic BPF: ld [0], jeq, ret
RET_USER_NOTIF, RET_ALLOW = 0x7FC00000, 0x7FFF0000


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def install(numbers):
    """For this thread and whatever it becomes. Returns the listener."""
    program = instruction(LOAD_NUMBER, 0)
    for number in numbers:
        program += instruction(EQUALS, number, 0, 1) + instruction(RETURN, RET_USER_NOTIF)
    program += instruction(RETURN, RET_ALLOW)
    kept = ctypes.create_string_buffer(program, len(program))
    filter_of = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (NEW_LISTENER | WAIT_KILLABLE, NEW_LISTENER):  # the first from Linux 5.19 on
        listener = libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, flags, filter_of)
        if listener >= 0:
            return listener
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")


def main():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    installed = threading.Event()
    listener = []

    def send():  # from a thread that is not watched
        installed.wait()
        socket.send_fds(connection, [b"x"], listener)

    sender = threading.Thread(target=send)
    sender.start()
    listener.append(install(map(int, sys.argv[2].split(","))))
    installed.set()
    sender.join()
    command = sys.argv[sys.argv.index("--") + 1 :]
    os.execvp(command[0], command)  # which closes both


if __name__ == "__main__":
    main()
