"""The one place that reads the environment.

| variable | meaning | default |
|---|---|---|
| TESSERA_CACHE | folder of memoized results, jobs and converted models | `cache/` of the project |
| TESSERA_CACHE_GB | size above which least recently used results are evicted | 40 |
| TESSERA_STUDIES | folder of study files | `studies/` of the project |
| TESSERA_DEVICE | `cuda`, `mps` or `cpu`, over what a study says | the study's |
| TESSERA_DTYPE | `float32` or `bfloat16`, over what a study says | the study's |
| TESSERA_WORKER_IDLE | seconds after which an idle worker ends | 600 |
| TESSERA_LLM_URL | base URL of an OpenAI-compatible server that labels and judges | |
| TESSERA_LLM_MODEL | the model to ask for there | |
| TESSERA_LLM_KEY | its key, where it wants one; never stored, shown or logged | |
| HF_TOKEN | for gated models; read by huggingface_hub, never stored | |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Secret:
    """A text that shows itself nowhere but in `reveal`; the memo refuses it as a key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True)
class Settings:
    """Resolved settings; `current()` reads them."""

    cache: Path
    cache_gb: float
    studies: Path
    device: str
    dtype: str
    worker_idle: float
    llm_url: str
    llm_model: str
    llm_key: Secret


def current() -> Settings:
    """The settings as the environment has them now."""
    env = os.environ
    return Settings(
        cache=Path(env.get("TESSERA_CACHE", ROOT / "cache")).resolve(),
        cache_gb=float(env.get("TESSERA_CACHE_GB", "40")),
        studies=Path(env.get("TESSERA_STUDIES", ROOT / "studies")).resolve(),
        device=env.get("TESSERA_DEVICE", ""),
        dtype=env.get("TESSERA_DTYPE", ""),
        worker_idle=float(env.get("TESSERA_WORKER_IDLE", "600")),
        llm_url=env.get("TESSERA_LLM_URL", "").strip(),
        llm_model=env.get("TESSERA_LLM_MODEL", "").strip(),
        llm_key=Secret(env.get("TESSERA_LLM_KEY", "").strip()),
    )
