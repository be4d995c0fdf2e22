"""CPU time of a process and everything below it: what is compared when the machine is busy with other things."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def descendants(pid: int) -> list[int]:
    """Live processes below ``pid``, itself first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue
    found, at = [pid], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def cpu_ms(pid: int, reaped: bool = True) -> float:
    """CPU of one process, milliseconds; ``reaped``: with that of its children that have been waited for."""
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return 1000 * sum(int(field) for field in fields[11 : 15 if reaped else 13]) / _TICKS


def tree_cpu_ms(pid: int | None = None) -> float:
    """CPU of ``pid`` (default: this process) and of everything below it, dead or alive, milliseconds."""
    return sum(cpu_ms(one) for one in descendants(pid or os.getpid()))
