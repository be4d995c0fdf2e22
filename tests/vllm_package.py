"""Checks our code against vLLM's own: strict mypy over its sources, and the tests that need its classes.

    python tests/vllm_package.py FOLDER VERSION...

The Python files of each version are unpacked into FOLDER, without the kernels, so that neither a GPU nor vLLM's version
of torch is needed. Two things then have to hold: mypy finds nothing wrong in our modules, and it does find each of a
few wrong names and arguments that are put into them.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What vLLM imports before any of the classes that are used here, beside what our own extras bring.
TYPED = ["msgspec==0.22.0"]  # vLLM's SamplingParams is one of its structures
LIBRARIES = [
    "cachetools==8.0.1",
    "cbor2==6.3.0",
    "pyzmq==27.3.0",
    "openai-harmony==0.0.8",
    "pybase64==1.5.1",
    "uvloop==0.23.0",
]
ENGINE, OUTPUTS, WEIGHTS = (f"reference_trainer/rollout/vllm_{name}.py" for name in ("engine", "outputs", "weights"))
BACKEND, SAMPLES = "harness/backends/vllm.py", "harness/backends/vllm_samples.py"
TESTS = ["tests/harness/test_vllm.py", "tests/reference_trainer/rollout/test_vllm_engine.py"]
# One mistake of each kind that a new version of vLLM could make of our code: module, what stands there, what is put in
# its place, and the name that mypy has to complain of.
MISTAKES = [
    (ENGINE, "sleep(level=", "sleep(depth=", "depth"),
    (ENGINE, "enable_sleep_mode=", "sleep_mode=", "sleep_mode"),
    (ENGINE, "llm_engine.engine_core.shutdown()", "llm_engine.core.shutdown()", "core"),
    (OUTPUTS, "output.finish_reason", "output.reason", "reason"),
    (OUTPUTS, "flat_logprobs=True", "logprobs_flat=True", "logprobs_flat"),
    (WEIGHTS, "worker.reload_weights(", "worker.renew_weights(", "renew_weights"),
    (BACKEND, "tensor_parallel_size=", "tensor_parallel=", "tensor_parallel"),
    (BACKEND, "_engine.model_config.max_model_len", "_engine.model_config.max_length", "max_length"),
    (SAMPLES, "top_k=params.top_k", "topk=params.top_k", "topk"),
    (SAMPLES, "output.stop_reason", "output.stopped_by", "stopped_by"),
]


def unpack(version: str, folder: Path) -> Path:
    """Python files of one version, fetched once."""
    place = folder / version
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            pip("download", "--no-deps", "--only-binary", ":all:", "--dest", scratch, f"vllm=={version}")
            [wheel] = Path(scratch).glob("vllm-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.endswith(".py") or ".dist-info/" in name]
                archive.extractall(Path(scratch) / "files", names)
            (Path(scratch) / "files").rename(place)
    return place


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet"], check=True)


def mypy(paths: list[Path], shadows: dict[str, str]) -> str:
    """What mypy says of our modules, some of them with other contents."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--config-file=", "--strict", "--no-warn-return-any", "--no-site-packages", "--python-version=3.11"]
        options += ["--ignore-missing-imports", "--follow-imports=silent", f"--cache-dir={paths[0]}-mypy"]
        for number, (module, content) in enumerate(shadows.items()):
            shadow = Path(scratch) / f"{number}.py"
            shadow.write_text(content)
            options += ["--shadow-file", module, str(shadow)]
        run = subprocess.run(
            [sys.executable, "-m", "mypy", *options, ENGINE, OUTPUTS, WEIGHTS, BACKEND, SAMPLES],
            cwd=ROOT,
            env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, paths))},
            capture_output=True,
            text=True,
        )
    if run.returncode not in (0, 1):
        sys.exit(f"mypy failed: {run.stdout}{run.stderr}")
    return run.stdout if run.returncode else ""


def check(version: str, paths: list[Path]) -> None:
    """Raises SystemExit where our modules do not fit this version, or mypy would not see it."""
    if found := mypy(paths, {}):
        sys.exit(f"our modules do not fit vLLM {version}:\n{found}")
    contents = {module: (ROOT / module).read_text() for module, *_ in MISTAKES}
    for module, right, wrong, _ in MISTAKES:
        if right not in contents[module]:
            sys.exit(f"{module} does not hold {right!r} any more: name another mistake in {__file__}")
        contents[module] = contents[module].replace(right, wrong, 1)
    found = mypy(paths, contents)
    for module, _, wrong, name in MISTAKES:
        if not any(line.startswith(module) and f'"{name}"' in line for line in found.splitlines()):
            sys.exit(f"mypy does not see the mistake {wrong!r} in {module} under vLLM {version}; it said:\n{found}")


def main(folder: Path, versions: list[str]) -> None:
    """Fetches and checks every version."""
    folder.mkdir(parents=True, exist_ok=True)
    typed, libraries = folder / "typed", folder / "libraries"
    for place, names in ((typed, TYPED), (libraries, LIBRARIES)):
        if not place.exists():
            pip("install", "--no-deps", "--target", str(place), *names)
    for version in versions:
        paths = [unpack(version, folder), typed]
        check(version, paths)
        print(f"vLLM {version}: types fit, and {len(MISTAKES)} mistakes are seen", flush=True)
        python_path = os.pathsep.join([*map(str, paths), str(libraries), os.environ.get("PYTHONPATH", "")])
        tests = [sys.executable, "-m", "pytest", "-q", "-m", "not gpu", *TESTS]
        if subprocess.run(tests, cwd=ROOT, env={**os.environ, "PYTHONPATH": python_path}).returncode:
            sys.exit(f"the tests fail with vLLM {version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
