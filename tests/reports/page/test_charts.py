"""Axes, shades and lines of charts; and colours that can be read on a light and a dark screen."""

import re
from datetime import date, timedelta
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync.reports.page.charts import SHADES, Trend, shades_of, spark, trend_chart
from runsync.reports.page.scales import Unit, above, date_ticks, value_label, value_ticks
from runsync.reports.page.svg import Svg

PAGE = files("runsync.reports.page")
SCREENS = ("light", "dark")


@given(first=st.dates(date(1990, 1, 1), date(2090, 1, 1)), days=st.integers(0, 9000))
def test_dates_on_an_axis_are_few_in_order_and_told_apart(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    ticks = date_ticks(first, last)
    assert len(ticks) <= 6
    assert [day for day, _ in ticks] == sorted({day for day, _ in ticks})
    assert all(first <= day <= last for day, _ in ticks)
    assert len({(label, day.year) for day, label in ticks}) == len(ticks)


@given(high=st.floats(0.002, 1e8), unit=st.sampled_from(["s", "share"]))
def test_values_on_an_axis_are_few_and_within_it(high: float, unit: Unit) -> None:
    high = min(high, 1.06) if unit == "share" else high
    ticks = value_ticks(0.0, high, unit)
    assert 1 <= len(ticks) <= 6
    assert all(0 <= tick <= high * 1.000001 for tick in ticks)
    assert len({value_label(tick, unit) for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("value", "unit", "label"),
    [(0, "s", "0s"), (90, "s", "1.5m"), (7200, "s", "2h"), (0.25, "share", "25%")],
)
def test_a_value_on_an_axis_is_short(value: float, unit: Unit, label: str) -> None:
    assert value_label(value, unit) == label


def test_an_axis_of_nothing_has_a_length() -> None:
    assert above(np.array([np.nan, np.nan]), 0.5) == 0.5
    assert above(np.array([]), 0.5) == 0.5
    assert above(np.array([0.0]), 0.5) == 0.5


@given(st.lists(st.floats(0, 1e9) | st.just(np.nan), min_size=1, max_size=200))
def test_no_shade_is_of_more_than_its_share_of_fields_unless_values_are_equal(
    values: list[float],
) -> None:
    array = np.array(values)
    shades = shades_of(array)
    known = ~np.isnan(array)
    assert ((shades >= 0) == known).all()
    assert shades.max(initial=-1) < SHADES
    ordered = shades[known][np.argsort(array[known], kind="stable")]
    assert (np.diff(ordered) >= 0).all(), "a greater value is never of a lighter shade"
    if known.any() and len(set(array[known])) == known.sum():
        assert np.bincount(ordered).max() <= known.sum() / SHADES + 1


def test_two_great_values_do_not_make_all_others_look_alike() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50_000, 60_000])
    assert len(set(shades_of(values))) == SHADES


def test_a_line_is_broken_where_there_is_no_value() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    days = pd.date_range("2024-01-01", periods=5)
    drawn = Trend(days, values, values, values, np.array([False] * 4 + [True]))
    chart = trend_chart(drawn, "t", unit="s", bounds=(0, 5), marked=[date(2024, 1, 3)])
    assert (chart.count('class="line"'), chart.count('class="mark"')) == (2, 1)
    assert chart.count('class="dot') == 4
    assert chart.count('class="dot hollow"') == 1
    assert spark(values, "t").count('class="line"') == 2
    assert 'class="line"' not in spark(values * np.nan, "t")


@given(st.text())
def test_any_text_in_a_chart_stays_text(text: str) -> None:
    svg = Svg(10, 10)
    svg.add("text", "tick", text, x=1)
    drawn = svg.drawn(text)
    assert re.fullmatch(
        r'<svg class="chart" viewBox="0 0 10 10" role="img"><title>[^<>]*</title>'
        r'<text class="tick" x="1">[^<>]*</text></svg>',
        drawn,
    )


def colours(screen: str) -> dict[str, str]:
    """The style sheet's named colours on that screen."""
    sheet = PAGE.joinpath("page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    named = r"--(\w[\w-]*): (#[0-9a-f]{6});"
    found = dict(re.findall(named, light))
    return found if screen == "light" else found | dict(re.findall(named, dark))


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""
    lightnesses = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lightnesses.append(float(np.dot(linear, (0.2126, 0.7152, 0.0722))))
    low, high = sorted(lightnesses)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("screen", SCREENS)
def test_text_can_be_read_on_every_ground(screen: str) -> None:
    named = colours(screen)
    grounds = [named[name] for name in ("paper", "pale", "note", "bad-pale")]
    for text in ("ink", "muted", "blue", "orange", "bad", "good"):
        assert min(contrast(named[text], ground) for ground in grounds) >= 4.5, text


@pytest.mark.parametrize("screen", SCREENS)
def test_shades_of_a_heat_map_go_one_way(screen: str) -> None:
    named = colours(screen)
    away = [contrast(named[f"shade{n}"], named["paper"]) for n in range(SHADES)]
    assert away == sorted(away)
    assert away[-1] >= 4.5


def test_every_colour_stands_for_both_screens_and_every_class_of_a_chart_is_styled() -> None:
    sheet = PAGE.joinpath("page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    assert set(re.findall(r"--[\w-]+", light)) == set(re.findall(r"--[\w-]+", dark))
    rest = sheet.replace(light, "").replace(dark, "")
    assert not re.findall(r"#[0-9a-f]{3,6}\b(?=[;\s])", rest), "colours have names"
    for kind in "chart spark bar line band dot grid mark tick fill whisker empty".split():
        assert re.search(rf"\.{kind}\b[^{{]*{{", sheet), kind
