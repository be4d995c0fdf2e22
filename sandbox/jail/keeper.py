"""Entry point of a worker: the keeper stays outside, the zygote becomes process 1 of a container of its own.

``python keeper.py CONTROL_FD DRIVER_PIDFD``. The keeper makes the control group, maps the user ids and waits; when the
driver, the zygote or it itself is told to end, nothing of the worker stays behind.
"""

import _socket
import contextlib
import json
import marshal
import os
import resource
import select
import signal
import sys
from typing import Any, NoReturn

_HERE = os.path.dirname(os.path.abspath(__file__))
_STACK_BYTES = 64 << 30
ID_RANGE_BASE, ID_RANGE = 1 << 19, 1 << 16


def _raise_stack_limit() -> None:
    """The room below a stack is fixed when the process is executed, so the zygote must start with a high limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(hard, _STACK_BYTES)
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{place}"[:4000]


def _keep_free(*fds: int) -> list[int]:
    """Has all that is opened from now on get numbers above those of jobs; moves ``fds`` there."""
    from sandbox.jail.zygote import FIRST_OWN_FD

    for fd in range(3, FIRST_OWN_FD):
        if fd not in fds:
            os.dup2(0, fd)
    moved = [os.dup(fd) for fd in fds]
    for fd in fds:
        os.dup2(0, fd)
    return moved


def _keep(config: dict[str, Any], control: _socket.socket, driver: int) -> int:
    from sandbox.jail import cgroup, zygote
    from sandbox.jail import syscalls as sc

    group = None
    if config["cgroup"]:
        cgroup.sweep()
        group = cgroup.Group()
    try:
        return _start(config, control, driver, group, zygote, sc)
    finally:
        if group:
            group.remove()


def _start(config: dict[str, Any], control: _socket.socket, driver: int, group: Any, zygote: Any, sc: Any) -> int:
    privileged = os.geteuid() == 0
    uid, gid = os.geteuid(), os.getegid()
    if privileged:
        sc.unshare(sc.CLONE_NEWPID)
    else:
        sc.unshare(sc.CLONE_NEWUSER | sc.CLONE_NEWPID)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"1000 {uid} 1")
        _write("/proc/self/gid_map", f"1000 {gid} 1")
    base = ID_RANGE_BASE + os.getpid() % 20000 * ID_RANGE
    meter = group.open() if group else None
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become_zygote(config, control, driver, meter, theirs, base if privileged else -1, zygote)
    control.close()
    theirs.close()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGKILL))
    if group:
        group.add(pid)
        with contextlib.suppress(OSError):  # needs CAP_SYS_RESOURCE; jobs volunteer anyway
            _write(f"/proc/{pid}/oom_score_adj", "-1000")
    ours.sendall(b"g")
    while word := ours.recv(1):
        if word == b"u":
            _write(f"/proc/{pid}/uid_map", f"0 {base} {ID_RANGE}")
            _write(f"/proc/{pid}/gid_map", f"0 {base} {ID_RANGE}")
        ours.sendall(b"g")
    child = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(child, select.POLLIN)
    poll.register(driver, select.POLLIN)
    poll.poll()
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return 0 if os.WIFEXITED(status) else 1


def _become_zygote(
    config: dict[str, Any],
    control: _socket.socket,
    driver: int,
    meter: Any,
    sync: _socket.socket,
    base: int,
    zygote: Any,
) -> NoReturn:
    try:
        zygote.run(config, control, driver, meter, sync, base)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            control.send(json.dumps({"error": _where(error)}).encode())
    finally:
        os._exit(1)


def main() -> NoReturn:
    """Starts the worker and waits for its end."""
    _raise_stack_limit()
    control_fd, driver = int(sys.argv[1]), int(sys.argv[2])
    sys.path.insert(0, os.path.dirname(os.path.dirname(_HERE)))
    control_fd, driver = _keep_free(control_fd, driver)
    control = _socket.socket(fileno=control_fd)
    config = marshal.loads(control.recv(1 << 20))
    code = 1
    try:
        code = _keep(config, control, driver)
    except BaseException as error:
        message = _where(error)
        if control.fileno() >= 0:
            control.send(json.dumps({"error": message}).encode())
        else:
            os.write(2, message.encode())
    os._exit(code)


if __name__ == "__main__":
    main()
