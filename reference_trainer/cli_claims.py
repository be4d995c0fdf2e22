"""``ringlite train claims``: what of the paper's findings shows at the toy's scale."""

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError


def claims(
    names: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Claims; default: all five.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds with commas between.")] = "0,1,2,3,4",
    recipe: Annotated[str, typer.Option(help="Shipped recipe or YAML file.")] = "claims",
    change: Annotated[list[str] | None, typer.Option("--set", help="A setting of the recipe; repeatable.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of the trainings; an interrupted run goes on there.")] = Path(
        "runs/claims"
    ),
    out: Annotated[Path, typer.Option(help="Folder of the ledger.")] = Path("results/claims"),
) -> None:
    """Test the paper's findings: train what each needs, once, and write numbers, plot and verdict."""
    import torch

    from reference_trainer.claims import prove, table
    from reference_trainer.recipe import load_recipe, parse_changes

    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {seeds}: write whole numbers with commas between, e.g. 0,1,2,3,4") from None
    loaded = load_recipe(recipe, parse_changes(change or []))
    torch.set_num_threads(loaded.threads)
    asked = [*(names or []), "--seeds", seeds, "--recipe", recipe, *(f"--set {text}" for text in change or [])]
    command = " ".join(["ringlite train claims", *asked])
    records = prove(names or [], loaded, numbers, work, out, command, lambda what: typer.echo(what, err=True))
    for record in records:
        typer.echo(f"{record['name']}: {record['verdict']}")
        for part in record["parts"]:
            typer.echo(f"  {part['verdict']}: {part['statement']} {part['why']}")
    (out / "table.md").write_text(table(out), encoding="utf-8")
    typer.echo(f"ledger: {out}")
