"""A command group whose first word may be left out: ``ringlite grade FILE`` beside ``ringlite grade answers``."""

from typing import Any

from typer.core import TyperGroup


class DefaultCommandGroup(TyperGroup):
    """Runs the command ``default`` when the first argument names no command of the group."""

    default = "generations"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default command's name in front where it was left out; ``--help`` is then that command's."""
        if not args or args[0] not in self.commands:
            args = [self.default, *args]
        return super().parse_args(ctx, args)
