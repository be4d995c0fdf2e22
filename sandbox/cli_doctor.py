"""``ringlite sandbox doctor``: what this host enforces, what is missing, how to get it."""

import dataclasses
import json

import typer

from sandbox.hostcheck import Diagnosis, doctor

_GUARANTEES = {
    "strict": "programs are isolated, and the kernel itself keeps their limits on memory and processes",
    "full": "programs are isolated; their limits on memory and processes are watched and enforced within milliseconds",
    "": "no program is run on this host",
}


def examine(as_json: bool) -> int:
    """Prints the diagnosis and returns the exit code: 0 if the level ``full`` can be had, else 1."""
    found = doctor()
    if as_json:
        typer.echo(json.dumps({"ok": found.ok, **dataclasses.asdict(found), "guarantee": _GUARANTEES[found.level]}))
    else:
        typer.echo("\n".join(_lines(found)))
    return 0 if found.ok else 1


def _lines(found: Diagnosis) -> list[str]:
    lines = []
    for check in found.checks:
        needed = f" (needed for {check.needed_for})" if check.needed_for and not check.ok else ""
        lines.append(f"{'ok     ' if check.ok else 'missing'}  {check.name}: {check.detail}{needed}")
        if not check.ok and check.remedy:
            lines.append(f"         to get it: {check.remedy}")
    for name, missing in found.languages.items():
        lines.append(f"{'missing' if missing else 'ok     '}  language {name}{': ' + missing if missing else ''}")
    lines.append("")
    if found.problem:
        lines.append(f"problem: {found.problem}")
    lines.append(f"level: {found.level or 'none'}: {_GUARANTEES[found.level]}")
    return lines
