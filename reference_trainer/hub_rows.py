"""Rows of a data set on the hub, of a folder or of a file, through the loaders of ``datasets``."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import UsageError, nearest

SUFFIXES = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz", ".jsonl.zst")
_NO_ROWS = ("dataset_info.json", "dataset_infos.json", "state.json", "config.json")


@dataclass(frozen=True)
class HubTable:
    """One file of a data set.

    Attributes:
        name: For messages: data set and file.
        stem: File name without suffix; ``code.jsonl`` says what its rows are.
        columns: Names of its columns.
        rows: A streamed ``datasets`` table.
    """

    name: str
    stem: str
    columns: tuple[str, ...]
    rows: Any

    def column(self, field: str, customary: Iterable[str], columns: Mapping[str, str]) -> str:
        """The table's column for ``field``: the one that ``columns`` names, else the first customary one that it has.

        Raises:
            UsageError: It has none of them.
        """
        found = self.optional(field, customary, columns)
        if found is None:
            wanted = " or ".join(f"'{name}'" for name in customary)
            raise UsageError(
                f"{self.name} has no column {wanted} for {field}; its columns are {', '.join(self.columns) or 'none'}: "
                f"name the right one in the recipe with data.columns: {{{field}: COLUMN}}"
            )
        return found

    def optional(self, field: str, customary: Iterable[str], columns: Mapping[str, str]) -> str | None:
        """As ``column``, and None where there is no such column and none was asked for by name."""
        if (named := columns.get(field)) is not None:
            if named not in self.columns:
                raise UsageError(
                    f"{self.name} has no column '{named}', which data.columns gives for {field}"
                    f"{nearest(named, self.columns)}; its columns are {', '.join(self.columns) or 'none'}"
                )
            return named
        return next((name for name in customary if name in self.columns), None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self.rows
        except Exception as error:
            raise _unreadable(self.name, error) from error


def hub_tables(source: str, revision: str | None = None) -> list[HubTable]:
    """The files of a data set, each with its own columns, in the order of their names.

    Files are opened one by one, since the files of one data set need not have the same columns.

    Args:
        source: A local file, a local folder, or a name of the hub.
        revision: Commit, tag or branch of a name of the hub.

    Raises:
        UsageError: Nothing is there, the hub cannot be reached, or a file is no table.
    """
    path = Path(source)
    if path.is_file():
        return [_local(path)]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _is_data(file.relative_to(path).as_posix()))
        if not files:
            raise UsageError(f"the folder {source} holds no data: files end in {', '.join(SUFFIXES)}")
        return [_local(file) for file in files]
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise UsageError(f"no file or folder {source}; a data set of the hub is named owner/name")
    return [_open(f"{source}, {name}", name, source, name, revision) for name in _repository_files(source, revision)]


def _repository_files(source: str, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        names = HfApi().list_repo_files(source, repo_type="dataset", revision=revision)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UsageError(
            f"the data set {source} is no local file or folder, and the hub does not give it "
            f"({type(error).__name__}: {_first_line(error)}); download it elsewhere and name its folder in the recipe"
        ) from error
    files = sorted(name for name in names if _is_data(name))
    if not files:
        raise UsageError(f"the data set {source} has no file that ends in {', '.join(SUFFIXES)}")
    return files


def _local(path: Path) -> HubTable:
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"{path} is of no known kind; rows are read from {', '.join(SUFFIXES)}")
    kind = "parquet" if path.suffix == ".parquet" else "json"
    return _open(str(path), path.name, kind, str(path))


def _open(name: str, file: str, loader: str, data_file: str, revision: str | None = None) -> HubTable:
    import datasets

    try:
        # Streamed: a data set of demonstrations is many gigabytes, and each of its rows is looked at once.
        table: Any = datasets.load_dataset(
            loader, data_files=data_file, split="train", streaming=True, revision=revision
        )
        first = next(iter(table), None)
    except Exception as error:
        raise _unreadable(name, error) from error
    columns = tuple(table.column_names or (first or {}))
    return HubTable(name, PurePosixPath(file).name.split(".")[0].lower(), columns, table)


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return name.endswith(SUFFIXES) and path.name not in _NO_ROWS and not hidden


def _unreadable(name: str, error: Exception) -> Exception:
    """One sentence for what the loader says; anything that is no fault of the data stays as it is."""
    import datasets
    import pyarrow

    if isinstance(error, (datasets.exceptions.DatasetsError, pyarrow.ArrowException, OSError, ValueError, TypeError)):
        cause = error.__cause__ or error
        return UsageError(f"{name} is no table that datasets can read ({type(cause).__name__}: {_first_line(cause)})")
    return error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")[:300]
