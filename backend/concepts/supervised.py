"""What labels buy: three readers that are fitted to a concept's training texts, beside which any
direction found without labels has to stand. All are scored on texts that they did not see.

- *bow*: logistic regression on which words a text has, blind to the model;
- *diffmean*: the mean point of positive tokens less that of negative ones (Wu et al., *AxBench*,
  2025), scored as regions are, by the strongest token;
- *probe*: logistic regression on the mean point of a text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend import run
from backend.concepts import scores
from backend.concepts.scores import text_means
from backend.schema import ConceptRef, Reading
from backend.store.memo import memoize

READERS = ("bow", "diffmean", "probe")
SCALE = 10.0  # of mean points before the probe, whose penalty is made for values about 1


@memoize("concepts.supervised_readers", version=1)
def fitted_readers(reading: Reading, ref: ConceptRef) -> dict[str, Any]:
    """`bow`, `diffmean`, `probe`: [concepts, texts] float32 scores of every text by the reader of
    every concept; `directions` [concepts, width] of diffmean."""
    labelled, every = scores.text_points(reading, ref)
    means = text_means(reading, ref).array("means")
    sizes, texts = np.diff(labelled.offsets), labelled.tokens.documents["text"].to_list()
    directions, bow, probe = [], [], []
    for concept in range(len(labelled.concepts)):
        run.report(concept, len(labelled.concepts), "Fitting readers", "concepts")
        positive, negative, _ = labelled.texts_of(concept, "train")
        rows = np.r_[positive, negative]
        labels = np.repeat([1.0, 0.0], [len(positive), len(negative)])
        directions.append(mean_difference(means, sizes, positive, negative))
        probe.append(_probe(means[rows] * SCALE, labels).decision_function(means * SCALE))
        bow.append(_words([texts[row] for row in rows], labels).decision_function(texts))
    vectors = torch.from_numpy(np.array(directions, dtype=np.float32)).to(run.current().device)
    along = scores.strongest_along(every, labelled.offsets, vectors)
    return {
        "bow": np.array(bow, dtype=np.float32),
        "probe": np.array(probe, dtype=np.float32),
        "diffmean": np.ascontiguousarray(along.T),
        "directions": vectors.cpu().numpy(),
    }


def mean_difference(
    means: np.ndarray, sizes: np.ndarray, positive: np.ndarray, negative: np.ndarray
) -> np.ndarray:
    """[width] unit vector from the mean negative token to the mean positive one; zero where they
    are the same."""
    one, other = (np.average(means[s], axis=0, weights=sizes[s]) for s in (positive, negative))
    return (one - other) / max(float(np.linalg.norm(one - other)), 1e-30)


def _probe(points: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    return LogisticRegression(class_weight="balanced", max_iter=1000).fit(points, labels)


def _words(texts: list[str], labels: np.ndarray) -> Any:
    """A run of letters or digits is a word, and so is any other sign, for scripts without spaces
    and for code."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = CountVectorizer(binary=True, token_pattern=r"(?u)[^\W_]+|[^\w\s]")
    regression = LogisticRegression(class_weight="balanced", max_iter=1000)
    return make_pipeline(words, regression).fit(texts, labels)
