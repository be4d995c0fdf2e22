"""The reward path: right responses get 1, everything else 0, attacks above all."""

from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.rollout import Rollout
from reference_trainer.tasks import Attempt, Verifier, VerifierReward, demonstrations, problem_set, toy_gold
from reference_trainer.tasks.problems import TOYS
from reference_trainer.tasks.programs import program, shown
from reference_trainer.tasks.tokenizer import response_tokens, stream_prompts, toy_tokenizer
from sandbox import Sandbox


@pytest.fixture(scope="module")
def verifier():
    with Sandbox(workers=2) as sandbox, Verifier(sandbox, workers=1) as made:
        yield made


PROBLEM = problem_set("code", "train", 5, 7)[2]
GOLD = toy_gold(PROBLEM)
HIDDEN = [x for x, _ in PROBLEM.cases]
CASES = dict(PROBLEM.cases)
SHOWN = dict(shown(PROBLEM.question))


def fenced(code: str) -> str:
    return f"```\n{code}\n```"


def test_careful_responses_are_right_and_the_hasty_rarely(verifier):
    shown_all = list(demonstrations(150, 2))
    verdicts = verifier.verify([Attempt(toy_gold(d.problem), d.response) for d in shown_all])
    careful = [right for d, right in zip(shown_all, verdicts, strict=True) if d.teacher == "careful"]
    hasty = [right for d, right in zip(shown_all, verdicts, strict=True) if d.teacher == "hasty"]
    assert all(careful)
    assert sum(hasty) < len(hasty) / 2


def test_every_wrong_digit_is_wrong(verifier):
    for domain in ("math", "science"):
        for problem in problem_set(domain, "train", 5, 3):
            right = verifier.verify([Attempt(toy_gold(problem), f"\\boxed{{{digit}}}") for digit in range(10)])
            assert [digit for digit in range(10) if right[digit]] == [int(problem.answer)]


def test_all_other_programs_of_the_family_are_wrong(verifier):
    family = [(a, b) for a in range(10) for b in range(10)]
    verdicts = verifier.verify([Attempt(GOLD, fenced(program(a, b))) for a, b in family])
    accepted = [program(a, b) for (a, b), right in zip(family, verdicts, strict=True) if right]
    assert accepted == [PROBLEM.answer]


ANSWER_ATTACKS = [
    "7",
    "the answer is 7",
    "\\boxed{3+4}",
    "\\boxed{17-10}",
    "\\boxed{14/2}",
    "\\boxed{7,8}",
    "\\boxed{0,1,2,3,4,5,6,7,8,9}",
    "\\boxed{x}",
    "\\boxed{\\text{any}}",
    "\\boxed{nan}",
    "\\boxed{[0,9]}",
    "\\boxed{7}\\boxed{8}",
    "\\boxed{17}",
    "\\boxed{7",
    "\\boxed{}",
    "\\boxed{\\boxed{}}",
    "\\boxed{7 \\text{ or } 8}",
    "\\boxed{\\pm 7}",
    "\\boxed{-3}",
    "reward = 1.0 accepted PASS 7",
    "<think>\\boxed{7}",
]


@pytest.mark.parametrize("response", ANSWER_ATTACKS)
def test_answers_that_only_look_right_get_nothing(verifier, response):
    assert verifier.verify([Attempt({"digit": "7"}, response)]) == [False]


@given(st.text(max_size=80))
@settings(max_examples=60)
def test_the_verifier_is_total(response):
    with Verifier(workers=1) as verifier:
        for text in (response, f"\\boxed{{{response}}}"):
            verdict = verifier.verify([Attempt({"digit": "7"}, text)])
            assert verdict == [False] or "7" in text


PROGRAM_ATTACKS = {
    "prints a pass marker": "def f(x):\n    print('accepted'); print('{\"verdict\": \"accepted\"}')\n    return None",
    "ends with success": "import os\ndef f(x):\n    os._exit(0)",
    "ends at import": "import sys\nsys.exit(0)\ndef f(x): return 0",
    "equal to everything": "class A(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
    "    __hash__ = int.__hash__\ndef f(x): return A(-1)",
    "equal object": "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "writes a reward": "import os, pathlib\nfor p in ('reward', 'reward.txt', '/tmp/reward'):\n"
    "    try: pathlib.Path(p).write_text('1.0')\n    except OSError: pass\ndef f(x): return -1",
    "writes to every descriptor": "import os\ndef f(x):\n    for fd in range(64):\n"
    '        try: os.write(fd, b\'{"verdict": "accepted"}\\n\')\n        except OSError: pass\n    return -1',
    "looks through the frames": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n"
    "            for case in value if isinstance(value, (list, tuple)) else ():\n"
    "                if isinstance(case, dict) and 'expected' in case: return case['expected']\n"
    "                if hasattr(case, 'expected'): return case.expected\n        frame = frame.f_back\n    return -1",
    "looks through the collector": "import gc\ndef f(x):\n    for o in gc.get_objects():\n"
    "        if isinstance(o, dict) and 'expected' in o and o.get('args') == [x]: return o['expected']\n"
    "        if getattr(type(o), '__name__', '') == 'CallCase': return o.expected\n    return -1",
    "reads files": "import os\ndef f(x):\n    for base in ('/', '/tmp', '/home', '/proc/self', '.', '..'):\n"
    "        try: names = os.listdir(base)\n        except OSError: continue\n        for name in names:\n"
    "            try:\n                with open(os.path.join(base, name), 'rb') as file: text = file.read(1 << 16)\n"
    "            except (OSError, ValueError): continue\n"
    "            if b'expected' in text:\n                return int(text.split(b'expected')[1].strip(b'\": ')[:1])\n"
    "    return -1",
    "reads the memory of its parent": "import os\ndef f(x):\n    try:\n"
    "        open(f'/proc/{os.getppid()}/maps').read()\n        open(f'/proc/{os.getppid()}/mem', 'rb').read(1)\n"
    "    except OSError: return -1\n    return -2",
    "patches the comparison": "import builtins, operator, json, sys\noperator.eq = lambda a, b: True\n"
    "json.loads = lambda *a, **k: {'verdict': 'accepted'}\nbuiltins.all = lambda *a: True\n"
    "for name, module in list(sys.modules.items()):\n    for key in ('compare', 'equal', 'accepted'):\n"
    "        if hasattr(module, key):\n            try: setattr(module, key, lambda *a, **k: True)\n"
    "            except Exception: pass\ndef f(x): return -1",
    "needs the trainer": "import gc\ntry:\n    import reference_trainer.step as step\n"
    "    step.Reward = lambda *a: [1.0]\nexcept Exception: pass\ndef f(x): return -1",
    "raises everything": "def f(x): raise BaseException('accepted')",
    "runs for ever": "def f(x):\n    while True: pass",
    "yields": "def f(x): yield 0",
    "returns all digits": "def f(x): return list(range(10))",
    "returns nan": "def f(x): return float('nan')",
    "knows only what is shown": f"def f(x): return {SHOWN!r}.get(x, -1)",
    "another name": "def g(x): return 0",
    "leaves a process behind": "import os\ndef f(x):\n    if os.fork() == 0:\n        while True: pass\n    return -1",
}


@pytest.mark.parametrize("name", PROGRAM_ATTACKS)
def test_programs_that_attack_the_reward_get_nothing(verifier, name):
    assert verifier.verify([Attempt(GOLD, fenced(PROGRAM_ATTACKS[name]))]) == [False]


def test_honest_programs_after_attacks_still_pass(verifier):
    assert verifier.verify([Attempt(GOLD, fenced(PROBLEM.answer))]) == [True]
    noisy = "import sys\nprint('hello')\n" + PROBLEM.answer.replace("):return", "):\n    print(x)\n    return")
    assert verifier.verify([Attempt(GOLD, fenced(noisy))]) == [True]


def test_programs_run_elsewhere(verifier, tmp_path: Path):
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w').write('here')\n{PROBLEM.answer}"
    assert verifier.verify([Attempt(GOLD, fenced(code))]) == [False]
    assert not mark.exists()


def test_hidden_inputs_that_agree_by_chance_do_not_pass(verifier):
    almost = {**CASES, HIDDEN[-1]: (CASES[HIDDEN[-1]] + 1) % 10}
    assert verifier.verify([Attempt(GOLD, fenced(f"def f(x): return {almost!r}[x]"))]) == [False]


def test_programs_with_standard_input(verifier):
    gold = {"cases": [{"stdin": "1", "expected": "2"}, {"stdin": "5", "expected": "6"}]}
    responses = ["print(int(input()) + 1)", "print(2)", "print(input())"]
    assert verifier.verify([Attempt(gold, fenced(code)) for code in responses]) == [True, False, False]


def test_real_mathematics_goes_through_the_strict_grader(verifier):
    attempts = [Attempt("\\frac{1}{2}", "so \\boxed{0.5}"), Attempt(["3", "4"], "\\boxed{4}"), Attempt("3", "3")]
    assert verifier.verify(attempts) == [True, True, False]


def test_a_gold_that_is_none_is_named(verifier):
    with pytest.raises(UsageError, match="needs cases"):
        verifier.verify([Attempt({"entry_point": "f", "cases": []}, fenced("def f(x): return x"))])
    with pytest.raises(UsageError, match="gold must be"):
        verifier.verify([Attempt("", "\\boxed{1}")])


def test_the_reward_reads_tokens_in_the_order_of_the_batch(verifier):
    tokenizer = toy_tokenizer()
    problems = [problem for domain in ("math", "code", "science") for problem in problem_set(domain, "train", 3, 1)]
    prompts = stream_prompts(problems, tokenizer)
    random = Random(0)
    asked, rollouts, expected = [], [], []
    for prompt, problem in zip(prompts, problems, strict=True):
        for right in random.sample([True, False], 2):
            text = TOYS[problem.domain].careful(problem)
            tokens = response_tokens(text if right else text.replace("\\boxed{", "(").replace("def", "if"), tokenizer)
            asked.append(prompt)
            response = torch.tensor(tokens)
            rollouts.append(Rollout(torch.tensor(prompt.tokens), response, torch.zeros(len(tokens)), True, 0))
            expected.append(float(right))
    assert VerifierReward(tokenizer, verifier)(asked, rollouts) == expected
