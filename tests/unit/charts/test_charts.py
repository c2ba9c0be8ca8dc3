"""Charts are plain numbers in, and what plotly takes out."""

import plotly.graph_objects as go

from dist_alexnet.charts.bars import phases, stacked
from dist_alexnet.charts.lines import Curve, lines
from dist_alexnet.charts.look import COLOURS, PHASE_COLOURS, text
from dist_alexnet.charts.scaling import scaling


def test_plotly_takes_every_chart() -> None:
    charts = [
        lines("a", "x", "y", [Curve("one", [1, 2], [3.0, None]), Curve("two", [1], [2.0], dash="dot")]),
        stacked("b", "ms", ["run"], {"part": [1.0]}),
        phases("c", ["run", "other"], [{"forward": 0.1}, {"backward": 0.2}]),
        scaling("d", {"family": [(2, 20.0), (1, 10.0)]}),
        lines("none", "x", "y", []),
    ]
    for chart in charts:
        assert go.Figure(chart).layout.title.text == chart["layout"]["title"]["text"]


def test_names_are_not_read_as_tags() -> None:
    assert text("<b>&amp;") == "&lt;b&gt;&amp;amp;"
    assert lines("", "", "", [Curve("<b>", [1], [1.0])])["data"][0]["name"] == "&lt;b&gt;"
    assert stacked("", "", ["<i>"], {"<b>": [1.0]})["data"][0]["y"] == ["&lt;i&gt;"]


def test_phases_have_their_colours_and_their_order_and_unknown_ones_come_last() -> None:
    chart = phases("", ["a"], [{"new": 1.0, "other": 0.1, "data_wait": 0.5, "forward": 0.0}])
    assert [trace["name"] for trace in chart["data"]] == ["data wait", "other", "new"]
    assert chart["data"][0]["marker"]["color"] == PHASE_COLOURS["data_wait"]
    assert chart["data"][0]["x"] == [500.0]


def test_the_ideal_starts_from_the_smallest_number_of_ranks() -> None:
    real, ideal = scaling("", {"a": [(4, 100.0), (2, 60.0)]})["data"]
    assert (real["x"], real["y"]) == ([2, 4], [60.0, 100.0])
    assert (ideal["y"], ideal["line"]["dash"]) == ([60.0, 120.0], "dot")
    assert real["line"]["color"] == ideal["line"]["color"] == COLOURS[0]
