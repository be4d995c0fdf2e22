"""Landlock: a second fence around the file system and, from ABI 6, around signals and abstract sockets."""

import ctypes
import os
import struct

from sandbox.jail.syscalls import PR_SET_NO_NEW_PRIVS, prctl, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << n for n in range(6, 13))
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2
_NET_BIND, _NET_CONNECT = 1, 2


def abi() -> int:
    """The Landlock ABI of this kernel; 0 where there is none."""
    try:
        return syscall(_CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(writable: tuple[str, ...]) -> None:
    """Forbids the caller and its children to write outside ``writable``, to use TCP and to signal out of the fence."""
    version = abi()
    rights = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE
    rights |= _MAKE_CHAR | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_BLOCK | _MAKE_SYM
    beneath = rights & ~(_MAKE_CHAR | _MAKE_BLOCK)
    if version >= 2:
        rights, beneath = rights | _REFER, beneath | _REFER
    if version >= 3:
        rights, beneath = rights | _TRUNCATE, beneath | _TRUNCATE
    net = _NET_BIND | _NET_CONNECT if version >= 4 else 0
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if version >= 6 else 0
    attributes = struct.pack("=QQQ", rights, net, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = syscall(_CREATE, attributes, size, 0)
    for path in writable:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = beneath if os.path.isdir(path) else _WRITE_FILE | (_TRUNCATE if version >= 3 else 0)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, fd))
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
        os.close(fd)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)
