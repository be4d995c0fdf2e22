"""Planning a recipe for a cluster: memory, tokens, steps and hours, and a simulator of reinforcement-learning steps."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_trainer.recipe import Recipe


def print_plan(recipe: "Recipe") -> None:
    """Prints the plan of a recipe on the machine of its ``plan`` section; see ``plan.plan``."""
    # A recipe holds plan settings, so this package is imported before recipes are there.
    import typer

    from reference_trainer.plan.plan import plan
    from reference_trainer.plan.render import render

    typer.echo(render(plan(recipe)))
