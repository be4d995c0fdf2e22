"""Mode ``unit`` on the tests' side, in a process that stays: plain tests, one set after the other."""

import _socket
import json
import marshal
import os
import sys
import time
from typing import Any

from sandbox.guest import tests

_MAX_REQUEST = 1 << 18
_PACKET = 1 << 16


def serve(header: dict[str, Any], channel: int) -> int:
    """Runs one set of plain tests after the other, as long as the driver sends them.

    A message is a marshalled header with two descriptors: the candidate's socket, and the file of answers to calls that
    it made ahead. The answer is JSON in packets, each but the last preceded by ``+``: the report, the CPU time it took,
    and what was printed as ``[Latin-1 of the first bytes, size]``.
    """
    socket = _socket.socket(fileno=channel)
    known = set(sys.modules)
    while True:
        message, ancillary, _, _ = socket.recvmsg(_MAX_REQUEST, _socket.CMSG_SPACE(8))
        if not message:
            return 0
        candidate, answers = memoryview(ancillary[0][2]).cast("i")
        start = time.process_time()
        header = marshal.loads(message)
        if b"random" in header["source"]:
            import random  # here, since no candidate should inherit what it asks of the fork

            random.seed()  # as in a new process, whatever the tests before have made of it
        try:
            report = tests.examine(header, candidate, answers)
        finally:
            os.close(candidate)
            os.close(answers)
        if len(sys.modules) != len(known):
            for name in [name for name in sys.modules if name not in known]:
                if name.partition(".")[0] not in sys.stdlib_module_names:
                    del sys.modules[name]
        printed = [_take_printed(fd, header["cap"]) for fd in (1, 2)]
        text = json.dumps([report, time.process_time() - start, *printed]).encode()
        for at in range(0, len(text), _PACKET):
            last = at + _PACKET >= len(text)
            socket.send((b"." if last else b"+") + text[at : at + _PACKET])


def _take_printed(fd: int, cap: int) -> list[Any] | None:
    """What was written to an in-memory file, which is empty afterwards."""
    size = os.lseek(fd, 0, os.SEEK_CUR)
    if not size:
        return None
    text = os.pread(fd, cap, 0).decode("latin-1")
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    return [text, size]
