"""Residual vectors to texts, and the control that stands beside them."""

from __future__ import annotations

from backend.labels.contract import Verbalizer
from backend.labels.verbalizers import neuronpedia
from backend.labels.verbalizers.nla import Nla
from backend.labels.verbalizers.patchscope import Patchscope
from backend.schema import ModelRef, Site, VerbalizerRef


def load(ref: VerbalizerRef, model: ModelRef, site: Site, device: str) -> Verbalizer:
    """The verbalizer that a study names, for residual vectors of `model` at `site`. Weights are
    loaded by its first call.

    Raises:
        ModelError: it cannot be read, or is not made for this model and site.
        LlmUnavailableError: a service's settings are unusable.
    """
    if ref.kind == "nla":
        return Nla(ref, model, site, device)
    if ref.kind == "neuronpedia":
        return neuronpedia.configured(ref.source, site.layer)
    return Patchscope(model, site.layer, device)
