"""The ``ringlite`` command: puts the command groups of the three floors together and loads each only when called."""

import importlib
import importlib.metadata
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# verb -> (module, attribute, one-line help). The help stands here so that ``ringlite --help`` imports nothing heavy.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "score": ("harness.cli.score", "app", "Sample a model on benchmarks, grade, score and compare with the paper."),
    "grade": ("harness.cli.grade", "app", "Grade saved generations or single answers; needs no model."),
    "benchmarks": ("harness.cli.benchmarks", "app", "List the benchmarks and whether their data can be reached."),
    "data": ("harness.cli.data", "app", "Pin, check and fetch the rows that scores rest on."),
    "plan": ("harness.cli.plan", "app", "Before a run: what it costs, what it can decide, when it may stop."),
    "verify": ("harness.cli.verify", "app", "Check that a run folder is whole and shows what it claims."),
    "audit": ("harness.cli.audit", "app", "Check a table of published numbers for granularity, averages, bold marks."),
    "report": ("harness.cli.report", "app", "Render the table and the HTML page of a run folder again."),
    "codeforces": ("harness.cli.codeforces", "app", "Rate submissions against real contest standings."),
    "sandbox": ("sandbox.cli", "app", "Run, judge and serve untrusted code in isolation."),
    "train": ("reference_trainer.cli", "app", "Train by a recipe behind gates; toy data, curation, plans, claims."),
}


class _LazyGroup(TyperGroup):
    """A group whose commands are typer apps of the floors below, imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports the floor that owns the verb and returns its command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        floor = importlib.import_module(module)
        if cmd_name == "sandbox":  # it knows nothing of the floor above, so it is told what that has for it
            floor.ELSEWHERE["ray"] = "harness.executors.judging:RaySandbox"
        command = typer.main.get_command(getattr(floor, attribute))
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


app = typer.Typer(
    cls=_LazyGroup,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ringlite {importlib.metadata.version('ringlite')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Does this checkpoint really reach the number in the paper?"""


def main() -> None:
    """Entry point: one sentence on standard error and a stable exit code for every expected failure."""
    try:
        app()
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
