"""The root of a container: a small tmpfs with read-only binds, a few devices and one scratch tmpfs."""

import contextlib
import os
from typing import Any

from sandbox.jail import syscalls as sc

_DEVICES = ("null", "zero", "full", "random", "urandom")
_BASE = "/tmp"  # any directory will do: only this mount namespace sees what is mounted on it
_MERGED = ("/bin", "/lib", "/lib64")  # links into /usr on most systems
SCRATCH = ("/box", "/tmp", "/dev/shm")
SCRATCH_INODES = 16384


def visible(path: str) -> str:
    """Where a bind of ``path`` appears in the container: the same place, unless a scratch directory would cover it."""
    return f"/below{path}" if path.startswith(tuple(f"{directory}/" for directory in SCRATCH)) else path


def build(image: dict[str, Any], scratch_kb: int, uid: int) -> int:
    """Makes the root in a mount namespace of the caller's own and moves into it.

    Returns:
        A descriptor of a private /proc that shows every process of the container; -1 where proc may not be mounted.
    """
    sc.mount("", "/", "", sc.MS_REC | sc.MS_PRIVATE)
    covered = set(_existing(image["hidden"]))
    sources = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in _existing(image["binds"])}
    devices = {name: os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC) for name in _DEVICES}
    root = _BASE
    sc.mount("tmpfs", root, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=4m,nr_inodes=4096,mode=0755")
    for directory in ("dev", "etc", "proc", "old", *(path[1:] for path in SCRATCH)):
        os.makedirs(f"{root}/{directory}", exist_ok=True)
    for path in sorted(covered | sources.keys()):  # parents come first, so a bind may lie in a covered directory
        if path in sources:
            _bind(sources[path], root + visible(path))
        elif os.path.isdir(root + path):
            sc.mount("tmpfs", root + path, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=256k,mode=0755")
    for path in sorted(covered | sources.keys()):
        if path in sources or os.path.isdir(root + path):
            sc.restrict_mount(root + visible(path), sc.MOUNT_ATTR_RDONLY | sc.MOUNT_ATTR_NOSUID | sc.MOUNT_ATTR_NODEV)
    for name, fd in devices.items():
        _bind(fd, f"{root}/dev/{name}")
        sc.restrict_mount(f"{root}/dev/{name}", sc.MOUNT_ATTR_NOSUID)
    for fd in (*sources.values(), *devices.values()):
        os.close(fd)
    _write_files(root, image["files"])
    links = {
        "/dev/fd": "/proc/self/fd",
        **{f"/dev/std{n}": f"/proc/self/fd/{i}" for i, n in enumerate(("in", "out", "err"))},
    }
    links.update({path: os.readlink(path) for path in _MERGED if os.path.islink(path)})
    for path, target in [*links.items(), *image["links"]]:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        if not os.path.lexists(root + path):
            os.symlink(target, root + path)
    _mount_scratch(root, scratch_kb, uid)
    proc = _mount_proc(root)
    os.chdir(root)
    sc.pivot_root(".", "old")
    os.chdir("/")
    sc.umount("/old")
    os.rmdir("/old")
    sc.restrict_mount("/", sc.MOUNT_ATTR_RDONLY, recursive=False)
    return proc


def _existing(paths: list[str], root: str = "") -> list[str]:
    return [path for path in paths if os.path.exists(root + path)]


def _bind(fd: int, target: str) -> None:
    source = f"/proc/self/fd/{fd}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    sc.mount(source, target, "", sc.MS_BIND | sc.MS_REC)


def _write_files(root: str, files: list[list[str]]) -> None:
    accounts = [
        ["/etc/passwd", "root:x:0:0::/:/bin/false\nsandbox:x:1000:1000::/box:/bin/false\n"],
        ["/etc/group", "root:x:0:\nsandbox:x:1000:\n"],
    ]
    for path, content in accounts + files:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        fd = os.open(root + path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        os.write(fd, content.encode("latin-1"))
        os.close(fd)


def _mount_scratch(root: str, scratch_kb: int, uid: int) -> None:
    """One tmpfs bounds /box, /tmp and /dev/shm together; nothing on it is executable by set-user-id or a device."""
    flags = sc.MS_NOSUID | sc.MS_NODEV
    holder = f"{root}/old"
    sc.mount("tmpfs", holder, "tmpfs", flags, f"size={max(scratch_kb, 4)}k,nr_inodes={SCRATCH_INODES},mode=0755")
    for path in SCRATCH:
        part = f"{holder}/{path.rsplit('/', 1)[1]}"
        os.mkdir(part)
        os.chown(part, uid, -1)
        os.chmod(part, 0o1777)
        os.utime(part, (0, 0))
        sc.mount(part, root + path, "", sc.MS_BIND)
    sc.umount(holder)


def _mount_proc(root: str) -> int:
    flags = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC
    target = f"{root}/proc"
    full = -1
    with contextlib.suppress(OSError):
        sc.mount("proc", target, "proc", flags, "subset=pid")
        full = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        sc.umount(target)
        sc.mount("proc", target, "proc", flags, "subset=pid,hidepid=2")
    return full
