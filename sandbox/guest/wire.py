"""Values as text: JSON with tags for what JSON lacks. Plain data only; nothing in it can run code where it is read.

Numbers, strings, booleans, None and lists are themselves; every JSON object is a tag with one key. What is read back
is made of exact built-in types, whatever subclass was sent, so no value brings its own idea of equality along.
"""

import json
from collections.abc import Callable
from typing import Any

_BIG = 10**4000  # larger integers travel in base 16: reading decimal digits takes quadratic time and Python bounds it
_SCALARS = {str, bool, type(None), float, int}
_MAX_DEPTH_MESSAGE = "the value is nested too deeply (or contains itself)"


class CannotCross(TypeError):
    """A value that is no plain data."""


def encode(value: Any, hook: Callable[[Any], Any] | None = None) -> str:
    """The text of a value. ``hook`` packs objects that are no plain data, or raises ``CannotCross``."""
    try:
        return "".join(_write(pack(value, hook or refuse), 0))
    except RecursionError:
        raise CannotCross(_MAX_DEPTH_MESSAGE) from None


def encode_scalars(head: int, *values: Any) -> str | None:
    """The text of ``[head, *values]``, quickly; None: some value is not a short number, a string, a boolean or None."""
    for value in values:
        kind = type(value)
        if kind not in _SCALARS or (kind is int and not -_BIG < value < _BIG):
            return None
    return "".join(_write([head, *values], 0))


def encode_plain(value: Any) -> str | None:
    """The text of ``[1, [value, "", None, None]]``; None: the value is no plain data."""
    kind = type(value)
    if kind not in _SCALARS or (kind is int and not -_BIG < value < _BIG):
        try:
            value = pack(value, refuse)
        except (CannotCross, RecursionError):
            return None
    return "".join(_write([1, [value, "", None, None]], 0))


class Reader:
    """Turns texts back into values. ``hook`` builds what it knows of tags that are no plain data."""

    def __init__(self, hook: Callable[[str, Any], Any] | None = None) -> None:
        self.hook = hook
        self._scan = json.JSONDecoder(object_hook=self._untag).scan_once  # type: ignore[attr-defined]  # undocumented, and there since Python 2

    def _untag(self, found: dict[str, Any]) -> Any:
        if len(found) != 1:
            raise ValueError("a tag has one key")
        ((tag, body),) = found.items()
        if tag in _UNPACK:
            return _UNPACK[tag](body)
        if self.hook is None:
            raise ValueError(f"unknown tag {tag!r}")
        return self.hook(tag, body)

    def __call__(self, text: str | bytes) -> Any:
        """The value of a text.

        Raises:
            ValueError: The text is not one that ``encode`` makes.
        """
        if isinstance(text, bytes):
            text = text.decode("ascii")
        try:
            value, end = self._scan(text, 0)
        except StopIteration:
            raise ValueError("malformed value: no JSON") from None
        except (
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise ValueError(f"malformed value: {error}") from None
        if end != len(text):
            raise ValueError("malformed value: more than one")
        return value


def _no_json(value: Any) -> Any:
    raise CannotCross(f"a {type(value).__qualname__} is no plain data")


def _writer() -> Callable[[Any, int], Any]:
    """The C encoder, made once: ``json.dumps`` makes one for every call."""
    from json import encoder

    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, indent: [json.dumps(value, separators=(",", ":"))]
    quote = encoder.encode_basestring_ascii
    made: Callable[[Any, int], Any] = make(None, _no_json, quote, None, ":", ",", False, False, True)
    return made


_write = _writer()


def refuse(value: Any) -> Any:
    """The hook of ``encode`` that lets nothing but plain data pass."""
    raise CannotCross(f"a {type(value).__module__}.{type(value).__qualname__} is no plain data")


def pack(value: Any, hook: Callable[[Any], Any]) -> Any:
    """The JSON form of a value."""
    kind = type(value)
    packer = _PACK.get(kind)
    if packer is not None:
        return packer(value, hook)
    for base, packer in _PACK_SUBCLASS:
        if isinstance(value, base) and kind.__module__ != "numpy":
            return packer(value, hook)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in _PACK_BY_NAME:
        return _PACK_BY_NAME[name](value, hook)
    if kind.__module__ == "numpy" and hasattr(value, "item") and getattr(value, "shape", None) == ():
        return pack(value.item(), hook)
    return hook(value)


def _pack_same(value: Any, hook: Callable[[Any], Any]) -> Any:
    return value


def _pack_int(value: int, hook: Callable[[Any], Any]) -> Any:
    return value if -_BIG < value < _BIG else {"i": hex(value)}


def _pack_list(value: Any, hook: Callable[[Any], Any]) -> Any:
    kinds = set(map(type, value))
    if kinds <= _SCALARS and (int not in kinds or (kinds == {int} and min(value) > -_BIG and max(value) < _BIG)):
        return value
    return [pack(item, hook) for item in value]


def _pack_dict(value: dict[Any, Any], hook: Callable[[Any], Any]) -> Any:
    return {"d": [[pack(k, hook), pack(v, hook)] for k, v in dict.items(value)]}


def _items(tag: str, iterate: Callable[[Any], Any]) -> Callable[[Any, Callable[[Any], Any]], Any]:
    return lambda value, hook: {tag: _pack_list(list(iterate(value)), hook)}


_PACK: dict[Any, Callable[[Any, Callable[[Any], Any]], Any]] = {
    str: _pack_same,
    bool: _pack_same,
    type(None): _pack_same,
    float: _pack_same,
    int: _pack_int,
    list: _pack_list,
    tuple: _items("t", tuple.__iter__),
    dict: _pack_dict,
    set: _items("s", set.__iter__),
    frozenset: _items("f", frozenset.__iter__),
    bytes: lambda value, hook: {"b": value.decode("latin-1")},
    bytearray: lambda value, hook: {"B": value.decode("latin-1")},
    complex: lambda value, hook: {"c": [value.real, value.imag]},
    type(...): lambda value, hook: {"e": 0},
    range: lambda value, hook: {"R": [value.start, value.stop, value.step]},
}
# A subclass crosses as the built-in value that it holds, read with the built-in's own methods.
_PACK_SUBCLASS: tuple[tuple[Any, Callable[[Any, Callable[[Any], Any]], Any]], ...] = (
    (str, lambda value, hook: str.__str__(value)),
    (int, lambda value, hook: _pack_int(int.__int__(value), hook)),
    (float, lambda value, hook: float.__float__(value)),
    (list, lambda value, hook: _pack_list(list(list.__iter__(value)), hook)),
    (tuple, _PACK[tuple]),
    (dict, _pack_dict),
    (set, _PACK[set]),
    (frozenset, _PACK[frozenset]),
    (bytes, lambda value, hook: {"b": bytes.decode(value, "latin-1")}),
)


def _by_text(tag: str) -> Callable[[Any, Callable[[Any], Any]], Any]:
    return lambda value, hook: {tag: str(value)}


_PACK_BY_NAME: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "decimal.Decimal": _by_text("D"),
    "fractions.Fraction": _by_text("F"),
    "datetime.datetime": lambda value, hook: {"dt": value.isoformat()} if value.tzinfo is None else hook(value),
    "datetime.date": lambda value, hook: {"da": value.isoformat()},
    "datetime.time": lambda value, hook: {"ti": value.isoformat()} if value.tzinfo is None else hook(value),
    "datetime.timedelta": lambda value, hook: {"td": [value.days, value.seconds, value.microseconds]},
    "collections.deque": lambda value, hook: {"q": [_pack_list(list(value), hook), value.maxlen]},
}


def _distinct(items: list[Any]) -> list[Any]:
    """Guards the reader against values chosen to collide in its hash tables."""
    if len(items) > 1000 and len(set(map(hash, items))) < len(items) // 2:
        raise ValueError("too many elements with equal hashes")
    return items


def _unpack_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    _distinct([key for key, _ in pairs])
    return dict(pairs)


def _unpack_decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _unpack_fraction(text: str) -> Any:
    from fractions import Fraction

    return Fraction(int(text.partition("/")[0]), int(text.partition("/")[2] or 1))


def _unpack_time(name: str) -> Callable[[Any], Any]:
    def unpack(body: Any) -> Any:
        import datetime

        kind = getattr(datetime, name)
        return kind(*body) if name == "timedelta" else kind.fromisoformat(body)

    return unpack


def _unpack_deque(body: list[Any]) -> Any:
    from collections import deque

    return deque(body[0], body[1])


def _unpack_range(body: list[int]) -> range:
    return range(*body)


_UNPACK: dict[str, Callable[[Any], Any]] = {
    "i": lambda body: int(body, 16),
    "t": tuple,
    "d": _unpack_dict,
    "s": lambda body: set(_distinct(body)),
    "f": lambda body: frozenset(_distinct(body)),
    "b": lambda body: body.encode("latin-1"),
    "B": lambda body: bytearray(body.encode("latin-1")),
    "c": lambda body: complex(body[0], body[1]),
    "e": lambda body: ...,
    "R": _unpack_range,
    "D": _unpack_decimal,
    "F": _unpack_fraction,
    "dt": _unpack_time("datetime"),
    "da": _unpack_time("date"),
    "ti": _unpack_time("time"),
    "td": _unpack_time("timedelta"),
    "q": _unpack_deque,
}

decode = Reader()
