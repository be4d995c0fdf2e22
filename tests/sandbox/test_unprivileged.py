"""The attack and the honest suite once more, as an ordinary user: other namespaces, other limits, the same containment."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
UID = 1000

# The interpreter may lie where that user may not go (a home of mode 0700): a private mount namespace shows its prefix alone.
REACH = """
set -e
prefix={prefix}; home={home}
if [ -n "$home" ]; then
    hold=$(mktemp -d)
    mount --bind "$prefix" "$hold"
    mount -t tmpfs -o mode=755 none "$home"
    mkdir -p "$prefix"
    mount --bind "$hold" "$prefix"
fi
exec setpriv --reuid {uid} --regid {uid} --clear-groups --inh-caps=-all "$@"
"""


def closed_directory(path: Path) -> str:
    """The outermost directory above ``path`` that others may not enter; empty if there is none."""
    for directory in [*reversed(path.parents), path]:
        if not directory.stat().st_mode & 0o001:
            return str(directory)
    return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the suite itself runs as this one")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("suite", ["attacks", "honest"])
def test_suite_passes_as_an_ordinary_user(suite: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for path in (HERE, Path(sys.prefix)):
        if closed_directory(path.resolve()):
            pytest.skip(f"uid {UID} may not enter {closed_directory(path.resolve())}, which holds {path}")
    scratch = Path(f"/tmp/ringlite-unprivileged-{os.getpid()}-{suite}")
    scratch.mkdir()
    os.chown(scratch, UID, UID)
    base = Path(sys.base_prefix).resolve()
    script = REACH.format(prefix=shlex.quote(str(base)), home=shlex.quote(closed_directory(base)), uid=UID)
    pytest_arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={scratch}/t", str(HERE / suite)]
    environment = {
        **os.environ,
        "HOME": str(scratch),
        "RINGLITE_CACHE": f"{scratch}/cache",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment["PYTHONPATH"] = str(HERE.parents[1])
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *pytest_arguments],
            env=environment,
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["rm", "-rf", str(scratch)], check=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 60
