"""Numbers are short, colours legible, and labels on a chart apart."""

from __future__ import annotations

import numpy as np
import pytest

from components.shell import numbers, palette


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.fraction(0.314), ".31"),
        (numbers.fraction(-0.05), "−.05"),
        (numbers.fraction(-1.5), "−1.50"),
        (numbers.percent(-0.2), "−20%"),
        (numbers.activation(-1234.4), "−1,234"),
        (numbers.count(-3), "−3"),
        (numbers.fraction(-0.001), ".00"),
        (numbers.fraction(12.5, 1), "12.5"),
        (numbers.fraction(None), "–"),
        (numbers.percent(0.00031), "0.031%"),
        (numbers.percent(0.412), "41%"),
        (numbers.percent(0), "0%"),
        (numbers.percent(float("nan")), "–"),
        (numbers.count(12345), "12,345"),
        (numbers.times(1.93), "×1.9"),
        (numbers.span(200), "3 min 20 s"),
        (numbers.span(7500), "2 h 5 min"),
        (numbers.span(float("inf")), "–"),
        (numbers.rate(2900, "tokens"), "2,900 tokens/s"),
    ],
)
def test_numbers_are_short(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK])
def test_text_is_legible_on_its_ground(theme: palette.Palette) -> None:
    for ink in (theme.ink, theme.muted, theme.accent, theme.violet, theme.teal):
        assert contrast(ink, theme.ground) >= 4.5


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two colours."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_of_labels_that_would_cover_each_other_the_first_is_shown() -> None:
    x, y = np.array([0.0, 0.01, 0.01, 1.0]), np.array([0.0, 0.0, 1.0, 0.0])
    shown = palette.legible(x, y, ["one", "hidden", "above", "far"])
    assert shown == ["one", "", "above", "far"]
    assert palette.legible(x[:1], y[:1], ["alone"]) == ["alone"]
    whole = np.array([0.0, 40.0]), np.array([0.0, 1.0])
    near = palette.legible(x[[0, 3]], y[[0, 3]], ["one", "two"], whole)
    assert near == ["one", ""], "of a chart of a wider range they lie on each other"
