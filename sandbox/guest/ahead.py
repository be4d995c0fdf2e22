"""Calls that the tests are sure to make (``sandbox.foreseen``) are made ahead, in a row, and answered into a file.

The file is the candidate's to write, as its answers always are. The tests' side takes them one by one as it comes to
the calls, and asks over the socket from where they end: at an answer that is no plain data or is large, or at the last.
Whatever happens to the candidate later, the answers that it gave stand, so no verdict depends on who was faster.
"""

import os
import select
import sys
from marshal import loads
from os import write
from typing import Any

from sandbox.guest import rpc, wire

_LARGE = 1 << 16  # such an answer goes over the socket
_FIRST_LOOK, _LOOK = 10, 100  # milliseconds between looks at what a slow candidate has answered so far
_ABSENT = object()
_NO_NAMES = b"\0\0\0\6[1,[]]"
_END = rpc.framed(f"[{rpc.ASIDE},0]")


def answer(desk: Any, plan: tuple[tuple[str, ...], bytes, bool], target: int) -> bool:
    """The candidate's side, once its module is loaded. True: the tests will ask nothing else.

    ``plan``: names, calls and all of ``Foreseen``. Plain answers take few objects: each is a page that the job copies.
    """
    wanted, calls, whole = plan
    functions = [desk.entry]
    if not wanted:
        write(target, _NO_NAMES)
    else:
        found = [desk.names.get(name, _ABSENT) for name in wanted]
        functions = [*found, desk.entry]  # -1, the last: the entry point
        shown = [[0, None] if value is _ABSENT else [1, value] for value in found]
        if not _deliver(desk, target, wire.encode([1, shown], desk.server().pack)):
            return False
    paper, outside = desk.paper, sys.stdout
    for number, args, kwargs in loads(calls):
        function = functions[number]
        if function is _ABSENT:
            whole = False
            break
        sys.stdout = paper
        try:
            value = function(*args, **kwargs)
            text = None if paper.closed or paper.buffer.tell() else wire.encode_plain(value)
        except BaseException as error:
            sys.stdout = outside
            text, goes_on, whole = _raised(desk, error), False, True
        else:
            goes_on = True
        if text is None:
            sys.stdout = outside
            text, goes_on, raised = _packed(desk, value)
            whole = raised or (whole and goes_on)
            paper = desk.server().paper
        if not _deliver(desk, target, text):
            sys.stdout = outside
            return False
        if not goes_on:
            break
    sys.stdout = outside
    write(desk.channel, _END)
    return whole


def _raised(desk: Any, error: BaseException) -> str:
    server = desk.server()
    return wire.encode([2, server.describe(error), server.printed()], server.pack)


def _packed(desk: Any, value: Any) -> tuple[str, bool, bool]:
    """The text of a returned value, whether calls can go on ahead, and whether it is an exception, which ends them."""
    server = desk.server()
    known = server.count
    try:
        text = wire.encode([1, [value, server.printed(), None, None]], server.pack)
    except BaseException as error:
        return _raised(desk, error), False, True
    return text, server.count == known, False


def _deliver(desk: Any, target: int, text: str) -> bool:
    """Puts an answer into the file; False: it went over the socket, as the last one."""
    size = len(text)
    if size < _LARGE:
        try:
            if write(target, size.to_bytes(4, "big") + text.encode("ascii")) == size + 4:
                return True
        except OSError:  # over the limit on files
            pass
    peer = desk.server().peer
    peer.send_aside(True)
    peer.send(text)
    return False


class Unforeseen(BaseException):
    """The tests ask for something else than what was answered ahead. Nobody's fault: they are run again without."""


class Answers:
    """The tests' side."""

    def __init__(self, peer: rpc.Peer, source: int, plan: dict[str, Any], entry: Any) -> None:
        self._peer = peer
        peer.on_aside = self._end
        self._fd = source
        self._names = plan["names"]
        self._functions = iter(plan["functions"])
        self._objects = [*(None for _ in self._names), entry]
        self._poll = select.poll()
        self._poll.register(peer.fd, select.POLLIN)
        self._look = _FIRST_LOOK
        self._data = b""
        self._at = 0
        self._read = 0
        self._ended = False
        self._last_aside = False
        self._gone: rpc.Gone | None = None

    def names(self) -> dict[str, Any]:
        """What the candidate's module had under the names that the tests use, when it was loaded."""
        message = self._next()
        match message:
            case [1, list(shown)] if len(shown) == len(self._names):
                self._objects[:-1] = [pair[1] for pair in shown]
                return {name: pair[1] for name, pair in zip(self._names, shown, strict=True) if pair[0]}
        raise rpc.Gone("the candidate broke the protocol")

    def next(self, function: Any) -> list[Any] | None:
        """The message that answers the next call; None: it was not made ahead.

        Raises:
            Unforeseen: The next call is another one.
        """
        number = next(self._functions, None)
        if number is None:
            return None
        if self._objects[number] is not function:
            raise Unforeseen
        return self._next()

    def _next(self) -> list[Any] | None:
        start = self._at + 4
        end = start + int.from_bytes(self._data[self._at : start], "big")
        if start <= end <= len(self._data):  # as for most: it has been read already
            self._at = end
            return self._peer.parse(self._data[start:end])
        while True:
            text = self._frame()
            if text is not None:
                return self._peer.parse(text)
            if self._last_aside:
                self._last_aside = False
                return self._peer.receive()
            if self._ended:
                return None
            if self._gone is not None:
                raise self._gone
            self._wait()

    def _frame(self) -> bytes | None:
        """The next answer in the file, if it is there as a whole."""
        for fresh in (False, True):
            if fresh:
                piece = os.pread(self._fd, 1 << 20, self._read)
                self._read += len(piece)
                self._data = self._data[self._at :] + piece
                self._at = 0
            start = self._at + 4
            end = start + int.from_bytes(self._data[self._at : start], "big")
            if start <= end <= len(self._data) and len(self._data) >= start:
                self._at = end
                return self._data[start:end]
        return None

    def _wait(self) -> None:
        """Until the candidate has made all calls or is gone, or for a moment: a wrong answer may be there already."""
        if not self._poll.poll(self._look):
            self._look = _LOOK
            return
        try:
            message = self._peer.receive()
        except rpc.Gone as gone:  # what it has answered before still counts
            self._gone = gone
            return
        if message[0] != rpc.ASIDE or self._ended:
            raise rpc.Gone("the candidate broke the protocol")
        self._end(message[1])

    def _end(self, last_aside: Any) -> None:
        self._ended, self._last_aside = True, bool(last_aside)
        self._peer.on_aside = None
