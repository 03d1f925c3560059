# SPDX-License-Identifier: MIT
"""Blocks of memory that a program has allocated and not given back, as glibc's heap tells."""
import pathlib
import struct

HEADER = 16  # size of the chunk before, size of this one and three flags
PREVIOUS_IN_USE, FLAGS = 1, 7
LISTS = 64  # of small blocks that were given back, at the very beginning of the heap: how long each is


def heap(pid):
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[heap]"):
            begin, end = (int(word, 16) for word in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                return memory.read(end - begin)
    return b""


def live(pid):
    """How many, or None if its heap is not glibc's (sanitizers)."""
    data = heap(pid)
    place = used = 0
    sizes = []
    while place + HEADER <= len(data):
        word = struct.unpack_from("Q", data, place + 8)[0]
        size = word & ~FLAGS
        if place:
            used += word & PREVIOUS_IN_USE
        if size < 2 * HEADER or size % HEADER or place + size > len(data):
            return None
        sizes.append(size)
        place += size
    if len(sizes) < 2 or place != len(data):
        return None
    return used - sum(struct.unpack_from(f"{LISTS}H", data, HEADER))
