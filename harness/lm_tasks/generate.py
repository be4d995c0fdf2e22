"""Writes the lm-eval task file of every card: ``python -m harness.lm_tasks.generate benchmarks/lm_eval``."""

import json
import sys
from pathlib import Path

from harness.card import Card, card_names, load_card
from harness.errors import UsageError

_TEMPLATE = """\
# Generated from benchmarks/{name}/card.yaml by: python -m harness.lm_tasks.generate benchmarks/lm_eval
task: ringlite_{name}
task_alias: {title}
tag: ringlite
custom_dataset: !function ringlite_tasks.dataset
dataset_kwargs:
  card: {name}
test_split: test
output_type: generate_until
description: {description}
doc_to_text: prompt
doc_to_target: target
process_results: !function ringlite_tasks.process_results
num_fewshot: 0
repeats: {repeats}
generation_kwargs:
  do_sample: {do_sample}
  temperature: {temperature}
  top_p: {top_p}
  max_gen_toks: {max_tokens}
  until: {stop}
filter_list:
  - name: all
    filter:
      - function: custom
        filter_fn: !function ringlite_tasks.all_responses
metric_list:
  - metric: avg_at_n
    aggregation: mean
    higher_is_better: true
  - metric: se_samp
    aggregation: !function ringlite_tasks.se_samp
    higher_is_better: false
  - metric: no_answer
    aggregation: mean
    higher_is_better: false
metadata:
  version: 1.0
"""


def task_yaml(card: Card) -> str:
    """The task file of one card; JSON strings are valid YAML scalars."""
    protocol = card.protocol
    return _TEMPLATE.format(
        name=card.name,
        title=json.dumps(f"{card.title} (ringlite)"),
        description=json.dumps(card.prompt.system or ""),
        repeats=protocol.n or 1,
        do_sample=str(protocol.temperature > 0).lower(),
        temperature=protocol.temperature,
        top_p=protocol.top_p,
        max_tokens=protocol.max_tokens or 32768,
        # Stop sequences belong to bare continuation; a chat answer ends by itself.
        stop=json.dumps(list(protocol.stop) if card.prompt.style == "completion" else []),
    )


def task_files() -> dict[str, str]:
    """File name -> content, for every benchmark that comes with ringlite."""
    return {f"ringlite_{name}.yaml": task_yaml(load_card(name)) for name in card_names()}


def main(arguments: list[str]) -> None:
    """Writes the files into the folder named by the only argument."""
    if len(arguments) != 1:
        raise UsageError("usage: python -m harness.lm_tasks.generate FOLDER")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in task_files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
