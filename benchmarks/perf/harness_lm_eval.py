"""lm-eval's side: a task with a Math-Verify metric, and the command that runs it against a server."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.perf.harness_server import MODEL, Question

TASK = "aime_math_verify"
_YAML = """\
task: {task}
dataset_path: json
dataset_kwargs:
  data_files: {rows}
test_split: train
output_type: generate_until
doc_to_text: "{{{{question}}}}\\n\\nPlease reason step by step, and put your final answer within \\\\boxed{{}}."
doc_to_target: "{{{{answer}}}}"
process_results: !function metric.process_results
generation_kwargs:
  until: []
  do_sample: true
  temperature: 1.0
  top_p: 0.95
  max_gen_toks: 32768
repeats: {samples}
filter_list:
  - name: all
    filter:
      - function: take_first_k
        k: {samples}
metric_list:
  - metric: math_verify
    aggregation: mean
    higher_is_better: true
num_fewshot: 0
metadata:
  version: 1.0
"""
# Math-Verify is called as lm-eval's own minerva_math task calls it.
_METRIC = """\
import logging

from math_verify import parse, verify

logging.getLogger("math_verify").setLevel(logging.ERROR)


def process_results(doc, results):
    gold = parse("$" + doc["answer"] + "$")
    verdicts = [verify(gold=gold, target=parse(response)) for response in results[0]]
    return {"math_verify": sum(verdicts) / len(verdicts)}
"""


def write_task(folder: Path, questions: Sequence[Question], samples: int) -> None:
    """Writes the task, its metric and its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "rows.jsonl"
    lines = [json.dumps({"id": q.id, "question": q.text, "answer": q.gold}) for q in questions]
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "task.yaml").write_text(_YAML.format(task=TASK, rows=rows, samples=samples), encoding="utf-8")
    (folder / "metric.py").write_text(_METRIC, encoding="utf-8")


def model_arguments(base_url: str, concurrency: int) -> dict[str, Any]:
    """Arguments of lm-eval's model class."""
    return {
        "model": MODEL,
        "base_url": f"{base_url}/chat/completions",
        "num_concurrent": concurrency,
        "tokenized_requests": False,
        "tokenizer_backend": None,
        "max_retries": 3,
        "timeout": 3600,
    }


def command(tasks: Path, base_url: str, concurrency: int, out: Path) -> list[str]:
    """The command line of a whole run: sampling, metric, samples and results on disk."""
    arguments = ",".join(f"{name}={value}" for name, value in model_arguments(base_url, concurrency).items())
    return [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "local-chat-completions", "--model_args", arguments),
        *("--tasks", TASK, "--include_path", str(tasks), "--apply_chat_template"),
        *("--output_path", str(out), "--log_samples"),
    ]


def score(out: Path) -> float:
    """The mean that a run has written, of 1."""
    files = sorted(out.rglob("results_*.json"))
    if len(files) != 1:
        raise SystemExit(f"lm-eval left {len(files)} results in {out}, not one")
    results = json.loads(files[0].read_text(encoding="utf-8"))["results"][TASK]
    return float(results["math_verify,all"])
