"""Pictures: where points land, what is left out of long curves, and gaps."""

import re
import xml.etree.ElementTree as ET

import pytest

from reference_trainer.report.chart import (
    BASE,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Level,
    Series,
    figure,
    heat_map,
    line_chart,
    thinned,
)
from reference_trainer.report.panel import expert_load
from reference_trainer.report.run_files import StageFiles


def points(picture: str) -> list[list[tuple[float, float]]]:
    lines = ET.fromstring(picture).iter("polyline")
    return [[tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()] for line in lines]


def test_points_lie_where_the_axes_say() -> None:
    (line,) = points(line_chart("y", [Series("a", [0, 5, 10], [0.0, 1.0, 0.5])]))
    assert line == [(LEFT, BASE), ((LEFT + WIDTH - RIGHT) / 2, TOP), (WIDTH - RIGHT, (TOP + BASE) / 2)]


def test_series_share_their_axes_and_the_level_is_inside() -> None:
    picture = line_chart(
        "y", [Series("a", [1, 2], [1.0, 2.0]), Series("b", [3, 4], [3.0, 8.0], 1)], level=Level("Φ", 12)
    )
    a, b = points(picture)
    assert a[-1][0] < b[0][0]
    assert a[-1][1] > b[0][1]
    (level,) = [
        float(line.get("y1", "")) for line in ET.fromstring(picture).iter("line") if line.get("class") == "level"
    ]
    assert TOP <= level < b[-1][1]


def test_a_gap_parts_a_line_and_a_lonely_point_is_a_dot() -> None:
    picture = line_chart("y", [Series("a", [1, 2, 3, 4, 5, 6], [1.0, 2.0, None, 3.0, None, None])])
    assert len(points(picture)) == 1
    assert len(list(ET.fromstring(picture).iter("circle"))) == 1
    assert line_chart("y", [Series("a", [1, 2], [None, None])]) == ""


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-9, 1e99])
def test_a_constant_figure_has_an_axis(value: float) -> None:
    (line,) = points(line_chart("y", [Series("a", [1, 2], [value, value])]))
    assert all(TOP <= y <= BASE for _, y in line)
    one = line_chart("y", [Series("a", [1], [value])], from_zero=False)
    assert "nan" not in one


def test_thinning_keeps_ends_and_extremes() -> None:
    curve = [(float(x), float((x * 7919) % 1009)) for x in range(5000)]
    curve[1234] = (1234.0, 9999.0)
    curve[4321] = (4321.0, -9999.0)
    kept = thinned(curve, 300)
    assert len(kept) <= 300
    assert kept == sorted(kept)
    assert (1234.0, 9999.0) in kept
    assert (4321.0, -9999.0) in kept
    assert thinned(curve[:300], 300) == curve[:300]


def test_heat_map_colours_are_sides_of_an_even_share() -> None:
    picture = heat_map(
        "load", ["layer 1, expert 1", "layer 1, expert 2"], [[1.0, 4.0, 4.0], [1.0, 0.0, 0.25]], [1, 2, 3]
    )
    paths = {path.get("class"): path.get("d", "") for path in ET.fromstring(picture).iter("path")}
    assert set(paths) == {"above", "below"}
    assert paths["above"].count("M") == paths["below"].count("M") == 1  # two neighbours are one stretch
    assert float(re.search(r"M([\d.]+)", paths["above"]).group(1)) > LEFT  # type: ignore[union-attr]


def test_a_large_model_shows_some_of_its_layers_and_says_so(tmp_path) -> None:
    load = [[1 / 64] * 64 for _ in range(28)]
    stage = StageFiles("c3po", tmp_path, "done", [{"step": step, "expert_load": load} for step in range(1, 501)])
    page = expert_load(stage)
    assert "Shown are 1 of 28 layers" in page
    assert len(page) < 100_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0"),
        (0.45678, "0.4568"),
        (12345.6, "12,346"),
        (1.5737e-7, "1.574e-07"),
        (3, "3"),
        (-2.5, "-2.5"),
    ],
)
def test_figures(value: float | None, text: str) -> None:
    assert figure(value) == text
