"""Natural language autoencoder: a network trained to say in words what a residual vector holds.

Only the verbalizer half of a released pair is run (kitft/natural_language_autoencoders). It is a
language model in whose prompt one token's embedding is the vector; everything particular to it
stands in `nla_meta.yaml` beside its weights.
"""

from __future__ import annotations

import numpy as np

from backend.labels.verbalizers import nla_meta
from backend.labels.verbalizers.continuation import checked_batches, go_on, into
from backend.labels.verbalizers.nla_meta import NlaMeta
from backend.models import language_model
from backend.models.language_model import LanguageModel
from backend.schema import ModelError, ModelRef, Site, VerbalizerRef

BATCH = {"cpu": 8, "mps": 8, "cuda": 32}  # vectors at a time
LENGTH = 200  # tokens of a reply at most
OPEN, CLOSE = "<explanation>", "</explanation>"
# by which a network is told from that of another model; a tuned copy keeps them all
SHAPE = (
    "model_type",
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
)
REMEDY = (
    "An NLA fits one model and one layer. Choose the one released for this study's, or leave "
    "[verbalizer] out."
)


class Nla:
    """A `Verbalizer`. Loading it drops the study's model from memory, and the other way round."""

    def __init__(self, ref: VerbalizerRef, model: ModelRef, site: Site, device: str) -> None:
        """Reads the checkpoint's description, not its weights, which the first call loads in the
        study's number format. `model` and `site` are what the vectors are of.

        A tuned model and its base cannot be told apart here: the study has to name the right one.

        Raises:
            ModelError: no such checkpoint, a bad `nla_meta.yaml`, another model, layer or width.
        """
        self.checkpoint = ModelRef(ref.source, ref.revision, model.dtype)
        self.device = device
        path = language_model.companion_file(self.checkpoint, nla_meta.FILE)
        self.meta: NlaMeta = nla_meta.read_meta(path, ref.source)
        _fit(self.meta, self.checkpoint, model, site)
        self.ids, self.at = _prompt(self.meta, self.checkpoint)
        self.name = f"NLA {ref.source}@{ref.revision} in {model.dtype}"

    def verbalize(self, vectors: np.ndarray) -> list[str]:
        """The explanation of each of [n, width] vectors, without its tags; "" where the network
        gives none. One that is not closed within `LENGTH` tokens is kept as far as it goes.

        Raises:
            ModelError: the weights cannot be loaded; vectors of another width, or not finite.
        """
        batches = checked_batches(vectors, self.meta.d_model, self.name, BATCH[self.device])
        return [text for batch in batches for text in self._texts(batch)]

    def _texts(self, batch: np.ndarray) -> list[str]:
        model: LanguageModel = language_model.load(self.checkpoint, self.device)
        # where the first block begins, embeddings are scaled already in every architecture
        with into(model.blocks[0], self.at, scaled(batch, self.meta.extraction.injection_scale)):
            texts = go_on(model, self.ids, len(batch), LENGTH, lambda text: CLOSE in text)
        return [explanation(text) for text in texts]


def scaled(vectors: np.ndarray, norm: float) -> np.ndarray:
    """[n, width] float32 with this norm; a zero vector stays one."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors * (norm / np.maximum(norms, 1e-12))).astype(np.float32)


def explanation(text: str) -> str:
    """What stands between the tags, stripped."""
    return text.partition(OPEN)[2].partition(CLOSE)[0].strip()


def _fit(meta: NlaMeta, checkpoint: ModelRef, model: ModelRef, site: Site) -> None:
    own, studied = language_model.config(checkpoint), language_model.config(model)
    width = int(studied.hidden_size)
    if meta.d_model != width or own.hidden_size != width:
        raise ModelError(
            f"{checkpoint.source} reads vectors of width {meta.d_model}, and those of "
            f"{model.source} have {width}.",
            REMEDY,
        )
    for field in SHAPE:
        theirs, ours = getattr(own, field, None), getattr(studied, field, None)
        if theirs != ours:
            raise ModelError(
                f"{checkpoint.source} was made for another model than {model.source}: its {field} "
                f"is {theirs}, not {ours}.",
                REMEDY,
            )
    if meta.extraction_layer_index != site.layer:
        raise ModelError(
            f"{checkpoint.source} reads the output of block {meta.extraction_layer_index}, and "
            f"this study looks at block {site.layer}.",
            REMEDY,
        )


# ---------------------------------------------------------------- the prompt


def _prompt(meta: NlaMeta, checkpoint: ModelRef) -> tuple[list[int], int]:
    """Token ids of the prompt and the place of the marker.

    Raises:
        ModelError: the tokenizer has no chat template, or does not put the marker where the sidecar
            says.
    """
    tokenizer, tokens = language_model.tokenizer(checkpoint), meta.tokens
    turns = [{"role": "user", "content": meta.prompt}]
    try:
        filled = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
    except ValueError as error:
        raise ModelError(
            f"The tokenizer of {checkpoint.source} has no chat template.",
            "Use the checkpoint with all its files.",
        ) from error
    ids = list(filled["input_ids"])
    marker = tokenizer.encode(tokens.injection_char, add_special_tokens=False)
    if marker != [tokens.injection_token_id] or ids.count(tokens.injection_token_id) != 1:
        raise _drift(
            checkpoint,
            f"the marker {tokens.injection_char!r} is {marker}, and token "
            f"{tokens.injection_token_id} stands {ids.count(tokens.injection_token_id)} times in "
            "the prompt",
        )
    marker_place = ids.index(tokens.injection_token_id)
    expected = [tokens.injection_left_neighbor_id, tokens.injection_right_neighbor_id]
    neighbours = [*ids[marker_place - 1 : marker_place], *ids[marker_place + 1 : marker_place + 2]]
    if neighbours != expected:
        raise _drift(checkpoint, f"beside the marker stand {neighbours}, not {expected}")
    return ids, marker_place


def _drift(checkpoint: ModelRef, what: str) -> ModelError:
    return ModelError(
        f"The tokenizer of {checkpoint.source} does not fit its {nla_meta.FILE}: {what}.",
        "Use the tokenizer that was released with the checkpoint.",
    )
