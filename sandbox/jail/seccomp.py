"""The one system call filter of all containers, as BPF.

Everything that an ordinary program needs is allowed; what opens new kernel interfaces, reaches other processes, changes
the host or would outlive a job is refused with an errno that programs know how to handle. Numbers: Linux 6.18's tables.
"""

import errno
import os
import struct

from sandbox.jail.syscalls import CLONE_NAMESPACES

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

# name: (x86_64, aarch64); -1: the architecture has no such call.
_REFUSED: dict[str, tuple[int, int]] = {
    # reach other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "ioprio_set": (251, 30),
    # mounts, roots, namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # wide kernel interfaces
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "seccomp": (317, 277),
    "personality": (135, 92),
    "modify_ldt": (154, -1),
    "memfd_secret": (447, 447),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, -1),
    "_sysctl": (156, -1),
    # the machine
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "acct": (163, 89),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    # what would outlive a job in a warm container: keys, System V and POSIX queues, extended attributes
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "file_setattr": (469, 469),
    # the network
    "socket": (41, 198),
    "bind": (49, 200),
    "listen": (50, 201),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
}
_CLONE, _CLONE3 = (56, 220), 435
_SOCKETPAIR = (53, 199)
_IOCTL = (16, 29)
_SETPRIORITY = (141, 140)
_MEMFD_CREATE = (319, 279)
# Allowed on the caller only (first argument 0): a uid may otherwise change every process of its own, the zygote
# included.
_OWN_ONLY = {
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX = 1

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _argument(index: int) -> bytes:
    return _op(_LD, 16 + 8 * index)  # low half; struct seccomp_data on little-endian machines


def _refuse(number: int) -> bytes:
    return _op(_RET, _ERRNO | number)


def supported() -> bool:
    """Whether the filter knows this machine's architecture."""
    return os.uname().machine in _ARCH


def program(memfd: bool) -> bytes:
    """The filter. ``memfd``: whether memfd_create is allowed (only where a cgroup bounds its memory)."""
    machine = os.uname().machine
    column = list(_ARCH).index(machine)
    out = [_op(_LD, 4), _op(_JEQ, _ARCH[machine], 1, 0), _op(_RET, _KILL), _op(_LD, 0)]
    if machine == "x86_64":
        out += [_op(_JGE, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]

    def guarded(number: int, body: list[bytes]) -> None:
        """``body`` runs for this call only, with the arguments to load, and ends in a return."""
        out.append(_op(_JEQ, number, 0, len(body)))
        out.extend(body)

    allow = _op(_RET, _ALLOW)
    guarded(_CLONE[column], [_argument(0), _op(_JSET, CLONE_NAMESPACES, 0, 1), _refuse(errno.EPERM), allow])
    guarded(_CLONE3, [_refuse(errno.ENOSYS)])  # its flags lie in memory, out of the filter's sight; libc falls back
    guarded(_SOCKETPAIR[column], [_argument(0), _op(_JEQ, _AF_UNIX, 1, 0), _refuse(errno.EAFNOSUPPORT), allow])
    terminal = [_argument(1), _op(_JEQ, _TIOCSTI, 1, 0), _op(_JEQ, _TIOCLINUX, 0, 1), _refuse(errno.EPERM), allow]
    guarded(_IOCTL[column], terminal)
    own_process = [_argument(0), _op(_JEQ, 0, 0, 2), _argument(1), _op(_JEQ, 0, 1, 0), _refuse(errno.EPERM), allow]
    guarded(_SETPRIORITY[column], own_process)
    for numbers in _OWN_ONLY.values():
        guarded(numbers[column], [_argument(0), _op(_JEQ, 0, 1, 0), _refuse(errno.EPERM), allow])
    if not memfd:
        guarded(_MEMFD_CREATE[column], [_refuse(errno.ENOSYS)])
    for numbers in _REFUSED.values():
        if numbers[column] >= 0:
            guarded(numbers[column], [_refuse(errno.EPERM)])
    out.append(allow)
    return b"".join(out)
