"""Before the first job: the zygote walks the ways that every job walks, so that jobs inherit them trodden.

An interpreter adapts code objects, fills caches and splits its memory as it runs. What has happened before the fork is
shared by all jobs; what happens after it is paid, with the pages it writes, by each.
"""

import marshal
import os
import sys
import types

from sandbox.guest import ahead, calls, module, wire

_NAME = "warmup"
_PASSES = 12  # CPython 3.11 adapts a function after its eighth call
_SOURCE = b'''
import math
from typing import Dict, List, Optional


def count(numbers, factor: int = 3) -> Optional[str]:
    """Text."""
    found: Dict[object, object] = {}
    for place, number in enumerate(numbers):
        found[number] = place + 1
        if number % 2 == 0 and not number < 0 or number == factor:
            found[str(place)] = [other * 2 for other in numbers if other]
    words = "".join(sorted(str(key) for key in found)).upper().split(" ")
    try:
        words.append(f"{factor:.2f} {math.sqrt(4)}")
        while factor > 0:
            factor -= 1
        return " ".join(words)[::-1].strip()
    except ValueError as error:
        raise TypeError(str(error))


class Box:
    def __init__(self, content):
        self.content = content

    def measure(self, *sizes, **more):
        largest = max(sizes, key=lambda size: -size)
        return largest, sum(sizes), len(sizes), set(sizes), tuple(sizes), isinstance(self.content, int)


for _ in range(9):
    count([1, 2, 3, 4])
    Box(1).measure(1, 2, 3)
'''
_PLAIN_CALLS: list[tuple[int, list[object], dict[str, object]]] = [
    (-1, [[3, 1, 2]], {}),
    (-1, [[1.5, -2], 4], {}),
    (-1, [["a"]], {}),
]
_CALLS: list[tuple[int, list[object], dict[str, object]]] = [
    (0, [[3, 1, 2]], {}),
    (-1, [[1.5, -2], 4], {}),
    (-1, [["a"]], {}),
    (0, [[]], {"factor": 1}),
]


def run() -> None:
    """Loads a program and answers for it, over and over."""
    ours, theirs = os.pipe()
    answers = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    packed = marshal.dumps((_NAME, _SOURCE))
    plans = [((), marshal.dumps(_PLAIN_CALLS), True), (("count", "missing"), marshal.dumps(_CALLS), True)]
    case = wire.encode(([[3, 1, 2]], {"factor": 2})).encode()
    told = {"entry_point": "count", "arg_types": None, "prelude": None, "return_type": None, "compare": None}
    try:
        for _ in range(_PASSES):
            name, source = marshal.loads(packed)
            loaded = module.load(name, source)
            assert isinstance(loaded, types.ModuleType)
            desk = module.Desk(loaded, "count", theirs)
            for plan in plans:
                ahead.answer(desk, plan, answers)
            os.read(ours, 4096)
            wire.decode(desk.server().call(1, ["ab"]))
            calls.answer(told, loaded.__dict__, case)
    finally:
        for fd in (ours, theirs, answers):
            os.close(fd)
        sys.modules.pop(_NAME, None)
