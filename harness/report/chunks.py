"""The texts of a report: in the page while they are few, else in files beside it that the page loads when asked.

A page opened from disk may not fetch files, but it may load scripts; a chunk file is one call with JSON in it. Nothing
of what a model wrote is ever part of a script or of markup: it is JSON of ASCII without ``<``, ``>`` and ``&``.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1_000_000
INLINE_BYTES = 2_500_000
HEAD, TAIL = 24_000, 16_000  # of a longer response; the rest is in samples.jsonl
MOST_EVIDENCE = 4_000


def safe_json(value: Any) -> str:
    """JSON that can stand inside a script element: ASCII only, no ``<``, ``>``, ``&``."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def cut(text: str) -> list[Any]:
    """[head, characters left out, tail] of a response; [whole text, 0, ""] for usual ones."""
    if len(text) <= HEAD + TAIL:
        return [text, 0, ""]
    return [text[:HEAD], len(text) - HEAD - TAIL, text[-TAIL:]]


@dataclass
class ChunkWriter:
    """Takes records in any order, says in which chunk each has landed, and holds at most ``INLINE_BYTES`` in memory.

    Args:
        folder: Folder for the files, made when the texts are too many for the page.
    """

    folder: Path
    inline: dict[str, str] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    _open: dict[str, list[str]] = field(default_factory=dict)
    _size: dict[str, int] = field(default_factory=dict)
    _next: dict[str, int] = field(default_factory=dict)
    _spilled: bool = False

    def add(self, kind: str, key: str, record: Any) -> int:
        """Stores a record of a kind ("s", "g", "p") under a key, and returns the number of its chunk."""
        text = f"{safe_json(key)}:{safe_json(record)}"
        self._open.setdefault(kind, []).append(text)
        self._size[kind] = self._size.get(kind, 0) + len(text)
        number = self._next.get(kind, 0)
        if self._size[kind] >= CHUNK_BYTES:
            self._flush(kind)
        return number

    def close(self) -> None:
        """Writes what is left; with few texts everything stays in ``inline``."""
        for kind in list(self._open):
            if self._open[kind]:
                self._flush(kind)

    def _flush(self, kind: str) -> None:
        name = f"{kind}{self._next.get(kind, 0)}"
        body = "{" + ",".join(self._open[kind]) + "}"
        self._open[kind], self._size[kind] = [], 0
        self._next[kind] = self._next.get(kind, 0) + 1
        self.bytes += len(body)
        self.inline[name] = body
        if self._spilled or self.bytes > INLINE_BYTES:
            self._spill()

    def _spill(self) -> None:
        if not self._spilled:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self._spilled = True
        for name, body in self.inline.items():
            (self.folder / f"{name}.js").write_text(f'ringliteChunk("{name}",{body});\n', encoding="ascii")
            self.files += 1
        self.inline.clear()

    def discard_old(self) -> None:
        """Removes the chunk files of an earlier report that this one no longer needs."""
        if not self._spilled:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(slots=True)
class SampleIndex:
    """What the page knows of every sample before it loads a text: parallel lists, one entry a sample.

    ``flags``: 1 right, 2 cut at the limit, 4 no answer, 8 graded, 16 graders disagree, 32 timeout or refused.
    """

    problem: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    grade_chunk: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    others: dict[str, list[int]] = field(default_factory=dict)  # other scorer -> chunk of its grade, -1 without

    def as_json(self) -> dict[str, Any]:
        """Lists by name."""
        return {name: getattr(self, name) for name in self.__slots__}
