"""Two things that tox lacks here: one virtual environment for all, and a table at the end of what was verified.

The environments differ in what they run, not in what they need; tox recreates an environment folder whenever an
environment of another name uses it. Fourteen copies of PyTorch would cost more time than the tests, so the runner
``shared`` leaves the name out of that comparison.

The table has a line for each environment of the call, also for one that failed or could not be set up. tox has no hook
after its own report, so the table is printed when the interpreter ends.
"""

import atexit
import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tox.config.sets import EnvConfigSet
from tox.execute.api import Outcome
from tox.plugin import impl
from tox.session.state import State
from tox.tox_env.api import ToxEnv
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister
from tox.tox_env.runner import RunToxEnv

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")
PYTEST_END = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|error|skipped|deselected).* in [\d.]+s", re.MULTILINE)

_installed: set[Path] = set()


class _NamelessInfo(Info):
    @contextmanager
    def compare(self, value: Any, section: str, sub_section: str | None = None) -> Iterator[tuple[bool, Any]]:
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        with super().compare(value, section, sub_section) as outcome:
            yield outcome


class SharedRunner(VirtualEnvRunner):
    """A virtual environment that several tox environments use in turn."""

    @staticmethod
    def id() -> str:
        """Name of the runner in ``tox.ini``."""
        return "shared"

    @property
    def cache(self) -> Info:
        """State of the last set-up, without the environment's name."""
        return _NamelessInfo(self.env_dir)

    def _setup_pkg(self) -> None:
        """Builds and installs our package once a call: it is editable, and the environments of a call share it."""
        if self.env_dir not in _installed:
            super()._setup_pkg()
            _installed.add(self.env_dir)


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    name: str
    outcome: str
    seconds: float
    found: str
    what: str
    against: str


_lines: dict[str, Line] = {}


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Registers the runner; tox calls this hook at start."""
    register.add_run_env(SharedRunner)


@impl
def tox_add_env_config(env_conf: EnvConfigSet, state: State) -> None:
    """Adds the settings that the table reads."""
    told = {"against": "what the environment verifies against", "record": "gate.json that says what was found"}
    for name, meaning in told.items():
        env_conf.add_config(name, of_type=str, default="", desc=meaning)


@impl
def tox_after_run_commands(tox_env: ToxEnv, exit_code: int, outcomes: list[Outcome]) -> None:
    """Notes what an environment found."""
    seconds = sum(outcome.elapsed for outcome in outcomes)
    found = _found(outcomes, tox_env.conf["record"], bool(exit_code))
    _note(tox_env, "FAIL" if exit_code else "ok", seconds, found)


@impl
def tox_env_teardown(tox_env: ToxEnv) -> None:
    """Notes an environment that ran no command."""
    wanted = isinstance(tox_env, RunToxEnv) and not getattr(tox_env.options, "no_test", False)
    if wanted and tox_env.conf.name not in _lines:
        _note(tox_env, "not run", 0, "its set-up failed or was skipped")


def _note(tox_env: ToxEnv, outcome: str, seconds: float, found: str) -> None:
    if not _lines:
        atexit.register(lambda: print("\n".join(table(_lines.values())), flush=True))  # noqa: T201
    name, conf = tox_env.conf.name, tox_env.conf
    _lines[name] = Line(name, outcome, seconds, found, conf["description"], conf["against"])


def _found(outcomes: list[Outcome], record: str, failed: bool) -> str:
    """Counts of pytest, else a gate's record, else the last line that was printed (of the errors, on failure)."""
    ends = [PYTEST_END.findall(COLOUR.sub("", outcome.out)) for outcome in outcomes]
    if any(ends):
        totals: dict[str, int] = {}
        for number, name in COUNTS.findall(" ".join(end[-1] for end in ends if end)):
            totals[name] = totals.get(name, 0) + int(number)
        return ", ".join(f"{number} {name}" for name, number in totals.items())
    if record and not failed:
        return _gate(Path(record))
    texts = [COLOUR.sub("", text) for o in outcomes[-1:] for text in ((o.out, o.err) if failed else (o.err, o.out))]
    printed = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return printed[-1] if printed else ""


def _gate(record: Path) -> str:
    try:
        gate = json.loads(record.read_bytes())
        scores = [f"{domain} {100 * found['score']:.1f}" for domain, found in sorted(gate["scores"].items())]
        return "; ".join([f"{gate['verdict']}: {len(gate['checks'])} checks", *([", ".join(scores)] if scores else [])])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no record of the gate: {error}"


def table(lines: Iterable[Line]) -> Iterator[str]:
    """The table as text, as wide as the terminal, between 100 and 180 characters."""
    lines = list(lines)
    heads = ("environment", "", "time", "what was verified", "against what", "found")
    cells = [(x.name, x.outcome, _time(x.seconds), x.what, x.against, x.found) for x in lines]
    fixed = [max(len(row[i]) for row in [heads, *cells]) for i in range(3)]
    room = min(180, max(100, shutil.get_terminal_size((150, 24)).columns)) - sum(fixed) - 10
    widths = (*fixed, room * 4 // 11, room * 4 // 11, room * 3 // 11)
    yield ""
    for row in (heads, tuple("-" * width for width in widths), *cells):
        parts = [textwrap.wrap(cell, width)[:4] or [""] for cell, width in zip(row, widths, strict=True)]
        for i in range(max(map(len, parts))):
            texts = [part[i] if i < len(part) else "" for part in parts]
            yield "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
    good = sum(line.outcome == "ok" for line in lines)
    yield f"{good} of {len(lines)} environments verified what they say, in {_time(sum(x.seconds for x in lines))}."


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
