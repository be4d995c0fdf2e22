"""Lets all tox environments share one virtual environment (they differ in what they run, not in what they need).

tox recreates an environment folder whenever an environment of another name uses it. Thirteen copies of PyTorch
would cost more time than the tests, so the runner ``shared`` leaves the name out of that comparison.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class _NamelessInfo(Info):
    @contextmanager
    def compare(self, value: Any, section: str, sub_section: str | None = None) -> Iterator[tuple[bool, Any]]:
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        with super().compare(value, section, sub_section) as outcome:
            yield outcome


class SharedRunner(VirtualEnvRunner):
    """A virtual environment that several tox environments use in turn."""

    @staticmethod
    def id() -> str:
        """Name of the runner in ``tox.ini``."""
        return "shared"

    @property
    def cache(self) -> Info:
        """State of the last set-up, without the environment's name."""
        return _NamelessInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Registers the runner; tox calls this hook at start."""
    register.add_run_env(SharedRunner)
