"""Patchscope: the study's own model reads a vector that stands in for a word of a prompt.

Source: Ghandeharioun et al., *Patchscopes*, arXiv 2401.06102. Nothing is trained, so nothing sees
to it that the text is about the vector: it is to be read beside its control (`controls`).
"""

from __future__ import annotations

import itertools

import numpy as np

from backend.labels.verbalizers.continuation import checked_batches, go_on, out_of
from backend.models import language_model
from backend.schema import ModelError, ModelRef

BATCH = {"cpu": 32, "mps": 32, "cuda": 128}  # vectors at a time
LENGTH = 20  # tokens of a text at most


# Each line goes on from its first word, so the text says what the vector makes the model expect. On
# the demo, prompts that ask what the placeholder is (a word said again, a word explained) gave the
# same few texts for nearly every vector.
CONTINUATION = (
    "river that runs down to the sea\n"
    "late last night by two votes\n"
    "forty people who were on board\n"
    "protest against the new law\n"
)
PLACEHOLDER = "x"  # the vector is written over its last token


class Patchscope:
    """A `Verbalizer`: the vector is written, as it is, over the residual of the placeholder after
    block `layer` while the prompt is read, and the likeliest rest of the line is the text."""

    def __init__(self, ref: ModelRef, layer: int, device: str) -> None:
        """`layer` is the block whose output the vectors are. The model is loaded by the first call.

        Raises:
            ModelError: the model cannot be read or has no such block.
        """
        config = language_model.config(ref)
        self.ref, self.device, self.layer = ref, device, layer
        self.width = int(config.hidden_size)
        if not 0 <= layer < int(config.num_hidden_layers):
            raise ModelError(
                f"{ref.source} has no block {layer}.",
                f"Blocks are counted from 0: use 0 to {config.num_hidden_layers - 1}.",
            )
        self.name = (
            f"patchscope of {ref.source}@{ref.revision} in {ref.dtype}, continuation prompt, "
            f"block {layer} to {layer}"
        )

    def verbalize(self, vectors: np.ndarray) -> list[str]:
        """A line of at most `LENGTH` tokens for each of [n, width] vectors, "" where the model ends
        the line at once.

        Raises:
            ModelError: the vectors are not of the model's width, or hold NaN or infinity.
        """
        batches = checked_batches(vectors, self.width, self.name, BATCH[self.device])
        return [text for batch in batches for text in self._lines(batch)]

    def _lines(self, batch: np.ndarray) -> list[str]:
        model = language_model.load(self.ref, self.device)
        encode = language_model.tokenizer(self.ref).encode
        parts = (encode(part, add_special_tokens=False) for part in (CONTINUATION, PLACEHOLDER))
        ids = [model.bos, *itertools.chain(*parts)]
        with out_of(model.blocks[self.layer], len(ids) - 1, batch):
            texts = go_on(model, ids, len(batch), LENGTH, lambda text: "\n" in text)
        return [text.partition("\n")[0].strip() for text in texts]
