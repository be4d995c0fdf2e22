"""Performance of the sandbox against its peers.

python -m benchmarks.perf.sandbox humaneval stdin languages http profile growth --out results.json

CPU time decides, not elapsed time: subjects are interleaved and their whole process trees are counted, so other load on
the machine changes little. ``RINGLITE_DATA`` names the folder with evalplus' data set; without it that row is left out.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.perf import sandbox_growth, sandbox_http, sandbox_humaneval, sandbox_languages, sandbox_stdin
from benchmarks.perf.sandbox_report import emit

SECTIONS = ("humaneval", "stdin", "languages", "http", "profile", "growth")


def _table(name: str, data: dict[str, dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in data.values() for column in row))
    rows = [[subject, *(str(row.get(column, "")) for column in columns)] for subject, row in data.items()]
    emit(name, {"columns": ["", *columns]}, rows, None)


def _ratios(table: dict[str, dict[str, Any]], subject: str) -> None:
    """Adds how many times the CPU of ``subject`` each row needs."""
    for row in table.values():
        row["times_ours"] = round(row["cpu_ms"] / table[subject]["cpu_ms"], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each level of HTTP clients")
    parser.add_argument("--jobs", type=int, default=10_000, help="of the growth section")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"unknown section {', '.join(sorted(unknown))}; known are {', '.join(SECTIONS)}")
    wanted = arguments.sections or SECTIONS
    data: dict[str, Any] = {}
    for workers in (1, 2):
        for section, module, subject in (
            ("humaneval", sandbox_humaneval, "sandbox, unit"),
            ("stdin", sandbox_stdin, "sandbox, judge"),
        ):
            if section in wanted:
                table = module.run(arguments.rounds, workers)
                _ratios(table, subject)
                data[f"{section}, {workers} workers"] = table
                _table(f"{section}, {workers} workers", table)
    if "languages" in wanted:
        data["languages"] = sandbox_languages.run(max(5, arguments.rounds))
        _table("languages: compiling", data["languages"])
    if "http" in wanted:
        data["http"] = sandbox_http.run(arguments.seconds, workers=2)
        _table("HTTP: latency in ms", data["http"])
    if "profile" in wanted:
        data["profile"] = sandbox_growth.profile(300)
        for name, rows in data["profile"].items():
            emit(name, {}, [[key, str(value)] for key, value in rows.items()], None)
    if "growth" in wanted:
        counts = [count for count in (1, 10, 100, 1000, 10_000) if count < arguments.jobs]
        data["growth"] = sandbox_growth.growth((*counts, arguments.jobs), workers=2)
        _table("growth", data["growth"])
    if arguments.out:
        emit("sandbox", data, [["sections", ", ".join(data)]], arguments.out)


if __name__ == "__main__":
    main()
