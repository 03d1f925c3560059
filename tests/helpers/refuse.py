#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Becomes a command for which system calls fail, as in a sandbox (EPERM) or on an old kernel (ENOSYS).

    refuse.py ERRNO NAME[,NAME...] -- COMMAND [ARG...]      as root
"""
import ctypes
import errno
import os
import struct
import sys

# The same on every architecture (asm-generic/unistd.h).
NUMBERS = {"pidfd_send_signal": 424, "pidfd_open": 434, "close_range": 436, "pidfd_getfd": 438, "faccessat2": 439}
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD_NUMBER, EQUALS, RETURN = 0x20, 0x15, 0x06  # of the classic BPF: ld [0], jeq, ret
RET_ERRNO, RET_ALLOW = 0x50000, 0x7FFF0000


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def main():
    number, names = getattr(errno, sys.argv[1]), sys.argv[2].split(",")
    program = instruction(LOAD_NUMBER, 0)
    for name in names:
        program += instruction(EQUALS, NUMBERS[name], 0, 1) + instruction(RETURN, RET_ERRNO | number)
    program += instruction(RETURN, RET_ALLOW)
    kept = ctypes.create_string_buffer(program, len(program))
    filter_of = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_of, 0, 0) != 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    command = sys.argv[sys.argv.index("--") + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
