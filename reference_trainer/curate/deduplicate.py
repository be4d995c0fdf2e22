"""Exact and near duplicates; the first of the input stays."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import UsageError
from reference_trainer.curate.recipe import Deduplicate
from reference_trainer.curate.row import Decision, Row, gold_of

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def deduplicate_exactly(rows: Sequence[Row]) -> Iterator[Decision]:
    """Drops questions that differ from an earlier one only in white space or the encoding of characters.

    Where equal questions have different answers, at least one is wrong and nothing says which: all of them go.
    """
    golds: dict[str, set[str]] = {}
    for row in rows:
        golds.setdefault(_same(row["question"]), set()).add(repr(gold_of(row)))
    first: dict[str, str] = {}
    for row in rows:
        key = _same(row["question"])
        if len(golds[key]) > 1:
            yield Decision(row, "conflicting_answers", {"answers": len(golds[key])})
        elif key in first:
            yield Decision(row, "exact_duplicate", {"of": first[key]})
        else:
            first[key] = row["id"]
            yield Decision(row)


def deduplicate_nearly(rows: Iterable[Row], settings: Deduplicate) -> Iterator[Decision]:
    """Drops questions that are worded nearly like an earlier one that stays.

    Candidates come from MinHash LSH and are confirmed by their true Jaccard similarity. Two questions with different
    numbers or different answers are different problems, however alike their words.

    Raises:
        UsageError: datasketch is not installed.
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise UsageError(
            "near deduplication needs datasketch: pip install 'ringlite[train]', or set deduplicate.near to false"
        ) from error
    # Looser than asked, so that few pairs at the threshold are missed; the confirmation keeps the threshold.
    index = MinHashLSH(threshold=max(0.1, settings.threshold - 0.1), num_perm=settings.permutations)
    kept: dict[str, tuple[frozenset[str], Counter[str], str]] = {}
    for row in rows:
        shingles = _shingles(row["question"], settings.shingle)
        numbers, gold = Counter(_NUMBER.findall(row["question"])), repr(gold_of(row))
        sketch = MinHash(num_perm=settings.permutations, seed=1)
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
        best: tuple[float, str] = (0.0, "")
        for name in index.query(sketch):
            others, other_numbers, other_gold = kept[name]
            if numbers == other_numbers and gold == other_gold:
                best = max(best, (len(shingles & others) / len(shingles | others), name))
        if best[0] >= settings.threshold:
            yield Decision(row, "near_duplicate", {"of": best[1], "jaccard": round(best[0], 4)})
            continue
        index.insert(row["id"], sketch)
        kept[row["id"]] = shingles, numbers, gold
        yield Decision(row)


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _shingles(text: str, size: int) -> frozenset[str]:
    text = _same(text).casefold()
    return frozenset(text[start : start + size] for start in range(max(1, len(text) - size + 1)))
