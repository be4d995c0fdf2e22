"""Compiled programs by source, flags and compiler version: in memory, and on disk for the next process."""

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from sandbox.languages.host import cache_folder

_MEMORY_BYTES = 256 << 20
_DISK_BYTES = 2 << 30
_ENTRY_BYTES = 32 << 20

Files = Mapping[str, bytes]


def cache_key(*parts: object) -> str:
    """SHA-256 over everything that decides what a compiler makes; bytes and plain data."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class CompileCache:
    """Thread-safe; entries unused for longest go first. A damaged file on disk is a miss, never an error."""

    def __init__(self, name: str, memory_bytes: int = _MEMORY_BYTES, disk_bytes: int = _DISK_BYTES) -> None:
        self._memory: OrderedDict[str, Files] = OrderedDict()
        self._size = 0
        self._limit = memory_bytes
        self._disk_limit = disk_bytes
        self._lock = threading.Lock()
        folder = cache_folder()
        self._folder = folder / name if folder else None
        self._written = 0
        if self._folder:
            with contextlib.suppress(OSError):
                self._folder.mkdir(mode=0o700, exist_ok=True)

    def get(self, key: str) -> Files | None:
        """What was stored under ``key``: file name -> content."""
        with self._lock:
            if (files := self._memory.get(key)) is not None:
                self._memory.move_to_end(key)
                return files
        files = self._read(key)
        if files is not None:
            self._remember(key, files)
        return files

    def put(self, key: str, files: Files) -> None:
        """Stores what a compiler made."""
        if _size(files) > _ENTRY_BYTES:
            return
        self._remember(key, files)
        self._write(key, files)

    def _remember(self, key: str, files: Files) -> None:
        with self._lock:
            if key not in self._memory:
                self._memory[key] = files
                self._size += _size(files)
            while self._size > self._limit:
                _, oldest = self._memory.popitem(last=False)
                self._size -= _size(oldest)

    def _read(self, key: str) -> Files | None:
        if not self._folder:
            return None
        path = self._folder / key
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, body = data[:32], data[32:]
        if hashlib.sha256(key.encode() + body).digest() != digest:
            return None
        head, _, rest = body.partition(b"\n")
        files, start = {}, 0
        for name, length in json.loads(head):
            files[name] = rest[start : start + length]
            start += length
        return files

    def _write(self, key: str, files: Files) -> None:
        if not self._folder:
            return
        head = json.dumps([[name, len(content)] for name, content in files.items()]).encode()
        body = head + b"\n" + b"".join(files.values())
        with contextlib.suppress(OSError):
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(hashlib.sha256(key.encode() + body).digest() + body)
            Path(file.name).replace(self._folder / key)
            self._written += len(body)
            if self._written > self._disk_limit // 16:
                self._written = 0
                _trim(self._folder, self._disk_limit)


def _size(files: Files) -> int:
    return sum(len(content) for content in files.values())


def _trim(folder: Path, limit: int) -> None:
    """Deletes the entries that were used longest ago until the folder holds at most ``limit`` bytes."""
    entries = []
    with os.scandir(folder) as scan:
        for entry in scan:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                entries.append((found.st_mtime, found.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
            total -= size
