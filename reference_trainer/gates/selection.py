"""The gate's checks of the selection: its rule, its measurement, and what it copied."""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig
from reference_trainer.export import load_checkpoint_model
from reference_trainer.gates.checkpoints import check_checkpoint
from reference_trainer.gates.drawn import holds, strategies
from reference_trainer.gates.heldout import Source, check_sources, read_column
from reference_trainer.gates.plain import PlainSequence, plain_terms
from reference_trainer.gates.record import Check
from reference_trainer.recipe import SelectConfig, ToyData
from reference_trainer.select import Candidate
from reference_trainer.stages import StageRun
from reference_trainer.stages.measure import sample
from reference_trainer.stages.selection import pick
from reference_trainer.stages.sources import load_prompts, load_tokenizer
from reference_trainer.stages.stage import file_digests
from reference_trainer.tasks import DOMAINS

_AGAIN = 1e-3  # nats; the same responses again, float64 against float32


def check_select(run: StageRun) -> Iterator[Check]:
    """All checks of the selection."""
    config, epochs = run.recipe.select, run.recipe.distill.epochs
    rows, chosen = _read(run)
    wrong = [row.get("epoch") for row in rows if not _sound(row)]
    complete = [row.get("epoch") for row in rows] == list(range(1, epochs + 1)) and not wrong
    yield Check(
        "candidates", complete, len(rows), f"one sound measurement of each of {epochs} epochs", f"{wrong or ''}"
    )
    if not complete:
        return
    candidates = [Candidate(row["epoch"], row["entropy"], row["pass_rate"]) for row in rows]
    expected = plain_choice(candidates, config)
    yield Check(
        "choice",
        chosen.get("epoch") == expected.epoch,
        chosen.get("epoch"),
        f"epoch {expected.epoch}, by the rule '{config.by}' on the recorded measurements",
        "" if chosen.get("epoch") == expected.epoch else "look at choose and pick",
    )
    yield _rule(candidates, config, run.recipe.gates.examples)
    copied = file_digests(run.folder, ["checkpoint"])
    source = file_digests(run.of("distill"), [f"epoch-{expected.epoch}"])
    same = {k.split("/", 1)[1]: v for k, v in copied.items()} == {k.split("/", 1)[1]: v for k, v in source.items()}
    yield Check(
        "checkpoint.copied", same, "equal" if same else "other bytes", f"the files of distill/epoch-{expected.epoch}"
    )
    yield _band(run, expected, config)
    yield from check_checkpoint(run, run.folder / "checkpoint", torch.arange(8)[None])
    if isinstance(run.recipe.data, ToyData):
        places = {split: [run.of("data", f"{d}/{split}.jsonl") for d in DOMAINS] for split in ("train", "validation")}
        yield from check_sources(
            run,
            [
                Source(f"data/{split}", [q for path in paths for q in read_column(path, "question")], (split,))
                for split, paths in places.items()
            ],
        )
        if config.entropy == "on_policy":
            yield _entropy_again(run, expected, config)


def plain_choice(candidates: Sequence[Candidate], config: SelectConfig) -> Candidate:
    """The epoch to start from: of those in the band the best pass rate, the earliest of equals; else the nearest."""
    ordered = sorted(candidates, key=lambda candidate: candidate.epoch)
    inside = [c for c in ordered if config.low <= c.entropy <= config.high]
    if config.by == "validation" or (inside and config.choice == "best_pass_rate"):
        pool = ordered if config.by == "validation" else inside
        best = max(c.pass_rate for c in pool)
        return next(c for c in pool if c.pass_rate == best)
    if inside:
        return inside[0] if config.choice == "first" else inside[(len(inside) + 1) // 2 - 1]
    gaps = [config.low - c.entropy if c.entropy < config.low else c.entropy - config.high for c in ordered]
    return ordered[gaps.index(min(gaps))]


def _read(run: StageRun) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    path = run.folder / "selection.json"
    try:
        content = json.loads(path.read_bytes())
        return list(content["candidates"]), dict(content["chosen"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no record of a selection ({error!r}): run the stage again") from None


def _sound(row: dict[str, Any]) -> bool:
    rates = list(row.get("pass_rates", {}).values())
    numbers = [row.get("entropy"), row.get("pass_rate"), *rates]
    if not rates or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers):
        return False
    mean = abs(sum(rates) / len(rates) - row["pass_rate"]) < 1e-9
    return mean and all(0 <= rate <= 1 for rate in rates) and row["entropy"] >= 0


def _rule(candidates: Sequence[Candidate], config: SelectConfig, examples: int) -> Check:
    """The production rule on the measured candidates and on drawn ones, in any order."""
    st = strategies()
    drawn = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), min_size=1, max_size=6).map(
        lambda rows: [Candidate(number, *row) for number, row in enumerate(rows, 1)]
    )
    case = st.one_of(st.just(list(candidates)), drawn).flatmap(st.permutations)

    def error(given: Sequence[Candidate]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(pick(list(given), config) != plain_choice(given, config))

    return holds(
        "choice.rule", "the plain rule's choice, in any order", 0, case, examples, error, "look at choose and pick"
    )


def _band(run: StageRun, chosen: Candidate, config: SelectConfig) -> Check:
    recorded = json.loads((run.folder / "selection.json").read_bytes()).get("in_band")
    inside = config.low <= chosen.entropy <= config.high
    return Check(
        "band",
        recorded is inside,
        chosen.entropy,
        f"in [{config.low:g}, {config.high:g}], or selection.json says that no epoch is",
        ""
        if inside
        else "not in the band: "
        + ("the validation score chose" if config.by == "validation" else "no epoch is, so the nearest was taken"),
    )


def _entropy_again(run: StageRun, chosen: Candidate, config: SelectConfig) -> Check:
    """The entropy of the chosen checkpoint on the same prompts, by the plain implementation."""
    tokenizer = load_tokenizer(run)
    model = load_checkpoint_model(run.folder / "checkpoint", run.recipe.model)
    prompts = [p for domain in DOMAINS for p in load_prompts(run, tokenizer, [domain])[: config.prompts]]
    _, rollouts = sample(run, model, tokenizer, prompts, 1, config.max_new_tokens)
    rows = [PlainSequence(r.prompt.tolist(), r.response.tolist(), r.length, 0.0) for r in rollouts]
    with torch.no_grad():
        found = plain_terms(
            model.double(), None, rows, divisor=1.0, responses=len(rows), temperature=1.0,
            objective=ObjectiveConfig(token_budget=None, kl_coefficient=0),
        ).mean_entropy  # fmt: skip
    ok = abs(found - chosen.entropy) <= _AGAIN
    return Check(
        "entropy.again",
        ok,
        found,
        f"{chosen.entropy:.6g} as recorded, within {_AGAIN:g} nats",
        "" if ok else "look at mean_entropy and at which prompts were sampled",
    )
