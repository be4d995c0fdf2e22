"""Published training data: made-up files of the published columns, through the real loaders, to what stages take."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from reference_trainer.hub_data import INSTRUCTION, hub_demonstrations, hub_prompts
from reference_trainer.recipe import HubData
from reference_trainer.tasks import Attempt, Verifier
from reference_trainer.tasks.tokenizer import toy_tokenizer
from tests.reference_trainer.hub_server import serve

CODE_ROW = {"dataset": "made_up", "difficulty": "2", "code_language": "python", "groundtruth_language": "python"}
ADD = {
    "mid": "c1",
    "prompt": "read two numbers and print their sum",
    "groundtruth": "print(sum(map(int, input().split())))",
    "code_test_cases": [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}],
    **CODE_ROW,
}
DOUBLE = {
    "mid": "c2",
    "prompt": "write double",
    "groundtruth": "def double(x):\n    return x * 2",
    "code_test_cases": ["assert double(2) == 4", "assert [1, 1] == double([1])"],
    **CODE_ROW,
}
SUM = {"id": 7, "question": "what is 3+4?", "answer": 7}


@pytest.fixture(scope="module")
def tokenizer():
    return toy_tokenizer()


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def data(rl: str = "owner/rl", sft: str = "owner/sft", **more: Any) -> HubData:
    return HubData(rl=rl, sft=sft, **more)


def chat(*turns: str, roles: tuple[str, ...] = ("user", "assistant")) -> dict[str, Any]:
    return {"messages": [{"role": roles[i % len(roles)], "content": turn} for i, turn in enumerate(turns)]}


def test_a_demonstration_is_the_chat_up_to_the_last_turn_and_that_turn_with_its_end(tmp_path, tokenizer):
    source = write(tmp_path / "sft.jsonl", [chat("1+1", "2"), chat("hi", "hello", "2+2", "it is 4")])
    shown = list(hub_demonstrations(data(sft=source), tokenizer))
    assert [tokenizer.decode(prompt) for prompt, _ in shown] == [
        "<user>1+1<assistant>",
        "<user>hi<assistant>hello<end><user>2+2<assistant>",
    ]
    assert [tokenizer.decode(response) for _, response in shown] == ["2<end>", "it is 4<end>"]


def test_the_general_stage_has_data_of_its_own(tmp_path, tokenizer):
    source = write(tmp_path / "general.jsonl", [chat("hi", "hello")])
    assert len(list(hub_demonstrations(data(general=source), tokenizer, "general"))) == 1
    with pytest.raises(UsageError, match=r"data\.general"):
        next(hub_demonstrations(data(), tokenizer, "general"))


def test_rows_without_a_response_are_counted(tmp_path, tokenizer):
    source = write(tmp_path / "sft.jsonl", [chat("1+1"), chat("1+1", " "), chat("1+1", "2")])
    with pytest.warns(UserWarning, match="left out 2 rows: 2 with no response"):
        assert len(list(hub_demonstrations(data(sft=source), tokenizer))) == 1


def test_an_opening_tag_that_the_template_writes_is_not_learnt_twice(tmp_path):
    tokenizer = toy_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace("<assistant>{% endif", "<assistant><think>{% endif")
    source = write(tmp_path / "sft.jsonl", [chat("1+1", "<think>\n1 and 1</think>2")])
    ((prompt, response),) = hub_demonstrations(data(sft=source), tokenizer)
    assert tokenizer.decode(prompt).endswith("<assistant><think>")
    assert tokenizer.decode(response) == "1 and 1</think>2<end>"


def test_a_missing_column_is_named_with_the_ones_that_are_there_and_the_way_out(tmp_path, tokenizer):
    source = write(tmp_path / "sft.jsonl", [{"conversation": chat("1", "2")["messages"], "source": "x"}])
    with pytest.raises(UsageError) as caught:
        list(hub_demonstrations(data(sft=source), tokenizer))
    for part in ("'messages'", "conversation, source", "data.columns: {messages: COLUMN}", source):
        assert part in str(caught.value)
    mapped = data(sft=source, columns={"messages": "conversation"})
    assert len(list(hub_demonstrations(mapped, tokenizer))) == 1
    with pytest.raises(UsageError, match=r"no column 'conversatoin'.*did you mean 'conversation'"):
        list(hub_demonstrations(data(sft=source, columns={"messages": "conversatoin"}), tokenizer))


@pytest.mark.parametrize(("left", "missing"), [("prompt", "'prompt'"), ("code_test_cases", "'code_test_cases'")])
def test_a_missing_column_of_problems_is_named(tmp_path, tokenizer, left, missing):
    source = write(tmp_path / "code.jsonl", [{k: v for k, v in ADD.items() if k != left}])
    with pytest.raises(UsageError, match=rf"no column {missing}.*data\.columns"):
        hub_prompts(data(source), tokenizer)


def test_a_folder_of_files_with_different_columns_gives_prompts_of_each_domain(tmp_path, tokenizer):
    write(tmp_path / "code.jsonl", [ADD, DOUBLE])
    write(tmp_path / "math.jsonl", [SUM])
    write(tmp_path / "stem.jsonl", [{"question": r"energy? use \boxed{}", "answer": ["3 J", "3"]}])
    found = {prompt.id: prompt for prompt in hub_prompts(data(str(tmp_path)), tokenizer)}
    assert [prompt.domain for prompt in found.values()] == ["code", "code", "math", "science"]
    assert found["code-c1"].gold == {
        "cases": [{"stdin": "1 2\n", "expected": "3\n"}, {"stdin": "5 5\n", "expected": "10\n"}]
    }
    assert found["code-c2"].gold == {"entry_point": "double", "cases": [[[2], 4], [[[1]], [1, 1]]]}
    assert found["math-7"].gold == "7"
    assert found["code-c1"].metadata["dataset"] == "made_up"
    science = next(prompt for prompt in found.values() if prompt.domain == "science")
    assert science.gold == ["3 J", "3"]
    texts = {name: tokenizer.decode(prompt.tokens) for name, prompt in found.items()}
    assert r"final answer within \boxed{}" in texts["math-7"]
    assert texts["code-c1"] == "<user>read two numbers and print their sum<assistant>"
    assert texts[science.id].count("boxed") == 1, "a prompt that names the box keeps its own words"
    assert INSTRUCTION.endswith("\\boxed{}.")


def test_golds_are_what_the_verifier_takes(tmp_path, tokenizer):
    write(tmp_path / "code.jsonl", [ADD, DOUBLE])
    write(tmp_path / "math.jsonl", [SUM])
    gold = {prompt.id: prompt.gold for prompt in hub_prompts(data(str(tmp_path)), tokenizer)}
    right = {name: f"```python\n{row['groundtruth']}\n```" for name, row in (("code-c1", ADD), ("code-c2", DOUBLE))}
    wrong = {"code-c1": "```python\nprint(3)\n```", "code-c2": "```python\ndef double(x):\n    return 4\n```"}
    attempts = [Attempt(gold[name], text) for answers in (right, wrong) for name, text in answers.items()]
    attempts += [Attempt(gold["math-7"], r"so \boxed{7}"), Attempt(gold["math-7"], r"so \boxed{8}")]
    with Verifier(workers=1) as verifier:
        assert verifier.verify(attempts) == [True, True, False, False, True, False]


def test_rows_that_cannot_be_verified_are_left_out_and_counted(tmp_path, tokenizer):
    unclear = [
        ADD | {"mid": "d", "code_test_cases": []},
        ADD | {"mid": "e", "code_test_cases": ["assert f(1) == {1, 2}"]},
        ADD | {"mid": "f", "code_test_cases": ["assert f(1) == 1", "assert g(1) == 1"]},
        ADD | {"mid": "g", "code_test_cases": ["import os"]},
    ]
    source = write(tmp_path / "code.jsonl", [*unclear, ADD])
    with pytest.warns(UserWarning, match="left out 4 rows"):
        (kept,) = hub_prompts(data(source), tokenizer)
    assert kept.id == "code-c1"
    source = write(tmp_path / "only" / "code.jsonl", unclear)
    with (
        pytest.warns(UserWarning, match="left out 4"),
        pytest.raises(UsageError, match="no problem that can be verified"),
    ):
        hub_prompts(data(source), tokenizer)


def test_a_domain_column_decides_and_an_unknown_domain_is_refused(tmp_path, tokenizer):
    row = {"question": "why?", "answer": "x", "subject": "STEM"}
    source = write(tmp_path / "train.jsonl", [row])
    (prompt,) = hub_prompts(data(source, columns={"domain": "subject"}), tokenizer)
    assert prompt.domain == "science"
    source = write(tmp_path / "other.jsonl", [row | {"subject": "poetry"}])
    with pytest.raises(UsageError, match="'poetry' is none of math, code, science"):
        hub_prompts(data(source, columns={"domain": "subject"}), tokenizer)


def test_ids_are_unique_and_stable(tmp_path, tokenizer):
    source = write(tmp_path / "math.jsonl", [SUM, SUM, {"question": "no id", "answer": "1"}])
    names = [prompt.id for prompt in hub_prompts(data(source), tokenizer)]
    assert names[:2] == ["math-7", "math-7-2"]
    assert len(set(names)) == 3
    assert names == [prompt.id for prompt in hub_prompts(data(source), tokenizer)]


def test_parquet_is_read_too(tmp_path, tokenizer):
    import datasets

    datasets.Dataset.from_list([SUM]).to_parquet(str(tmp_path / "math.parquet"))
    (prompt,) = hub_prompts(data(str(tmp_path)), tokenizer)
    assert prompt.gold == "7"


@pytest.mark.parametrize(
    ("content", "says"), [('{"messages": [', "no table that datasets can read"), ('{"messages": 5}\n', "but int")]
)
def test_a_damaged_file_is_named(tmp_path, tokenizer, content, says):
    path = tmp_path / "sft.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        list(hub_demonstrations(data(sft=str(path)), tokenizer))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("source", "says"), [("./nowhere", "no file or folder"), (".", "holds no data")])
def test_a_place_without_data_is_named(tmp_path, tokenizer, monkeypatch, source, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        hub_prompts(data(source), tokenizer)


def test_a_tokenizer_without_a_template_is_refused(tmp_path):
    tokenizer = toy_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(UsageError, match="no chat template"):
        hub_prompts(data(write(tmp_path / "math.jsonl", [SUM])), tokenizer)


def in_a_process(program: str, **environment: str) -> str:
    """What a program prints whose hub client starts with this environment: it is read once, at import."""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """
from harness.errors import UsageError
from reference_trainer.hub_rows import hub_tables
for name in ("owner/problems", "owner/others"):
    try:
        for table in hub_tables(name):
            print(table.name, table.stem, [sorted(row) for row in table])
    except UsageError as error:
        print(error)
"""


def test_a_name_of_the_hub_is_read_through_its_client(tmp_path):
    rows = {"code.jsonl": [ADD, DOUBLE], "math.jsonl": [SUM]}
    files = {name: "".join(json.dumps(row) + "\n" for row in content).encode() for name, content in rows.items()}
    with serve("owner/problems", files | {"README.md": b"# A data set\n"}) as address:
        output = in_a_process(PROGRAM, HF_ENDPOINT=address, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="0")
    code, math, missing = output.splitlines()
    assert code == f"owner/problems, code.jsonl code {[sorted(ADD), sorted(DOUBLE)]}"
    assert math == f"owner/problems, math.jsonl math {[sorted(SUM)]}"
    assert "the data set owner/others is no local file or folder, and the hub does not give it" in missing
    assert "RepositoryNotFoundError" in missing


def test_without_the_hub_the_way_out_is_named():
    output = in_a_process(PROGRAM, HF_HUB_OFFLINE="1")
    assert "the data set owner/problems is no local file or folder, and the hub does not give it" in output
    assert "name its folder in the recipe" in output
