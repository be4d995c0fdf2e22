"""What of vLLM there is: its classes need the package alone, its engine a GPU or the build for CPUs."""

import importlib.util
from functools import cache

import pytest

INSTALLED = importlib.util.find_spec("vllm") is not None

needs_classes = pytest.mark.skipif(not INSTALLED, reason="vLLM is not installed: pip install 'ringlite[vllm]'")


@cache
def device() -> str | None:
    """ "cuda" or "cpu", where the installed vLLM runs; None where it does not."""
    if not INSTALLED:
        return None
    from vllm.platforms import current_platform

    return "cuda" if current_platform.is_cuda() else "cpu" if current_platform.is_cpu() else None


def need_engine() -> str:
    """The device, or the skip of a test that has to run vLLM."""
    if not INSTALLED:
        pytest.skip("vLLM is not installed: pip install 'ringlite[vllm]'")
    found = device()
    if found is None:
        pytest.skip("this vLLM sees no device that it runs on: it needs a GPU, or its build for CPUs")
    return found
