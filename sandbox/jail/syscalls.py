"""The few system calls that Python 3.11 has no function for."""

import ctypes
import os

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_SYS_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)
raw_prctl = ctypes.CDLL(None).prctl  # without errno, whose bookkeeping costs each job a few pages
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Moves the caller (for a pid namespace: its children) into new namespaces."""
    _check(_libc.unshare(ctypes.c_int(flags)), f"unshare({flags:#x})")


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = (source.encode(), target.encode(), fstype.encode(), ctypes.c_ulong(flags), data.encode())
    _check(_libc.mount(*arguments), f"mount {fstype or source} on {target}")


def umount(target: str) -> None:
    """Detaches a mount."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def restrict_mount(target: str, attributes: int, recursive: bool = True) -> None:
    """Adds read-only, nosuid or nodev to a mount and, with ``recursive``, to all below it (Linux 5.12)."""
    attr = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    _check(
        _syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR),
            ctypes.c_int(at_fdcwd),
            target.encode(),
            ctypes.c_uint(at_recursive if recursive else 0),
            ctypes.byref(attr),
            ctypes.c_size_t(ctypes.sizeof(attr)),
        ),
        f"mount_setattr {target}",
    )


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _check(_syscall(ctypes.c_long(number), new.encode(), old.encode()), "pivot_root")


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """prctl(2) with integer arguments."""
    return int(_check(_libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), 0, 0), f"prctl({option})"))


def set_thread_stack(size: int) -> None:
    """Stack of new threads; the C library took it from the stack limit when the process was executed."""
    attributes = ctypes.create_string_buffer(64)
    _libc.pthread_attr_init(attributes)
    _libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(size))
    _libc.pthread_setattr_default_np(attributes)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def set_capabilities(mask: int) -> None:
    """Sets effective and permitted capabilities to ``mask`` and clears the inheritable ones."""
    header = _CapHeader(0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    number = ctypes.c_long(_SYS_CAPSET[os.uname().machine])
    _check(_syscall(number, ctypes.byref(header), ctypes.byref(data)), "capset")


def install_filter(program: bytes) -> None:
    """Installs a seccomp BPF program (8 bytes an instruction) for the caller and all its children."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    prctl(PR_SET_NO_NEW_PRIVS, 1)
    fprog = Program(len(program) // 8, program)
    mode_filter = 2
    _check(_libc.prctl(PR_SET_SECCOMP, mode_filter, ctypes.byref(fprog), 0, 0), "seccomp")


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """A raw system call; integers are passed as longs, bytes as pointers."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(_check(_syscall(ctypes.c_long(number), *converted), f"syscall {number}"))
