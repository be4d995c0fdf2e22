"""The benchmark of the harness at a small size: what it serves, runs, measures and judges; no timing is judged here."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="lm-eval is the other contender: the extra 'lm-eval'")

from math_verify import parse, verify

from benchmarks.perf import harness, harness_report, openai_scaling
from benchmarks.perf.harness_meter import measure
from benchmarks.perf.harness_rows import questions
from benchmarks.perf.harness_runs import bench, environment, ringlite_command, sampling, turns
from benchmarks.perf.harness_sampling import CLIENTS
from benchmarks.perf.harness_texts import OUTCOMES, response
from harness.store import read_grades, read_samples

CHARACTERS = 1_500


def texts(asked, samples):
    return sorted(response(q.id, q.gold, index, CHARACTERS).text for q in asked for index in range(samples))


def ask(url, prompt):
    body = json.dumps({"model": "table", "messages": [{"role": "user", "content": prompt}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", body)) as reply:
        return json.load(reply)


def test_responses_are_long_distinct_and_of_every_kind():
    made = [response(f"p{n % 30}", "123", n // 30) for n in range(600)]
    assert len({one.text for one in made}) == 600
    assert all(31_990 <= len(one.text) <= 32_010 for one in made)
    assert {one.outcome for one in made} == set(OUTCOMES)
    assert made[7] == response("p7", "123", 0)
    for outcome in OUTCOMES:
        one = next(one for one in made if one.outcome == outcome)
        assert bool(verify(parse("$123$"), parse(one.text))) == (outcome == "right")
        assert ("\\boxed" in one.text) == (outcome in ("right", "wrong"))
        assert (one.finish_reason == "length") == (outcome == "cut") == ("</think>" not in one.text)


def test_each_run_gets_the_same_texts_in_the_order_of_its_requests():
    with bench(None, 2, CHARACTERS) as place:
        question = place.asked[3]
        expected = [response(question.id, question.gold, index, CHARACTERS).text for index in (0, 1, 0)]
        for run in ("a", "b"):
            replies = [ask(place.server.url(run), f"{question.text}\n\nThink.") for _ in expected]
            assert [reply["choices"][0]["message"]["content"] for reply in replies] == expected
        assert place.server.statistics("a")["requests"] == 3
        assert place.server.statistics("none")["requests"] == 0
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(place.server.url("a"), "What is the time?")


def test_made_up_problems_have_their_own_right_answers():
    asked = questions(None)
    assert len({question.text for question in asked}) == len({question.id for question in asked}) == 30
    first = asked[0]
    a, b, c = [int(part) for part in first.text.replace("$", " ").split() if part.isdigit() and part != "1000"]
    assert sum(a + b * k for k in range(c)) % 1000 == int(first.gold)


def test_the_meter_sees_children_and_their_memory(tmp_path):
    child = "import time\nheld = bytearray(80 << 20)\nfor i in range(0, len(held), 4096): held[i] = 1\n"
    child += "while time.process_time() < 0.5: pass\ntime.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    done = measure([sys.executable, "-c", parent], tmp_path)
    assert done.cpu > 0.45
    assert done.wall > 0.9
    assert 80 < done.peak.pss < 200
    assert done.curve[0].pss < 40
    with pytest.raises(SystemExit, match="no luck"):
        measure([sys.executable, "-c", "import sys; sys.exit('no luck')"], tmp_path)


def test_every_client_gets_all_answers_and_ours_has_stored_them():
    with bench(None, 2, CHARACTERS) as place:
        for client in CLIENTS:
            assert sampling(place, client, client, 2, concurrency=8)["answers"] == 60
        assert sorted(s.response for s in read_samples(place.folder / "ringlite" / "run")) == texts(place.asked, 2)


def test_whole_runs_of_both_sides_come_to_the_same_score(tmp_path):
    with bench(None, 3, CHARACTERS) as place:
        results = harness.whole(place, 3, 1)
        outcomes = [response(q.id, q.gold, index, CHARACTERS).outcome for q in place.asked for index in range(3)]
    assert results["correct"] == pytest.approx(outcomes.count("right") / 90)
    for side in harness.SIDES:
        run = results[side]
        assert 0 < run["start_up"] < run["wall"]
        assert run["growth"] < run["peak"] <= run["peak_rss_sum"]
        assert run["cpu_ms_an_answer"] == pytest.approx(1000 * run["cpu"] / 90)
    found = {"characters": CHARACTERS, "whole": results, "misses": ["wall is high"]}
    text = harness_report.table(found)
    assert f"{100 * results['correct']:.2f} % right" in text
    harness_report.save(found, text, tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "harness.json").read_text())
    assert saved["whole"]["answers"] == 90
    assert saved["versions"]["lm_eval"]
    assert saved["commit"]
    assert "Missed: wall is high" in (tmp_path / "out" / "harness.md").read_text()


def test_the_scaling_section_counts_requests_and_quarters():
    results = openai_scaling.run(None, 1, CHARACTERS, requests=240)
    assert [row["concurrency"] for row in results["cost"]] == list(openai_scaling.LEVELS)
    assert results["steady"]["requests"] == 240
    assert len(results["steady"]["pss_mib_by_quarter"]) == 4
    assert results["scaling"][2]["per_second"] > 4 * results["scaling"][0]["per_second"]
    assert any("240 requests" in name for name, _ in openai_scaling.rows(results))


def test_what_misses_its_bar_is_named():
    good = {"cost": [{"concurrency": 1, "cpu_ms": 0.5}], "steady": {"growth_mib": 0.1}}
    bad = {"cost": [{"concurrency": 4, "cpu_ms": 2.5}], "steady": {"growth_mib": 50.0}}
    ratios = {"wall": 0.3, "growth": 0.2}
    met = {"whole": {"ratios": ratios}, "sampling": {"ringlite": {"of_bare": 0.8}}, "openai": good}
    assert harness.misses(met) == []
    missed = {
        "whole": {"ratios": {"wall": 0.6, "growth": 0.4}},
        "sampling": {"ringlite": {"of_bare": 0.6}},
        "openai": bad,
    }
    assert len(harness.misses(missed)) == 5


def test_the_sides_take_turns():
    assert list(turns(["a", "b"], 2)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]


def test_what_has_arrived_is_stored_when_the_run_is_killed_and_is_not_asked_again():
    in_flight = 8
    with bench(None, 10, CHARACTERS, delay=0.05) as place:
        folder = place.place("kill")
        command = ringlite_command(place, "kill", 10, in_flight)
        log = (folder / "log").open("wb")
        with log, subprocess.Popen(command, stdout=log, stderr=log, env=environment(folder)) as process:
            deadline = time.monotonic() + 240
            while place.server.statistics("kill")["requests"] < 120 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        sent = place.server.statistics("kill")["requests"]
        stored = sum(1 for _ in read_samples(folder / "run"))
        assert 120 - 2 * in_flight <= sent - 2 * in_flight <= stored <= sent < 300
        subprocess.run(command, check=True, capture_output=True, env=environment(folder))
        assert place.server.statistics("kill")["requests"] == sent + 300 - stored
        assert sum(1 for _ in read_samples(folder / "run")) == 300
        grades = list(read_grades(folder / "run"))
        assert sum(grade.scorer == "math-verify" for grade in grades) == 300


def test_the_command_refuses_an_unknown_section():
    command = [sys.executable, "-m", "benchmarks.perf.harness", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert "known are whole, sampling, openai" in done.stderr
