"""``ringlite verify`` and ``ringlite report`` on real run folders."""

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCardData

from harness.report.markdown import markdown
from harness.report.model_index import model_index
from harness.scoring_results import evaluate, write_results
from harness.store import GRADES


def close_to_the_paper(i: int) -> float:
    return 0.98 if i < 20 else 0.34


def test_a_whole_run_is_whole(make_run, ringlite) -> None:
    folder = make_run(n=64, solve=close_to_the_paper, strict=False)
    write_results(evaluate(folder))
    for level in ("whole", "comparable", "reproduced"):
        done = ringlite("verify", folder, "--require", level)
        assert done.returncode == 0, done.stdout + done.stderr
    other = ringlite("verify", folder, "--require", "reproduced", "--against", "ring-lite-distill-preview")
    assert other.returncode == 1
    assert "not reproduced" in other.stdout


def test_what_is_missing_or_made_up_is_named(make_run, ringlite) -> None:
    folder = make_run(n=2, strict=False)
    path = write_results(evaluate(folder))
    lines = (folder / GRADES).read_text().splitlines(keepends=True)
    (folder / GRADES).write_text("".join(lines[:-3]))
    done = ringlite("verify", folder)
    assert done.returncode == 1
    assert "3 samples have no grade of math-verify" in done.stdout
    (folder / GRADES).write_text("".join(lines))
    content = json.loads(path.read_text())
    content["benchmarks"][0]["score"] = 0.99
    path.write_text(json.dumps(content))
    done = ringlite("verify", folder)
    assert done.returncode == 1
    assert "results.json says score 0.99" in done.stdout
    path.write_text("[]")
    assert ringlite("verify", folder).returncode == 2


def test_report_forms(make_run, ringlite) -> None:
    folder = make_run(n=4)
    page = ringlite("report", folder)
    assert page.returncode == 0, page.stderr
    assert (folder / "report.html").exists()
    assert "AIME 2024" in page.stdout
    assert json.loads(ringlite("report", folder, "--format", "json").stdout)["schema_version"] == 1
    shown = ringlite("report", folder, "--format", "md", "--against", "qwen3-8b-thinking").stdout
    assert "| AIME 2024 | 30 x 4 |" in shown
    assert "76.00" in shown


def test_report_compares_runs(make_run, ringlite, tmp_path: Path) -> None:
    one, two = make_run("one", n=4, seed=1), make_run("two", n=4, seed=2, model={"chat_template_hash": "bb11"})
    out = tmp_path / "page.html"
    done = ringlite("report", one, two, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "not comparable: the protocol differs: chat_template bb11 here, aa00 there" in done.stdout
    assert out.exists()
    machine = json.loads(ringlite("report", one, two, "--format", "json").stdout)["comparisons"][0]
    assert (machine["outcome"], machine["differences"]) == ("not comparable", ["chat_template"])
    accepted = ringlite("report", one, two, "--out", out, "--accept", "chat_template")
    assert "not comparable" not in accepted.stdout
    assert "A/A" not in accepted.stdout  # another template is another thing


def test_repeated_runs_are_held_against_each_other(make_run, ringlite) -> None:
    runs = [make_run(f"run{seed}", n=16, seed=seed) for seed in (1, 2, 3)]
    assert "A/A over 3 runs, AIME 2024: per problem" in ringlite("report", *runs).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "htm"], "did you mean 'html'"),
        (["--against", "ring-light"], "did you mean 'ring-lite'"),
        (["--accept", "max_token"], "did you mean 'max_tokens'"),
        (["--out", "x.html"], "for comparisons"),
    ],
)
def test_bad_input(make_run, ringlite, arguments: list[str], message: str) -> None:
    done = ringlite("report", make_run(n=1), *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_is_followed_at_its_looks(make_run, ringlite, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    planned = ringlite("plan", "--benchmarks", "aime24", "--variance", "0.06", "--looks", 3, "--out", out)
    assert planned.returncode == 0, planned.stderr
    looks = json.loads(out.read_text())["benchmarks"][0]["schedule"]["looks"]
    far = make_run("far", n=looks[0]["samples"], solve=lambda i: 0.2, strict=False)
    done = ringlite("plan", "--follow", out, "--run", far)
    assert "look 1 of 3: not reproduced" in done.stdout
    assert done.stdout.strip().endswith("stop")
    between = make_run("between", n=looks[0]["samples"] + 1, strict=False)
    refused = ringlite("plan", "--follow", out, "--run", between)
    assert refused.returncode == 2
    assert f"sample up to -n {looks[1]['samples']} first" in refused.stderr
    blocked = make_run("blocked", n=looks[0]["samples"], params={"max_tokens": 64}, strict=False)
    assert "not comparable" in ringlite("plan", "--follow", out, "--run", blocked).stdout


def test_markdown_cannot_be_broken_by_a_name(make_run) -> None:
    text = markdown(evaluate(make_run(n=1, model={"name": "a|b\n# c <img src=x>"})))
    assert text.splitlines()[0].startswith("## a\\|b # c \\<img src=x\\> against")


def test_model_index_is_read_by_the_hub_library(make_run) -> None:
    results = evaluate(make_run(n=4))
    block = yaml.safe_load(model_index(results))
    card = ModelCardData(**block)
    assert card.model_name == "model"
    (entry,) = card.eval_results or ()
    assert entry.dataset_type == "HuggingFaceH4/aime_2024"
    assert entry.metric_name == "avg@4"
    assert entry.metric_value == pytest.approx(100 * results.rows[0].score.score, abs=1e-3)
