"""``doctor``: what this host can enforce, what is missing and how to get it, and the level that follows."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.container import Confinement, Container, ContainerLost
from sandbox.errors import IsolationUnavailable
from sandbox.jail import landlock, seccomp
from sandbox.languages import REGISTRY, load
from sandbox.levels import cgroup_state, confine, user_namespaces


@dataclass(frozen=True)
class Check:
    """One thing that a host may or may not give.

    Attributes:
        name: What it is.
        ok: Whether it is there.
        detail: What was found.
        remedy: How to get it; empty if it is there.
        needed_for: The weakest level that needs it; empty: no level does, it is a second fence.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed_for: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that ``doctor`` found. ``level``: the strongest level that this host keeps; empty: none."""

    checks: tuple[Check, ...]
    level: str
    isolation: str
    problem: str = ""
    languages: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the level ``full`` can be had."""
        return bool(self.level)


def doctor() -> Diagnosis:
    """Examines this host, and proves the result by starting a container at that level."""
    checks = [_system_calls(), _namespaces(), _limits(), _landlock(), _stack(), _oom()]
    level, words, problem = "", "", ""
    for candidate in ("strict", "full"):
        try:
            confinement, words = confine(candidate)
            problem = _prove(confinement)
        except IsolationUnavailable as error:
            problem = str(error)
            continue
        if not problem:
            level = candidate
            break
    checks.append(
        Check("a container starts", bool(level), words if level else problem, problem and "see above", "full")
    )
    languages = {name: load(name).available() or "" for name in REGISTRY}
    return Diagnosis(tuple(checks), level, words if level else "", "" if level else problem, languages)


def _prove(confinement: Confinement) -> str:
    from sandbox.languages.python import image

    try:
        container = Container(image("doctor", (), ()), 1024, confinement)
    except (IsolationUnavailable, ContainerLost, OSError) as error:
        return str(error)
    container.close()
    return ""


def _system_calls() -> Check:
    machine = os.uname().machine
    if seccomp.supported():
        return Check("system call filter (seccomp)", True, f"filter for {machine}", needed_for="full")
    return Check("system call filter (seccomp)", False, f"no filter for {machine}", "use x86_64 or aarch64", "full")


def _namespaces() -> Check:
    forbidden = user_namespaces()
    if os.geteuid() == 0:
        detail = "root makes its own" + ("" if not forbidden else f"; no user namespace on top: {forbidden}")
        return Check("namespaces", True, detail, needed_for="full")
    remedy = f"{forbidden}; or run as root (in Docker: --security-opt seccomp=unconfined)" if forbidden else ""
    return Check("namespaces", not forbidden, forbidden or "through a user namespace", remedy, "full")


def _limits() -> Check:
    version, why = cgroup_state()
    if version:
        return Check(
            "limits kept by the kernel (cgroup)", True, f"cgroup {version}: memory and tasks", needed_for="strict"
        )
    detail = (
        "memory and CPU of the process tree are sampled every 10 ms instead: a burst may go over before it is ended"
    )
    return Check("limits kept by the kernel (cgroup)", False, detail, why, "strict")


def _landlock() -> Check:
    abi = landlock.abi()
    remedy = "" if abi else "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK and lsm=...,landlock"
    return Check("Landlock", abi > 0, f"ABI {abi}" if abi else "not in this kernel", remedy)


def _stack() -> Check:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard == resource.RLIM_INFINITY:
        return Check("stack as large as the memory limit", True, "no hard limit")
    remedy = "raise it: ulimit -Hs unlimited"
    return Check("stack as large as the memory limit", False, f"hard limit {hard >> 20} MiB", remedy)


def _oom() -> Check:
    """Only CAP_SYS_RESOURCE keeps the zygote from the kernel's out-of-memory killer; jobs volunteer before it."""
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    able = bool(effective >> 24 & 1)
    detail = "workers are exempt from it" if able else "jobs are chosen before their worker"
    return Check("out-of-memory killer", True, detail)
