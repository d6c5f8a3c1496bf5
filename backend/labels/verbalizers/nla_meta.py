"""`nla_meta.yaml`: what a natural language autoencoder's checkpoint says of itself.

The form is that of the released checkpoints (kitft/natural_language_autoencoders, schema 2). The
tables whose values are acted on may hold nothing that is not known here, for it might change what
the vector means; at the top, where provenance is written, other fields are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backend.schema import ModelError

FILE = "nla_meta.yaml"
MARKER = "{injection_char}"  # where a template wants the marker


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Extraction(_Part):
    injection_scale: float = Field(gt=0)  # norm of a vector as the network was trained to read it
    mse_scale: float | None = None  # of the reconstructor, which is not used here


class Tokens(_Part):
    injection_char: str = Field(min_length=1)  # the marker
    injection_token_id: int = Field(ge=0)
    injection_left_neighbor_id: int = Field(ge=0)
    injection_right_neighbor_id: int = Field(ge=0)
    critic_suffix_ids: list[int] | None = None  # of the reconstructor


class Templates(_Part):
    av: str  # of the verbalizer
    ar: str | None = None  # of the reconstructor

    @field_validator("av")
    @classmethod
    def _has_one_marker(cls, template: str) -> str:
        if template.count(MARKER) != 1:
            raise ValueError(f"holds {MARKER} {template.count(MARKER)} times, not once")
        return template


class NlaMeta(BaseModel):
    """The sidecar of a verbalizer: `extraction_layer_index` is the block whose output it reads."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    kind: Literal["nla_model"]
    schema_version: Literal[2]
    role: Literal["av"]
    d_model: int = Field(gt=0)
    extraction_layer_index: int = Field(ge=0)
    extraction: Extraction
    tokens: Tokens
    prompt_templates: Templates

    @property
    def prompt(self) -> str:
        """What the user's turn says, the marker in its place."""
        return self.prompt_templates.av.replace(MARKER, self.tokens.injection_char)


def read_meta(path: Path, source: str) -> NlaMeta:
    """The checked sidecar of the checkpoint that `source` names.

    Raises:
        ModelError: it is not YAML, or a field is missing, unknown or wrong (all are named).
    """
    import yaml

    remedy = (
        "Use a verbalizer that was released with schema 2, such as kitft/nla-gemma3-27b-L41-av."
    )
    try:
        sidecar: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return NlaMeta.model_validate(sidecar)
    except ValidationError as error:
        problems = "; ".join(_complaint(each["loc"], each["msg"]) for each in error.errors())
        raise ModelError(f"{FILE} of {source}: {problems}.", remedy) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{FILE} of {source} is not YAML.", remedy) from error


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(step) for step in location) or "the file"
    return f"`{field}` {message[:1].lower()}{message[1:]}"
