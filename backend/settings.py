"""The one place that reads the environment.

| variable | meaning | default |
|---|---|---|
| TESSERA_CACHE | folder of memoized results, jobs and converted models | `cache/` of the project |
| TESSERA_CACHE_GB | size above which least recently used results are evicted | 40 |
| TESSERA_ANNOTATIONS | folder of what people said; not a cache | `annotations/` of the project |
| TESSERA_STUDIES | folder of study files | `studies/` of the project |
| TESSERA_DEVICE | `cuda`, `mps` or `cpu`, over what a study says | the study's |
| TESSERA_DTYPE | `float32` or `bfloat16`, over what a study says | the study's |
| TESSERA_WORKER_IDLE | seconds after which an idle worker ends | 600 |
| TESSERA_LLM_URL | base URL of an OpenAI-compatible server that labels and judges | |
| TESSERA_LLM_MODEL | the model to ask for there | |
| TESSERA_LLM_KEY | its key, where it wants one; never stored, shown or logged | |
| TESSERA_LLM_PRICE_IN | price of a million prompt tokens there, to estimate and cap the cost | |
| TESSERA_LLM_PRICE_OUT | price of a million reply tokens, in the same currency | |
| TESSERA_NEURONPEDIA_URL | where Neuronpedia's API is | https://www.neuronpedia.org |
| TESSERA_NEURONPEDIA_KEY | its key, for higher limits; never stored, shown or logged | |
| HF_TOKEN | for gated models; read by huggingface_hub, never stored | |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

ROOT = Path(__file__).resolve().parent.parent


Secret = SecretStr  # shows itself nowhere but in `get_secret_value`; the memo refuses it as a key


@dataclass(frozen=True)
class Settings:
    """Resolved settings; `current()` reads them."""

    cache: Path
    cache_gb: float
    annotations: Path
    studies: Path
    device: str
    dtype: str
    worker_idle: float
    llm_url: str
    llm_model: str
    llm_key: Secret
    llm_price_in: str  # as written: a bad price stops what needs prices and nothing else
    llm_price_out: str
    neuronpedia_url: str
    neuronpedia_key: Secret


def current() -> Settings:
    """The settings as the environment has them now."""
    env = os.environ
    return Settings(
        cache=Path(env.get("TESSERA_CACHE", ROOT / "cache")).resolve(),
        cache_gb=float(env.get("TESSERA_CACHE_GB", "40")),
        annotations=Path(env.get("TESSERA_ANNOTATIONS", ROOT / "annotations")).resolve(),
        studies=Path(env.get("TESSERA_STUDIES", ROOT / "studies")).resolve(),
        device=env.get("TESSERA_DEVICE", ""),
        dtype=env.get("TESSERA_DTYPE", ""),
        worker_idle=float(env.get("TESSERA_WORKER_IDLE", "600")),
        llm_url=env.get("TESSERA_LLM_URL", "").strip(),
        llm_model=env.get("TESSERA_LLM_MODEL", "").strip(),
        llm_key=Secret(env.get("TESSERA_LLM_KEY", "").strip()),
        llm_price_in=env.get("TESSERA_LLM_PRICE_IN", "").strip(),
        llm_price_out=env.get("TESSERA_LLM_PRICE_OUT", "").strip(),
        neuronpedia_url=env.get("TESSERA_NEURONPEDIA_URL", "https://www.neuronpedia.org").strip(),
        neuronpedia_key=Secret(env.get("TESSERA_NEURONPEDIA_KEY", "").strip()),
    )
