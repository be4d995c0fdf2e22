"""One forked worker: reads a request, answers it, reads the next; dies when the other end closes.

Messages are JSON behind a 4-byte length, so that neither side ever unpickles what the other one sends.
"""

import json
import os
import resource
import signal
import socket
import struct
from typing import Any

ADDRESS_SPACE = 2 << 30
"""Bytes of virtual memory that a worker may map (RLIMIT_AS)."""

RECYCLE_RSS_KIB = 900 << 10
"""A worker whose memory ever grew past this is replaced after its answer."""

BACKSTOP_SECONDS = 8.0
"""A worker kills itself after this long on one request: its parent may be gone or stopped."""

_LENGTH = struct.Struct("!I")


def encode(message: dict[str, Any]) -> bytes:
    """Returns the frame of a message. NULs and lone surrogates travel as JSON escapes."""
    body = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def frame_length(header: bytes) -> int:
    """Returns the number of bytes that follow a frame's 4-byte header."""
    length: int = _LENGTH.unpack(header)[0]
    return length


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _confine() -> None:
    """Bounds memory, forbids core dumps and files, and gives signals back their default meaning."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def serve(connection: socket.socket) -> None:
    """Answers requests until the parent closes the connection; never returns."""
    from harness.graders.math.comparison import answer_request

    _confine()
    while True:
        request = json.loads(_read_exactly(connection, frame_length(_read_exactly(connection, _LENGTH.size))))
        signal.setitimer(signal.ITIMER_REAL, BACKSTOP_SECONDS)
        try:
            reply = answer_request(request)
        except MemoryError:
            reply = {"refused": "the comparison needs more memory than a worker may have", "last": True}
        except RecursionError:
            reply = {"refused": "the answer is nested too deeply to compare"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > RECYCLE_RSS_KIB:
            reply["last"] = True
        connection.sendall(encode(reply))
        if reply.get("last"):
            os._exit(0)
