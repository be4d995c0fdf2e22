"""GPQA, read out of the authors' encrypted archive without leaving a plain copy anywhere.

The authors ask that no plain text be put online (Rein et al. 2023): the password is never stored by us, and rows live
in memory only.
"""

import csv
import hashlib
import io
import zipfile
import zlib
from pathlib import Path

from harness.errors import DataUnavailable, UsageError
from harness.loaders.read import RawRow

PASSWORD_VARIABLE = "RINGLITE_GPQA_PASSWORD"
LETTERS = "ABCD"


def read_archive(path: Path, member: str, password: str | None) -> list[RawRow]:
    """Reads one CSV file of the archive.

    Args:
        path: ``dataset.zip`` of the repository idavidrein/gpqa.
        member: Name in it, e.g. ``dataset/gpqa_diamond.csv``.
        password: The one that the authors publish; None or wrong raises.

    Raises:
        DataUnavailable: No password, or a wrong one.
        UsageError: A damaged archive.
    """
    if not password:
        raise DataUnavailable(
            f"{path} is encrypted: give its password (published in the README of idavidrein/gpqa) with --gpqa-password "
            f"or the environment variable {PASSWORD_VARIABLE}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if member not in archive.namelist():
                raise UsageError(f"{path} holds no {member}: it is not GPQA's archive")
            text = archive.read(member, pwd=password.encode()).decode("utf-8")
    except (RuntimeError, zlib.error) as error:
        raise DataUnavailable(
            f"the password does not open {path}; it is published in the README of idavidrein/gpqa"
        ) from (None if isinstance(error, RuntimeError) else error)
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        # The header check of the old zip cipher lets one wrong password in 256 through; its rubbish fails the CRC.
        raise UsageError(f"{path} is damaged, or the password does not open it: {error}") from error
    return list(csv.DictReader(io.StringIO(text, newline="")))


def shuffled(options: list[str], seed: int, record: str) -> tuple[list[str], str]:
    """Puts the options (the correct one first) in the fixed order of ``seed`` and returns them with the gold letter.

    The order is that of SHA-256 of seed, record and position, so that it does not hang on a library's generator and
    not on the order of the rows.
    """
    keys = [hashlib.sha256(f"{seed}|{record}|{position}".encode()).digest() for position in range(len(options))]
    order = sorted(range(len(options)), key=lambda position: keys[position])
    return [options[position] for position in order], LETTERS[order.index(0)]
