"""One writer a run folder, kept apart by the kernel."""

import fcntl
import os
import threading
from pathlib import Path

from harness.errors import UsageError

_open_here: set[str] = set()
_open_here_lock = threading.Lock()


class FolderLock:
    """Keeps two writers apart.

    A POSIX record lock belongs to the process: it falls with it, and forked workers that outlive it do not keep it. It
    says nothing between threads of one process, hence the set.
    """

    def __init__(self, folder: Path) -> None:
        self._key = str(folder.resolve())
        with _open_here_lock:
            if self._key in _open_here:
                raise UsageError(f"the run folder {folder} is open in this process already")
            self._fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(self._fd, 32).decode(errors="replace").strip()
                os.close(self._fd)
                who = f"another process ({holder})" if holder else "another process"
                raise UsageError(
                    f"{who} is writing to the run folder {folder}; wait for it or choose another with --out"
                ) from None
            os.ftruncate(self._fd, 0)
            os.write(self._fd, str(os.getpid()).encode())
            _open_here.add(self._key)

    def release(self) -> None:
        """Lets the next writer in."""
        with _open_here_lock:
            os.close(self._fd)
            _open_here.discard(self._key)
