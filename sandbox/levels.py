"""Levels of isolation: what each promises, and what this host can keep."""

import os
from functools import cache
from pathlib import Path
from typing import Literal

from sandbox.container import Confinement
from sandbox.errors import IsolationUnavailable
from sandbox.jail import cgroup, landlock, seccomp

Isolation = Literal["strict", "full"]


@cache
def cgroup_state() -> tuple[str, str]:
    """Version of the control groups that can be used ("" if none), and why not."""
    try:
        return cgroup.probe(), ""
    except (cgroup.Unavailable, OSError) as error:
        return "", str(error)


def user_namespaces() -> str:
    """Why this host gives no user namespaces; empty if nothing forbids them."""
    settings = {
        "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
        "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile with userns",
        ),
    }
    for path, (forbidding, remedy) in settings.items():
        file = Path(path)
        if os.geteuid() == 0 and "unprivileged" in path:
            continue
        if file.exists() and file.read_text().strip() == forbidding:
            return f"{path} is {forbidding}; set it with: {remedy}"
    return ""


def confine(isolation: Isolation) -> tuple[Confinement, str]:
    """What containers are to enforce for a level, and the level in words as results carry it.

    Raises:
        IsolationUnavailable: This host cannot keep it.
    """
    if isolation not in ("strict", "full"):
        raise IsolationUnavailable(f"isolation: {isolation!r} is unknown; known are 'strict' and 'full'")
    if not seccomp.supported():
        raise IsolationUnavailable(f"seccomp: the filter does not know the architecture {os.uname().machine}")
    forbidden = user_namespaces()
    root = os.geteuid() == 0
    if forbidden and not root:
        raise IsolationUnavailable(
            f"user namespaces are not available to uid {os.geteuid()}: {forbidden}; or run as root"
        )
    version, why = cgroup_state()
    if isolation == "strict" and not version:
        raise IsolationUnavailable(f"isolation 'strict' needs control groups: {why}")
    abi = landlock.abi()
    parts = [
        "root" if root else "unprivileged",
        "pid, mount, network, ipc, uts and cgroup namespaces",
        *([] if root and forbidden else ["user namespace"]),
        "read-only root",
        "seccomp",
        *([f"landlock {abi}"] if abi else []),
        f"cgroup {version}" if version else "memory and CPU of the tree sampled",
    ]
    confinement = Confinement(cgroup=bool(version), userns=not forbidden, landlock=abi > 0)
    return confinement, f"{isolation} ({', '.join(parts)})"
