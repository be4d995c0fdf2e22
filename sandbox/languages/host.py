"""What compiled languages take from the host: tools, the dynamic loader, source encoding, a private cache folder."""

import contextlib
import os
import shutil
import stat
from functools import cache
from pathlib import Path


def find_tool(variable: str, *names: str) -> str | None:
    """Absolute path of a tool: what the environment ``variable`` names, else the first of ``names`` on the PATH."""
    given = os.environ.get(variable)
    candidates = [given] if given else list(names)
    return next((path for name in candidates if (path := shutil.which(name))), None)


def loader_binds() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Binds and links that put the dynamic loader where programs look for it (``/lib``, ``/lib64``)."""
    binds: list[str] = []
    links: list[tuple[str, str]] = []
    for directory in ("/lib", "/lib64"):
        path = Path(directory)
        if path.is_symlink():
            links.append((directory, f"/usr{directory}"))
        elif path.is_dir():
            parts = [str(part) for part in path.glob("*-linux-gnu") if part.is_dir()]
            binds += parts or [directory]
    if Path("/usr/lib64").is_dir():
        binds.append("/usr/lib64")
    return tuple(binds), tuple(links)


def encode_text(text: str) -> bytes:
    """Text of a job as UTF-8; escaped bytes and lone surrogates, which JSON allows, become bytes that are not."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


@cache
def cache_folder() -> Path | None:
    """A folder for what can be made again, that only this user can write; None if there is none.

    ``RINGLITE_CACHE``, else ``ringlite`` in the user's cache folder, else one in ``/var/tmp``.
    """
    user = os.geteuid()
    base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    for folder in (os.environ.get("RINGLITE_CACHE"), Path(base) / "ringlite", f"/var/tmp/ringlite-{user}"):
        if not folder:
            continue
        path = Path(folder) / "sandbox"
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True, mode=0o755)
            found = path.lstat()
            private = found.st_uid == user and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if private and stat.S_ISDIR(found.st_mode) and os.access(path, os.W_OK) and _above_is_safe(path, user):
                return path
    return None


def _above_is_safe(path: Path, user: int) -> bool:
    """Whether nobody else can swap a folder above ``path``: each is ours or root's, and sticky if others may write."""
    for parent in path.resolve().parents:
        found = parent.stat()
        if found.st_uid not in (0, user):
            return False
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
            return False
    return True
