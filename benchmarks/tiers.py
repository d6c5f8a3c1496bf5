"""How fast features are sorted into tiers.

    python -m benchmarks.tiers [--full] [--json]

- `features_per_s`: correlation scores of the demo's 4,096 features from their stored peaks, over
  the default's windows, which are embedded anew in a cache of their own; `minutes` is what that
  takes. Needs the demo's tiers computed;
- `dedupe_ratio`: windows asked for, for one embedded;
- `retier_262k_ms`: median of 30 new thresholds over 262,144 features, counts and margins included.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from backend import settings
from backend.corpus.contexts import tokenize
from backend.models import language_model
from backend.schema import Study, Thresholds, Tier, TierSpec
from backend.study import loading
from backend.tiers import assignment, windows
from benchmarks.report import Figure, main

SIZE = 262_144
TIMES = 30


def retier() -> float:
    """Milliseconds to sort 262,144 features anew."""
    rng = np.random.default_rng(0)
    rho = [rng.beta(2, 6, SIZE).astype(np.float32) for _ in range(3)]
    seconds = []
    for tau in np.linspace(0.1, 0.5, TIMES):
        started = time.perf_counter()
        thresholds = Thresholds(float(tau), float(tau), float(tau))
        assigned = assignment.assign(rho, thresholds)
        np.bincount(assigned, minlength=len(Tier))
        assignment.margin(rho, thresholds)
        seconds.append(1000 * (time.perf_counter() - started))
    return statistics.median(seconds)


def isolated_peaks(folder: Path, demo: Study) -> windows.PeakSet:
    """The demo's peaks, in a cache that holds nothing else but its tokens."""
    peaks = windows.peaks(demo.reading, demo.require_sae())
    entries = [tokenize(demo.model, demo.corpus), language_model.vocabulary(demo.model)]
    os.environ["TESSERA_CACHE"] = str(folder)
    for entry in entries:
        target = settings.current().cache / entry.folder.parent.name / entry.folder.name
        target.parent.mkdir(parents=True)
        target.symlink_to(entry.folder)
    return windows.PeakSet(peaks, demo.model, demo.corpus, demo.embedder)


def scored() -> tuple[int, float, float]:
    """Features, seconds to score them, and windows asked for by one embedded."""
    with tempfile.TemporaryDirectory() as folder:
        demo, spec = loading.load("demo"), TierSpec()
        peak_set = isolated_peaks(Path(folder), demo)
        started = time.perf_counter()
        for window in spec.windows:
            windows.scores(peak_set, window, spec.count)
        seconds = time.perf_counter() - started
        rows = np.asarray(peak_set.peaks.array("rows"))
        embedded = sum(len(peak_set.anchors(index)) for index in range(len(windows.TRANCHES)))
        contexts = len(tokenize(demo.model, demo.corpus).frame("contexts"))
        return len(rows), seconds, 3 * int((rows >= 0).sum()) / (2 * embedded + contexts)


def measure(full: bool) -> tuple[int, list[Figure]]:
    del full  # there is one size
    speed = retier()
    count, seconds, ratio = scored()
    return count, [
        Figure("features_per_s", count / seconds, "/s", 4096 / 240, seconds <= 240),
        Figure("minutes", seconds / 60, "min", 4.0, seconds <= 240),
        Figure("dedupe_ratio", ratio, "×", None, None),
        Figure("retier_262k_ms", speed, "ms", 100.0, speed <= 100),
    ]


if __name__ == "__main__":
    main("tiers", measure)
