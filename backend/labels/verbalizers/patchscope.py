"""Patchscope: the study's own model reads a vector that stands in for a word of a prompt.

Source: Ghandeharioun et al., *Patchscopes*, arXiv 2401.06102. Nothing is trained, so nothing sees
to it that the text is about the vector: it is to be read beside its control (`controls`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.labels.verbalizers.continuation import batches, checked, go_on, out_of
from backend.schema import ModelError, ModelRef

if TYPE_CHECKING:
    from backend.models.language_model import LanguageModel

BATCH = {"cpu": 32, "mps": 32, "cuda": 128}  # vectors at a time
LENGTH = 20  # tokens of a text at most


@dataclass(frozen=True)
class Prompt:
    """Lines of one pattern; the last has the placeholder and is left for the model to finish."""

    name: str
    before: str
    placeholder: str  # the vector is written over its last token
    after: str = ""


# Each line goes on from its first word, so the text says what the vector makes the model expect. On
# the demo, prompts that ask what the placeholder is (a word said again, a word explained) gave the
# same few texts for nearly every vector.
CONTINUATION = Prompt(
    "continuation",
    "river that runs down to the sea\n"
    "late last night by two votes\n"
    "forty people who were on board\n"
    "protest against the new law\n",
    "x",
)


class Patchscope:
    """A `Verbalizer`: the vector is written, as it is, over the residual of the placeholder after
    block `target` while the prompt is read, and the likeliest rest of the line is the text."""

    def __init__(
        self,
        ref: ModelRef,
        layer: int,
        device: str,
        *,
        target: int | None = None,
        prompt: Prompt = CONTINUATION,
    ) -> None:
        """`layer` is the block whose output the vectors are; `target` is the same unless given. The
        model is loaded by the first call.

        Raises:
            ModelError: the model cannot be read or has no such block.
        """
        from backend.models import language_model

        config = language_model.config(ref)
        self.ref, self.device, self.prompt = ref, device, prompt
        self.target = layer if target is None else target
        self.width = int(config.hidden_size)
        for block in (layer, self.target):
            if not 0 <= block < int(config.num_hidden_layers):
                raise ModelError(
                    f"{ref.source} has no block {block}.",
                    f"Blocks are counted from 0: use 0 to {config.num_hidden_layers - 1}.",
                )
        self.name = (
            f"patchscope of {ref.source}@{ref.revision} in {ref.dtype}, {prompt.name} prompt, "
            f"block {layer} to {self.target}"
        )

    def verbalize(self, vectors: np.ndarray) -> list[str]:
        """A line of at most `LENGTH` tokens for each of [n, width] vectors, "" where the model ends
        the line at once.

        Raises:
            ModelError: the vectors are not of the model's width, or hold NaN or infinity.
        """
        rows = checked(vectors, self.width, self.name)
        return [text for batch in batches(rows, BATCH[self.device]) for text in self._lines(batch)]

    def _lines(self, batch: np.ndarray) -> list[str]:
        from backend.models import language_model

        model = language_model.load(self.ref, self.device)
        ids, at = self._ids(model)
        with out_of(model.blocks[self.target], at, batch):
            texts = go_on(model, ids, len(batch), LENGTH, lambda text: "\n" in text)
        return [text.partition("\n")[0].strip() for text in texts]

    def _ids(self, model: LanguageModel) -> tuple[list[int], int]:
        """Token ids of the prompt, and where the placeholder ends."""
        from backend.models import language_model

        encode = language_model.tokenizer(self.ref).encode
        parts = (self.prompt.before, self.prompt.placeholder, self.prompt.after)
        before, placeholder, after = (encode(part, add_special_tokens=False) for part in parts)
        ids = [model.bos, *before, *placeholder]
        return [*ids, *after], len(ids) - 1
