"""Which arguments of MBPP+'s JSON inputs are really tuples, sets or complex numbers.

The release file is JSON and has lists only; the facts are those of evalplus 0.3.1 (evalplus/data/mbpp.py).
"""

from collections.abc import Callable, Sequence
from typing import Any

Arguments = Sequence[Any]


def _deep_tuple(value: Any) -> Any:
    return tuple(_deep_tuple(item) for item in value) if isinstance(value, list) else value


def _tuples(items: Any) -> list[Any]:
    return [tuple(item) for item in items]


def _set_or_empty(item: Any) -> Any:
    return set(item) if isinstance(item, list) and item else {}


_RULES: list[tuple[tuple[int, ...], Callable[[Arguments], Arguments]]] = [
    # every argument is a tuple
    (
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
        _tuples,
    ),
    # every argument is a list of tuples
    ((63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), lambda args: [_tuples(a) for a in args]),
    # a list of tuples, then one plain argument
    ((75, 413, 444, 753), lambda args: [_tuples(args[0]), args[1]]),
    # one plain argument, then a tuple
    ((106, 750), lambda args: [args[0], tuple(args[1])]),
    # a list whose members are sets; an empty one became a dict
    ((115,), lambda args: [[_set_or_empty(item) for item in args[0]]]),
    ((124,), lambda args: (float(args[0]), complex(args[1]))),
    ((252,), lambda args: [complex(args[0])]),
    # a tuple, then one plain argument
    ((250, 405, 446, 617, 720, 763, 808), lambda args: [tuple(args[0]), args[1]]),
    # every argument is a tuple of tuples
    ((259, 401, 445), lambda args: [tuple(_tuples(a)) for a in args]),
    # a tuple whose list members are tuples
    ((278,), lambda args: [tuple(tuple(item) if isinstance(item, list) else item for item in args[0])]),
    ((307,), lambda args: [tuple(args[0]), args[1], args[2]]),
    # a dict of tuples, then the rest
    ((722,), lambda args: [{key: tuple(value) for key, value in args[0].items()}, *args[1:]]),
    # tuples all the way down, the argument list too
    ((580, 615, 791), _deep_tuple),
]
_BY_TASK = {number: rule for numbers, rule in _RULES for number in numbers}


def arguments(task_id: str, inputs: Sequence[Arguments]) -> list[Arguments]:
    """Gives the inputs of ``Mbpp/<number>`` the types that the problem means."""
    rule = _BY_TASK.get(int(task_id.rpartition("/")[2]))
    return [rule(args) for args in inputs] if rule else list(inputs)
