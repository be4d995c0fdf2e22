"""The HTML report in a real headless Chromium: from disk, with the network off."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.report import page as report_page
from harness.report.comparison import render_comparison
from harness.scoring_results import evaluate
from tests.browser import SIZES, Opened, needs_chromium, started

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from started()


class Report(Opened):
    """What these tests ask of a page."""

    def wait(self, condition: str) -> None:
        """Polls from outside: the page's policy forbids the evaluation that the library's own waiting needs."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"still not so: {condition}"
            time.sleep(0.03)

    def found(self) -> int:
        return int(self.page.inner_text("#found").split(" ")[0].replace(",", ""))


Open = Callable[..., Report]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    opened: list[Report] = []

    def go(path: Path, size: str = "wide", scheme: str = "light") -> Report:
        opened.append(Report(browser, path, size, scheme))
        return opened[-1]

    yield go
    for one in opened:
        one.page.context.close()


def render(folder: Path) -> Path:
    return report_page.render_html(evaluate(folder))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_opens_without_a_complaint_and_fits(make_run, visit: Open, size: str, scheme: str) -> None:
    folder = make_run(n=4, truncated=lambda i, k: i == 3 and k == 0)
    opened = visit(render(folder), size, scheme)
    opened.wait("document.querySelectorAll('#detail .response p').length > 0")
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("file:")] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(17, 19, 24)") == (scheme == "dark")
    opened.page.click("#theme")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    text = opened.page.inner_text("main")
    for part in ("AIME 2024", "76.61", "math-verify", "G-Pass@4", "Truncated"):
        assert part in text


def test_filters_count_what_the_grades_say(make_run, visit: Open) -> None:
    folder = make_run(n=4, truncated=lambda i, k: (i + k) % 11 == 0)
    score = evaluate(folder).rows[0].score
    opened = visit(render(folder))
    right = round(score.score * score.samples)
    cut = sum(problem.truncated for problem in score.per_problem)
    expected = {
        "all": 120,
        "right": right,
        "wrong": 120 - right,
        "truncated": cut,
        "none": cut,
        "disagree": score.others[0].disagreements,
    }
    for name, number in expected.items():
        opened.page.click(f"#filter-{name}")
        assert opened.found() == number, name
        assert opened.page.get_attribute(f"#filter-{name}", "aria-pressed") == "true"
    opened.page.click("#filter-truncated")
    opened.wait("document.querySelector('#detail .facts').innerText.includes('length')")
    assert opened.complaints == []


def test_search_in_ids_answers_and_texts(make_run, visit: Open) -> None:
    folder = make_run(n=2, respond=lambda i, k, a: f"needle{i}-{k} in the hay \\boxed{{{a}}}", solve=lambda i: 1.0)
    opened = visit(render(folder))
    box = opened.page.locator("#query")
    for text, number in (("p17", 2), ("needle5-1", 1), ("NEEDLE5-", 2), ("What is $8", 2), ("nowhere", 0)):
        box.fill(text)
        opened.wait(f"document.getElementById('found').textContent.startsWith('{number} of')")
    assert "No sample matches" in opened.page.inner_text("#detail")
    box.fill("")
    opened.wait("document.getElementById('found').textContent.startsWith('60 of')")
    assert opened.complaints == []


def test_the_strip_leads_to_a_problem_and_keys_move(make_run, visit: Open) -> None:
    opened = visit(render(make_run(n=3)))
    opened.page.click("[data-problem='7']")
    assert opened.found() == 3
    opened.wait("document.querySelector('#detail h3').textContent === 'p7  #0'")
    for key, heading in (("j", "p7  #1"), ("j", "p7  #2"), ("j", "p7  #2"), ("k", "p7  #1")):
        opened.page.keyboard.press(key)
        opened.wait(f"document.querySelector('#detail h3').textContent === '{heading}'")
    opened.page.keyboard.press("Escape")
    assert opened.found() == 90
    opened.page.keyboard.press("2")
    assert opened.page.get_attribute("#filter-right", "aria-pressed") == "true"
    opened.page.keyboard.press("/")
    assert opened.page.evaluate("document.activeElement.id") == "query"
    assert opened.complaints == []


MATHEMATICS = r"""So $x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}$ and
\[ \sum_{k=1}^{n} k = \frac{n(n+1)}{2}, \quad \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} \in \mathbb{R}^{2\times2} \]

# A heading
**Bold** and `code`. A lone $5 and $6 are prices. Unknown: $\frobnicate{x}$.

```python
def f(x):
    return "text" + str(x)  # comment
```

The answer is \boxed{\frac12}."""


def test_mathematics_and_code_are_rendered(make_run, visit: Open) -> None:
    opened = visit(render(make_run(n=2, respond=lambda i, k, a: MATHEMATICS)))
    opened.wait("document.querySelectorAll('.response math').length >= 3")
    count = opened.page.locator
    assert count(".response math mfrac").count() >= 3
    assert count(".response math msqrt").count() == 1
    assert count(".response math munderover").count() == 1
    assert count(".response math mtable mtr").count() == 2
    assert count(".response math[display='block']").count() == 1
    assert count(".response math .boxed mfrac").count() == 1
    assert "ℝ" in opened.page.inner_text(".response")
    assert count(".response pre .key").first.inner_text() == "def"
    assert count(".response pre .str").first.inner_text() == '"text"'
    assert count(".response pre .com").first.inner_text() == "# comment"
    assert count(".response h4").first.inner_text().lower() == "a heading"
    assert "A lone $5 and $6 are prices" in opened.page.inner_text(".response")
    assert "\\frobnicate" in opened.page.inner_text(".response")
    opened.page.click("#source")
    opened.wait("document.querySelector('.response pre.source') !== null")
    assert r"\frac{-b \pm" in opened.page.inner_text(".response pre.source")
    assert opened.complaints == []


@pytest.mark.parametrize(
    ("text", "blocks", "paragraphs"),
    [
        ("\n    return any(x for x in y)\n```\nThis is *why*.", 1, 1),
        ("    return 1\n", 1, 0),
        ("import os\nprint(os)\n", 1, 0),
        ("Text first.\n```cpp\nint main() {}\n", 1, 1),
        ("No code at all.", 0, 1),
    ],
)
def test_programs_are_told_from_prose(make_run, visit: Open, text: str, blocks: int, paragraphs: int) -> None:
    opened = visit(render(make_run(n=2, respond=lambda i, k, a: text)))
    opened.wait("document.querySelector('.response') !== null && document.querySelector('.response').children.length")
    assert opened.page.locator(".response pre").count() == blocks
    assert opened.page.locator(".response p").count() == paragraphs
    assert opened.complaints == []


HOSTILE = [
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror='window.pwned=1'>",
    "<svg onload=window.pwned=1>",
    "--><!-- <iframe src='javascript:parent.pwned=1'></iframe>",
    "]]></math><style>*{display:none}</style>",
    "$\\text{<img src=x onerror=window.pwned=1>}$ \\(\\href{javascript:window.pwned=1}{x}\\)",
    "```html\n<script>window.pwned=1</script>\n```",
    "${window.pwned=1} {{constructor.constructor('window.pwned=1')()}} `+window.pwned+`",
    "\x00\x01\x07\x1b[31m\x7f\x9b \u202eabc\u202c \u2028 \u2029 \ufeff \ud800 lone",
    "A" * 1_000_000,
    "$" * 50_000 + "\\[" * 20_000,
    "{" * 30_000 + "\\frac" * 10_000,
    "\n" * 40_000,
    "",
]


def test_hostile_samples_do_nothing(make_run, visit: Open) -> None:
    folder = make_run(
        n=len(HOSTILE),
        count=30,
        respond=lambda i, k, a: HOSTILE[k] if i == 0 else f"{i} {k}",
        model={"name": HOSTILE[0] + HOSTILE[1]},
        engine={"version": HOSTILE[1]},
    )
    opened = visit(render(folder))
    opened.page.click("[data-problem='0']")
    for number, text in enumerate(HOSTILE):
        opened.wait(f"document.querySelector('#detail h3').textContent.endsWith('#{number}')")
        opened.wait("document.querySelector('#detail .response') !== null")
        if number < 2:
            assert text in opened.page.inner_text(".response")
        opened.page.click("#source")
        opened.page.click("#source")
        opened.page.keyboard.press("j")
    assert opened.page.evaluate("typeof window.pwned") == "undefined"
    assert opened.page.locator("img, iframe, object, embed, svg[onload]").count() == 0
    assert opened.page.evaluate("getComputedStyle(document.querySelector('main')).display") != "none"
    assert opened.page.inner_text("h1") == HOSTILE[0] + HOSTILE[1]
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("file:")] == []


def test_control_characters_are_shown(make_run, visit: Open) -> None:
    opened = visit(render(make_run(n=2, respond=lambda i, k, a: f"{k} a\x00b\x1b[0m\u202ec")))
    opened.wait("document.querySelector('.response p') !== null")
    assert "a\u2400b\u241b[0m\u27e8U+202E\u27e9c" in opened.page.inner_text(".response")


def test_long_responses_are_cut_in_the_middle(make_run, visit: Open) -> None:
    opened = visit(render(make_run(n=2, respond=lambda i, k, a: f"start{k} " + "word " * 60_000 + "the end")))
    opened.wait("document.querySelector('.response .quiet') !== null")
    text = opened.page.inner_text(".response")
    assert text.startswith("start0")
    assert text.rstrip().endswith("the end")
    assert "characters left out; samples.jsonl has them" in text


def test_heavy_samples_lie_in_files_beside_the_page(make_run, visit: Open) -> None:
    folder = make_run(n=8, respond=lambda i, k, a: f"needle{i}-{k} " + "hay " * 4000, strict=False)
    path = render(folder)
    files = sorted(file.name for file in (folder / "report_files").iterdir())
    assert "s0.js" in files
    assert "s3.js" in files
    assert path.stat().st_size < 200_000
    opened = visit(path)
    opened.wait("document.querySelector('.response') !== null")
    loaded = [url for url in opened.requests if url.endswith(".js")]
    assert loaded == [url for url in loaded if url.startswith(folder.as_uri())]
    assert len(loaded) < len(files)
    opened.page.fill("#query", "needle29-7")
    opened.wait("document.getElementById('found').textContent.startsWith('0 of')")
    opened.page.click("#deep")
    opened.wait("document.getElementById('found').textContent.startsWith('1 of')")
    opened.wait("document.querySelector('#detail h3').textContent === 'p29  #7'")
    assert opened.complaints == []


def test_a_page_without_its_files_says_so(make_run, visit: Open) -> None:
    folder = make_run(n=8, respond=lambda i, k, a: f"{i} {k} " + "hay " * 4000)
    path = render(folder)
    shutil.rmtree(folder / "report_files")
    opened = visit(path)
    opened.wait("document.getElementById('detail').innerText.includes('keep the folder report_files')")


def test_files_of_an_earlier_report_go(make_run) -> None:
    folder = make_run(n=1)
    (folder / "report_files").mkdir()
    (folder / "report_files" / "s9.js").write_text("old")
    render(folder)
    assert not (folder / "report_files").exists()


def test_the_list_holds_only_what_is_seen(make_run, visit: Open) -> None:
    folder = make_run(benchmark="math500", n=8, respond=lambda i, k, a: f"{i} {k}", strict=False)
    opened = visit(render(folder))
    opened.wait("document.querySelectorAll('.item').length > 0")
    assert opened.found() == 4000
    opened.page.evaluate("document.getElementById('list').scrollTop = 4000 * 40")
    opened.wait("[...document.querySelectorAll('.item .id')].some((item) => item.textContent === 'p499')")
    assert opened.page.locator(".item").count() < 60


def test_protected_benchmarks_show_no_text(make_run, visit: Open) -> None:
    folder = make_run(benchmark="gpqa_diamond", n=2, respond=lambda i, k, a: f"secret {i} {k}")
    path = render(folder)
    assert "secret" not in path.read_text()
    opened = visit(path)
    opened.wait("document.getElementById('detail').innerText.includes('ask that its text not be passed on')")
    assert opened.complaints == []


def test_the_comparison_page(make_run, visit: Open) -> None:
    runs = [evaluate(make_run(name, n=8, seed=seed)) for name, seed in (("one", 1), ("two", 2), ("three", 3))]
    path = render_comparison(runs, runs[0].folder / "comparison.html")
    for size in SIZES:
        opened = visit(path, size)
        text = opened.page.inner_text("main")
        assert "two against one" in text
        assert "three against one" in text
        assert "REPEATED RUNS (A/A)" in text
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.complaints == []
