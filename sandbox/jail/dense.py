"""Keeps what a job writes together: each page of the zygote's that it writes to is copied, at two microseconds a page.

Only cost depends on it. What cannot be done on a system is left undone.
"""

import contextlib
import ctypes
import os
import sys

_POOL, _POOL_HEAD = 16384, 48  # CPython's obmalloc: bytes of a pool, and of its head
_LARGEST_SMALL = 512
_BYTES_HEAD = sys.getsizeof(b"")
_MOST_OBJECTS = 20_000  # of a size
_LARGEST_CHUNK, _MOST_CHUNKS, _MOST_BYTES = 100_000, 20_000, 4 << 20
_kept: list[object] = []


def settle() -> None:
    """Fills the gaps that starting has left between objects, so that a job's own lie in a row; call it before forks."""
    _fill_pools()
    _fill_heap()
    with contextlib.suppress(OSError):
        _share_page_tables()


def _fill_pools() -> None:
    """Takes the free blocks of each size of small objects, until they come one after the other."""
    for size in range(2 * 16, _LARGEST_SMALL + 1, 16):
        a_pool = (_POOL - _POOL_HEAD) // size - 1
        made: list[object] = []
        row, last = 0, 0
        while row < a_pool and len(made) < _MOST_OBJECTS:
            # bytes objects take their head and their length, floats 24 bytes
            made.append(bytes(size - _BYTES_HEAD) if size > _BYTES_HEAD + 1 else len(made) + 0.5)
            place = id(made[-1])
            row = row + 1 if place == last + size else 1
            last = place
        del made[-row:]
        _kept.append(tuple(made))


def _fill_heap() -> None:
    """Takes the free chunks of the C library's heap, so that what is allocated next lies at its end."""
    libc = ctypes.CDLL(None)
    allocate, free = libc.malloc, libc.free
    allocate.restype, allocate.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    end = allocate(_LARGEST_CHUNK) or 0
    size, chunks, taken = _LARGEST_CHUNK, 0, 0
    while size > 16 and chunks < _MOST_CHUNKS and taken < _MOST_BYTES:
        place = allocate(size) or 0
        if end and place < end:
            chunks, taken = chunks + 1, taken + size
        else:
            free(place)
            size -= 16
    free(end)


def _share_page_tables() -> None:
    """Has a fork copy the page tables of the interpreter's code, which each job would else fill in again.

    A kernel copies those of mappings that hold a page of the process's own; one byte, written as it is, makes one.
    """
    interpreter = os.path.realpath(sys.executable)
    memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        with open("/proc/self/maps") as lines:
            for line in lines:
                addresses, access, *_, path = line.split(maxsplit=5)
                own = path.rstrip("\n") == interpreter or os.path.basename(path).startswith(("libpython", "libc.so"))
                if own and access in ("r-xp", "r--p"):
                    start = int(addresses.partition("-")[0], 16)
                    os.pwrite(memory, os.pread(memory, 1, start), start)
    finally:
        os.close(memory)
