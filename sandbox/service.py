"""The HTTP service: settings, start and clean end. What it answers stands in ``service_app``."""

import importlib.util
import ipaddress
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sandbox.errors import SandboxError
from sandbox.levels import Isolation

TOKEN_VARIABLE = "RINGLITE_SANDBOX_TOKEN"
_SERVE_MODULES = ("starlette", "uvicorn", "prometheus_client")


class ServiceSettings(BaseModel):
    """How the service is bound and bounded.

    Attributes:
        host: Address to bind.
        port: TCP port; 0 takes a free one.
        workers: Jobs that run at once; None: one per core.
        queue: Requests that may wait for a worker; above it the answer is 429.
        max_body_bytes: Larger request bodies are answered with 413.
        max_pending_bytes: Bodies held at once; above it the answer is 429.
        body_timeout_s: Seconds a client may take to send its body; then 408.
        token: Bearer token that every request but ``/health`` must carry; None only on loopback.
        isolation: Level of isolation of every job.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8321, ge=0, le=65535)
    workers: int | None = Field(None, ge=1)
    queue: int = Field(256, ge=0)
    max_body_bytes: int = Field(64 << 20, ge=1024)
    max_pending_bytes: int = Field(1 << 30, ge=1024)
    body_timeout_s: float = Field(60.0, gt=0)
    token: SecretStr | None = None
    isolation: Isolation = "full"

    @classmethod
    def from_options(cls, *, token_file: Path | None = None, **options: object) -> Self:
        """Settings of the command line; the token comes from ``token_file`` or ``RINGLITE_SANDBOX_TOKEN``.

        Raises:
            SandboxError: The token cannot be read or is empty, or there is none and ``host`` is not loopback.
        """
        token = _read_token(token_file)
        settings = cls.model_validate({**options, "token": token})
        if token is None and not is_loopback(settings.host):
            raise SandboxError(
                f"a service on {settings.host} can be reached from other machines and needs a token: "
                f"set {TOKEN_VARIABLE} or give --token-file, or bind to 127.0.0.1"
            )
        return settings


def _read_token(file: Path | None) -> str | None:
    if file is not None:
        try:
            token: str | None = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SandboxError(f"cannot read the token file {file}: {error}") from None
        origin = str(file)
    else:
        token, origin = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
        token = token.strip() if token is not None else None
    if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
        raise SandboxError(f"the token in {origin} must be one word of printable ASCII characters")
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def serve_forever(settings: ServiceSettings) -> int:
    """Serves until SIGTERM or SIGINT, finishes what was accepted, and returns the exit code 0.

    Raises:
        SandboxError: The extra ``serve`` is not installed, the address is taken, or the isolation is not to be had.
    """
    missing = [name for name in _SERVE_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise SandboxError(f"the HTTP service needs {', '.join(missing)}: pip install 'ringlite[serve]'")
    import uvicorn

    from sandbox import Sandbox
    from sandbox.service_app import create_app

    listener = _listen(settings.host, settings.port)
    with listener, Sandbox(workers=settings.workers, isolation=settings.isolation) as sandbox:
        # uvicorn raises the signal again once it has shut down; these handlers let that end in exit code 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: None)
        app = create_app(sandbox, settings)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="on")
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(  # noqa: T201 - the one line that tells a caller the port
            f"ringlite sandbox: http://{address} with {sandbox.workers} workers, isolation {settings.isolation}, "
            f"{'token required' if settings.token else 'no token (loopback only)'}",
            file=sys.stderr,
            flush=True,
        )
        uvicorn.Server(config).run(sockets=[listener])
        for number in (signal.SIGTERM, signal.SIGINT):  # everything is answered; a second signal changes nothing
            signal.signal(number, signal.SIG_IGN)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        raise SandboxError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener
