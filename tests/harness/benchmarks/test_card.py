import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import harness.card
from harness.card import Card, card_names, load_card
from harness.errors import UsageError
from harness.types import Problem

ROOT = Path(harness.card.__file__).parent.parent / "benchmarks"
# The toys are ours, and asked as the toy model was trained.
PAPER = [name for name in card_names() if not name.startswith("toy_")]


def altered(tmp_path: Path, name: str = "aime24", **changes: object) -> Path:
    content = yaml.safe_load((ROOT / name / "card.yaml").read_text())
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


def test_every_card_loads_and_is_named_as_its_folder() -> None:
    names = card_names()
    assert {"aime24", "aime25", "math500", "gpqa_diamond", "livecodebench", "humaneval"} <= set(names)
    assert {"humaneval_plus", "mbpp_plus", "olympiadbench", "minerva_math", "cnmo24", "livemathbench"} <= set(names)
    for name in names:
        assert load_card(name).name == name


@pytest.mark.parametrize("name", PAPER)
def test_the_protocol_is_the_papers(name: str) -> None:
    protocol = load_card(name).protocol
    assert (protocol.temperature, protocol.top_p, protocol.shots) == (1.0, 0.95, 0)
    assert protocol.max_tokens == (1024 if name == "humaneval" else 32768)


@pytest.mark.parametrize(
    ("name", "n"), [("aime24", 64), ("aime25", 64), ("gpqa_diamond", 16), ("livecodebench", 8), ("math500", 4)]
)
def test_numbers_of_samples_that_the_printed_means_imply(name: str, n: int) -> None:
    protocol = load_card(name).protocol
    assert (protocol.n, protocol.n_source) == (n, "inferred")


@pytest.mark.parametrize("name", [n for n in PAPER if load_card(n).grader == "math"])
def test_mathematics_ends_with_the_boxed_instruction(name: str) -> None:
    template = load_card(name).prompt.template
    assert "{question}" in template
    assert template.endswith("\\boxed{}.")
    assert "step by step" in template


def test_unknown_benchmark_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown benchmark 'aime2024'; did you mean 'aime24'\?"):
        load_card("aime2024")


def test_unknown_key_names_file_key_and_nearest(tmp_path: Path) -> None:
    path = altered(tmp_path, num_problem=30)
    with pytest.raises(UsageError) as caught:
        load_card(path)
    assert str(path) in str(caught.value)
    assert "unknown key 'num_problem'; did you mean 'num_problems'?" in str(caught.value)


def test_unknown_key_inside_a_part_names_its_place(tmp_path: Path) -> None:
    path = altered(tmp_path, protocol={"temprature": 1.0})
    with pytest.raises(UsageError, match=r"unknown key 'protocol.temprature'; did you mean 'temperature'\?"):
        load_card(path)


def test_unknown_key_inside_a_list_names_its_place(tmp_path: Path) -> None:
    path = altered(tmp_path, hub=[{"dataset": "a/b", "split": "test", "revison": None}])
    with pytest.raises(UsageError, match=r"unknown key 'hub.0.revison'; did you mean 'revision'\?"):
        load_card(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: [1,", "not valid YAML"),
        ("- 1\n- 2\n", "must be a YAML mapping"),
        ("name: x\n", "is missing"),
    ],
)
def test_a_file_that_is_no_card_is_named(tmp_path: Path, text: str, wanted: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=wanted) as caught:
        load_card(str(path))
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_card(tmp_path / "none.yaml")


def test_a_wrong_value_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="key 'margin'"):
        load_card(altered(tmp_path, margin=-1))


def test_a_card_of_ones_own_loads_from_its_folder(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "aime24", tmp_path / "mine")
    assert load_card(tmp_path / "mine") == load_card("aime24")


@given(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20).filter(
        lambda k: k not in Card.model_fields
    )
)
def test_no_unknown_key_is_ever_accepted(key: str) -> None:
    content = yaml.safe_load((ROOT / "math500" / "card.yaml").read_text())
    with pytest.raises(ValueError, match="Extra inputs"):
        Card.model_validate({**content, key: 1})


def test_messages_follow_style_and_system_prompt() -> None:
    problem = Problem("x", "ask", "1", prefix="def f():\n")
    lcb, humaneval = load_card("livecodebench"), load_card("humaneval")
    assert [m["role"] for m in lcb.messages(problem)] == ["system", "user"]
    assert humaneval.messages(problem) == ({"role": "user", "content": "def f():"},)  # no white space at the end
    assert humaneval.messages(problem, "chat") == ({"role": "user", "content": "ask"},)


def test_errata_of_livecodebench_are_on_the_card() -> None:
    errata = load_card("livecodebench").errata
    assert len(errata) == 17
    effects = [item.effect for item in errata]
    assert (effects.count("several_outputs"), effects.count("interactive"), effects.count("wrong_tests")) == (11, 2, 4)
    assert {"arc185_c", "arc189_a"} <= {item.problem for item in errata}
