"""Numbers and times as a reader sees them: short, aligned, the same everywhere."""

from __future__ import annotations

import math
import time

MISSING = "–"
MINUS = "−"  # as long as a plus sign, and no hyphen


def known(value: object) -> float | None:
    """A cell of a table as a number; None for what is missing."""
    if isinstance(value, int | float) and not math.isnan(value):
        return float(value)
    return None


def _written(text: str) -> str:
    """A number as text with the sign that means minus."""
    return text.replace("-", MINUS)


def count(value: object) -> str:
    """A whole number with separators: 12,345."""
    number = known(value)
    return MISSING if number is None else _written(f"{number:,.0f}")


def fraction(value: object, digits: int = 2) -> str:
    """A number mostly within -1..1 without its leading zero: .31, −.05, 1.20."""
    number = known(value)
    if number is None:
        return MISSING
    text = f"{number:.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"[1:]
    text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return _written(text)


def signed(value: object, digits: int = 2) -> str:
    """A difference with its sign: +.05, −.31, .00."""
    number = known(value)
    text = fraction(None if number is None else abs(number), digits)
    if number is None or float(text) == 0:
        return text
    return f"{'+' if number > 0 else MINUS}{text}"


def percent(value: object) -> str:
    """A share with two significant digits below 10%: 0.031%, 1.2%, 41%."""
    number = known(value)
    if number is None:
        return MISSING
    scaled = 100 * number
    if scaled == 0 or abs(scaled) >= 10:
        return _written(f"{scaled:,.0f}%")
    digits = 1 - math.floor(math.log10(abs(scaled)))
    return _written(f"{scaled:.{min(digits, 6)}f}%")


def activation(value: object) -> str:
    """An activation in few digits: .42, 4.2, 42.1, 1,366."""
    number = known(value)
    if number is None:
        return MISSING
    if abs(number) >= 100:
        return _written(f"{number:,.0f}")
    return fraction(number, 1 if abs(number) >= 1 else 2)


def times(value: object) -> str:
    """A ratio to a prior: ×1.9."""
    number = known(value)
    if number is None:
        return MISSING
    return f"×{number:.1f}" if abs(number) < 10 else f"×{number:.0f}"


def span(seconds: float | None) -> str:
    """A length of time in its two largest units: 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or math.isnan(seconds) or math.isinf(seconds):
        return MISSING
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, name, small, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    if whole >= 60:
        rest = whole % 60
        return f"{whole // 60} min" + (f" {rest} s" if rest else "")
    return f"{whole} s"


def about(seconds: float) -> str:
    """A length of time that is not known exactly: a few seconds, about 40 s, about 2 min."""
    if seconds < 5:
        return "a few seconds"
    step = 5 if seconds < 90 else 60 if seconds < 5400 else 600
    rounded = max(step, step * round(seconds / step))
    return f"about {span(rounded)}"


def age(when: float | None) -> str:
    """How long ago, in its largest unit: now, 4 min, 3 d."""
    if when is None:
        return MISSING
    seconds = time.time() - when
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return "now" if seconds < 5 else f"{int(seconds)} s"


def rate(value: float | None, unit: str) -> str:
    """Work per second: 2,900 tokens/s."""
    if value is None:
        return MISSING
    return f"{value:,.0f} {unit}/s" if value >= 10 else f"{value:.2g} {unit}/s"
