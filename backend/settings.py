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
| TESSERA_LIGHT_GB | free memory from which on short questions get a worker of their own | 2 |
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
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, SecretStr

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.7.0"

Folder = Annotated[Path, AfterValidator(lambda path: path.resolve())]
Secret = SecretStr  # shows itself nowhere but in `get_secret_value`; the memo refuses it as a key


class Settings(BaseModel, frozen=True, validate_default=True):
    """Resolved settings; `current()` reads them, each from TESSERA_ and its name."""

    cache: Folder = ROOT / "cache"
    cache_gb: float = 40.0
    annotations: Folder = ROOT / "annotations"
    studies: Folder = ROOT / "studies"
    device: str = ""
    dtype: str = ""
    worker_idle: float = 600.0
    light_gb: float = 2.0
    llm_url: str = ""
    llm_model: str = ""
    llm_key: Secret = Secret("")
    llm_price_in: str = ""  # as written: a bad price stops what needs prices and nothing else
    llm_price_out: str = ""
    neuronpedia_url: str = "https://www.neuronpedia.org"
    neuronpedia_key: Secret = Secret("")


def current() -> Settings:
    """The settings as the environment has them now."""
    variables = {name: f"TESSERA_{name.upper()}" for name in Settings.model_fields}
    texts = {name: os.environ[v].strip() for name, v in variables.items() if v in os.environ}
    return Settings.model_validate(texts)


def spoken(path: Path) -> str:
    """A path as a person would write it: within the project from there on, else from home."""
    for folder, sign in ((ROOT, ""), (Path.home(), "~/")):
        if path.is_relative_to(folder):
            return f"{sign}{path.relative_to(folder)}"
    return str(path)
