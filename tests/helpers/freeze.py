#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""freeze.py PID: holds a process by ptrace(2), so that it acts on no signal, SIGCONT included. Says "frozen"; lets go at the
end of its standard input."""
import ctypes
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
for request in SEIZE, INTERRUPT:
    if libc.ptrace(request, int(sys.argv[1]), None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
libc.waitpid(int(sys.argv[1]), None, 0x40000000)  # __WALL
print("frozen", flush=True)
sys.stdin.read()
