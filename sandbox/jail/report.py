"""What a zygote tells the driver of a job: a record of fixed size, then text. Reading it runs nothing."""

import struct

OVER = ("", "cpu", "wall", "memory", "output", "stopped", "mark")
_RECORD = struct.Struct("=BBqddq")


def pack(
    over: str, status: int | None, cpu: float, wall: float, peak: int, healthy: bool = True, trouble: bytes = b""
) -> bytes:
    """The message. ``over``: one of ``OVER``; seconds and bytes; ``status``: that of waitpid; ``trouble``: UTF-8."""
    head = _RECORD.pack(OVER.index(over), healthy, -1 if status is None else status, cpu, wall, peak)
    return head + trouble if trouble else head


def unpack(message: bytes) -> tuple[str, int | None, float, float, int, bool, str]:
    """The arguments of ``pack``.

    Raises:
        ValueError: The message is none of ``pack``.
    """
    try:
        over, healthy, status, cpu, wall, peak = _RECORD.unpack_from(message)
        trouble = message[_RECORD.size :].decode("utf-8", "replace")
        return OVER[over], None if status < 0 else status, cpu, wall, peak, bool(healthy), trouble
    except (struct.error, IndexError) as error:
        raise ValueError(f"malformed report: {error}") from None
