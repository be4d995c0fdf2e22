import json
import os
import random
import resource
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.store import RunStore, read_grades, read_manifest, read_samples
from harness.types import Grade, Sample

# Any text that Python can hold: lone surrogates, NUL and line separators included.
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
SAMPLES = st.builds(
    Sample,
    task=st.sampled_from(["t1", "t2"]),
    benchmark=ANY_TEXT,
    problem_id=ANY_TEXT,
    index=st.integers(0, 5),
    seed=st.none() | st.integers(0, 2**31 - 1),
    response=ANY_TEXT,
    finish_reason=st.sampled_from(["stop", "length", "unknown"]),
    prompt_tokens=st.none() | st.integers(0, 10**6),
    completion_tokens=st.none() | st.integers(0, 10**6),
    metadata=st.dictionaries(ANY_TEXT, JSON, max_size=3),
)
GRADES = st.builds(
    Grade,
    task=st.sampled_from(["t1", "t2"]),
    benchmark=ANY_TEXT,
    problem_id=ANY_TEXT,
    index=st.integers(0, 5),
    scorer=st.sampled_from(["strict", "math-verify"]),
    correct=st.booleans(),
    status=st.sampled_from(["ok", "no_answer", "truncated", "timeout", "refused_input"]),
    extracted=st.none() | ANY_TEXT,
    evidence=st.dictionaries(ANY_TEXT, JSON, max_size=3),
)


def sample(index: int = 0, response: str = "four", problem: str = "p") -> Sample:
    return Sample("t", "sums", problem, index, 5, response, "stop", 3, 4)


def fresh(folder: Path) -> RunStore:
    store = RunStore(folder)
    store.write_manifest({"tasks": {}})
    return store


def first_of_each(records: list, key) -> list:
    seen: dict = {}
    for record in records:
        seen.setdefault(key(record), record)
    return list(seen.values())


@settings(max_examples=60, deadline=None)
@given(samples=st.lists(SAMPLES, max_size=8), grades=st.lists(GRADES, max_size=8))
def test_whatever_goes_in_comes_out_once(tmp_path_factory, samples, grades):
    folder = tmp_path_factory.mktemp("run")
    with fresh(folder) as store:
        new_samples = [store.add_sample(record) for record in samples]
        new_grades = [store.add_grade(record) for record in grades]
    kept_samples = first_of_each(samples, lambda s: (s.task, s.problem_id, s.index))
    kept_grades = first_of_each(grades, lambda g: (g.task, g.problem_id, g.scorer, g.index))
    assert list(read_samples(folder)) == kept_samples
    assert list(read_grades(folder)) == kept_grades
    assert sum(new_samples) == len(kept_samples)
    assert sum(new_grades) == len(kept_grades)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.lists(SAMPLES, min_size=1, max_size=5, unique_by=lambda s: (s.task, s.problem_id, s.index)),
    data=st.data(),
)
def test_a_file_cut_anywhere_keeps_every_whole_record_and_can_go_on(tmp_path_factory, samples, data):
    folder = tmp_path_factory.mktemp("run")
    ends = []
    with fresh(folder) as store:
        for record in samples:
            store.add_sample(record)
            ends.append((folder / "samples.jsonl").stat().st_size)
    cut = data.draw(st.integers(0, ends[-1]))
    os.truncate(folder / "samples.jsonl", cut)
    whole = sum(end <= cut for end in ends)
    assert list(read_samples(folder)) == samples[:whole]
    with RunStore(folder) as store:
        assert store.sample_count == whole
        assert [store.add_sample(record) for record in samples] == [False] * whole + [True] * (len(samples) - whole)
    assert list(read_samples(folder)) == samples


def test_zeros_behind_the_last_record_are_a_torn_tail(tmp_path):
    with fresh(tmp_path) as store:
        store.add_sample(sample(0))
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(b"\0" * 300 + b"\n")
    assert [s.index for s in read_samples(tmp_path)] == [0]
    with RunStore(tmp_path) as store:
        store.add_sample(sample(1))
    assert [s.index for s in read_samples(tmp_path)] == [0, 1]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    with fresh(tmp_path) as store:
        for index in range(3):
            store.add_sample(sample(index))
    path = tmp_path / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"schema_version": 1, "task": "t"}\n' + lines[2])
    with pytest.raises(UsageError, match=r"samples.jsonl, line 2, .* no field 'benchmark'"):
        list(read_samples(tmp_path))
    with pytest.raises(UsageError, match="line 2"):
        RunStore(tmp_path)
    path.write_text(json.dumps({**json.loads(lines[0]), "schema_version": 9}) + "\n")
    with pytest.raises(UsageError, match="schema_version is 9"):
        list(read_samples(tmp_path))


def test_foreign_files_are_left_alone(tmp_path):
    foreign = b'{"mine": true}'
    (tmp_path / "samples.jsonl").write_bytes(foreign)
    with pytest.raises(UsageError, match=r"without manifest.json.*--out"):
        RunStore(tmp_path)
    assert (tmp_path / "samples.jsonl").read_bytes() == foreign
    with pytest.raises(UsageError, match=r"no manifest.json"):
        read_manifest(tmp_path)
    with pytest.raises(UsageError, match=r"no grades.jsonl"):
        list(read_grades(tmp_path))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to the run folder .*file/run.*--out"):
        RunStore(tmp_path / "file" / "run")


def test_datasets_reads_both_files(tmp_path):
    from datasets import load_dataset

    run = tmp_path / "run"
    with fresh(run) as store:
        for index in range(40):
            # More than one chunk of the JSON reader, with other keys in the mapping further down.
            text = "x" * 600_000 if index % 2 else "NUL \0, lone \ud800, line \u2028, 中"
            store.add_sample(Sample("t", "b", "p", index, index, text, "stop", None, 7, {f"key{index // 20}": index}))
            store.add_grade(Grade("t", "b", "p", index, "strict", False, "ok", "\udfff", {"why": [index]}))
    for name in ("samples", "grades"):
        rows = load_dataset("json", data_files=str(run / f"{name}.jsonl"), split="train", cache_dir=str(tmp_path / "c"))
        assert rows["index"][:] == list(range(40))
    assert json.loads(rows[3]["exact"]) == {"extracted": "\udfff"}
    assert next(iter(read_samples(run))).response == "NUL \0, lone \ud800, line \u2028, 中"


def test_reading_holds_one_record_at_a_time(tmp_path):
    with fresh(tmp_path) as store:
        for index in range(120):
            store.add_sample(sample(index, "y" * 300_000))
    tracemalloc.start()
    assert sum(len(s.response) for s in read_samples(tmp_path)) == 120 * 300_000
    with RunStore(tmp_path) as store:
        assert store.sample_count == 120
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_two_writers_are_kept_apart_until_the_first_one_is_gone(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline())  # a forked child that outlives the holder
    try:
        with pytest.raises(UsageError, match=rf"another process \({holder.pid}\) is writing"):
            RunStore(tmp_path)
        holder.kill()
        holder.wait()
        with fresh(tmp_path) as store:
            assert store.add_sample(sample())
            with pytest.raises(UsageError, match="open in this process already"):
                RunStore(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()
    with RunStore(tmp_path):
        pass


HOLD = """
import os, pathlib, sys, time
from harness.store import RunStore
store = RunStore(pathlib.Path(sys.argv[1]))
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(100)
"""

WRITE = """
import pathlib, sys
from harness.store import RunStore
from harness.types import Sample
with RunStore(pathlib.Path(sys.argv[1])) as store:
    store.write_manifest({"tasks": {}})
    for index in range(10**6):
        if store.add_sample(Sample("t", "b", "p", index, index, "z" * (index * 997 % 50000), "stop")):
            sys.stdout.write(f"{index}\\n")
            sys.stdout.flush()
"""


def test_sigkill_loses_nothing_that_was_acknowledged(tmp_path):
    random.seed(3)
    expected = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(random.randrange(20, 200))]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
        writer.wait()
        writer.stdout.close()
        stored = [s.index for s in read_samples(tmp_path)]
        assert acknowledged[0] == expected  # the records of the runs before were there already
        assert stored == list(range(len(stored)))
        assert len(stored) in (acknowledged[-1] + 1, acknowledged[-1] + 2)  # at most one was stored and not yet told
        expected = len(stored)


def test_a_full_disk_is_told_and_leaves_whole_records(tmp_path):
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    writer = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=small_files,
        timeout=60,
        check=False,
    )
    assert "UsageError: cannot write to" in writer.stderr
    stored = [s.index for s in read_samples(tmp_path)]
    assert stored == [int(line) for line in writer.stdout.splitlines()]
    assert (tmp_path / "samples.jsonl").read_bytes().endswith(b"\n")


@pytest.mark.parametrize("seed", [2**63, 2**64, -(2**63) - 1, 10**30])
def test_a_seed_beyond_64_bits_stays_exact(tmp_path, seed):
    kept = replace(sample(0), seed=seed)
    with fresh(tmp_path) as store:
        store.add_sample(kept)
    assert list(read_samples(tmp_path)) == [kept]
