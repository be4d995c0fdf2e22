"""What goes wrong through the user's input, said in one sentence."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """Bad input: the message names the thing, the place and the way out. Exit code 2."""

    exit_code = 2


class DataUnavailable(UsageError):
    """A benchmark's rows cannot be had here; nothing is known against them."""


class DataNowhere(DataUnavailable):
    """None of the places that a benchmark's rows can come from has them."""


class CheckFailed(Exception):
    """A check that the user asked for came out red. Exit code 1."""

    exit_code = 1


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the known name closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
