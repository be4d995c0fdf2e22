"""Warm containers, lent one job at a time and replaced when they are lost or soiled."""

import contextlib
import threading
from collections.abc import Iterator

from sandbox.container import Confinement, Container, ContainerLost
from sandbox.errors import SandboxError
from sandbox.languages import Image

RECYCLE_AFTER = 5000
"""Jobs that one container serves before a fresh one takes its place."""


class Pool:
    """Containers by image. At most ``workers`` jobs run at a time; a job may hold several containers."""

    def __init__(self, workers: int, confinement: Confinement) -> None:
        self.workers = workers
        self.confinement = confinement
        self.started = 0
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[Container] = []
        self._busy: set[Container] = set()
        self._closed = False
        self._most_idle = 4 * workers + 4

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Waits until one of the ``workers`` is free."""
        with self._slots:
            yield

    @contextlib.contextmanager
    def lease(self, image: Image, scratch_kb: int) -> Iterator[Container]:
        """Lends a clean container of ``image``.

        Raises:
            ContainerLost: None could be started.
        """
        container = self._take(image, scratch_kb) or self._start(image, scratch_kb)
        sound = False
        try:
            yield container
            sound = True
        finally:
            self._give_back(container, sound)

    def _take(self, image: Image, scratch_kb: int) -> Container | None:
        while True:
            container = self._idle_one(image, scratch_kb)
            if container is None or container.alive():
                return container
            self._give_back(container, sound=False)  # died while nobody used it

    def _idle_one(self, image: Image, scratch_kb: int) -> Container | None:
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            for at in range(len(self._idle) - 1, -1, -1):
                container = self._idle[at]
                if container.scratch_kb == scratch_kb and (container.image is image or container.image == image):
                    del self._idle[at]
                    self._busy.add(container)
                    return container
        return None

    def _start(self, image: Image, scratch_kb: int) -> Container:
        try:
            container = Container(image, scratch_kb, self.confinement)
        except OSError as error:
            raise ContainerLost(f"a worker cannot be started: {error}") from error
        with self._lock:
            self.started += 1
            self._busy.add(container)
        return container

    def _give_back(self, container: Container, sound: bool) -> None:
        surplus = None
        with self._lock:
            self._busy.discard(container)
            if self._closed or not sound or not container.healthy or container.jobs >= RECYCLE_AFTER:
                surplus = container
            else:
                self._idle.append(container)
                if len(self._idle) > self._most_idle:
                    surplus = self._idle.pop(0)
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Ends all idle containers; those at work end when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for container in idle:
            container.close()
