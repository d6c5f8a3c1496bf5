"""Texts that a class is known of: topics of a corpus, domains of WordNet.

Each class is a concept and every text of another class may be a negative of it. Domains are those
of lexnames(5WN), their texts the glosses of synsets (format: wndb(5WN)).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from backend.corpus import sources
from backend.corpus.concept_tables import LEAST, Labelled, Row, frame, labelled
from backend.schema import CorpusError

MOST = 100  # texts that are drawn of a topic or domain
LONGEST = 500  # characters of a document of the corpus
HEAD = re.compile(rf".{{{LONGEST // 2},{LONGEST}}}(?=\s)", re.DOTALL)  # up to a white space

MARKER = re.compile(r"\((a|p|ip)\)$")  # on adjectives: where in a sentence they may stand
SYNSETS = ("data.noun", "data.verb", "data.adj", "data.adv")
DOMAINS = (  # by their number in a line of a data file
    *"adj.all adj.pert adv.all".split(),
    *(
        f"noun.{name}"
        for name in "Tops act animal artifact attribute body cognition communication event feeling "
        "food group location motive object person phenomenon plant possession process quantity "
        "relation shape state substance time".split()
    ),
    *(
        f"verb.{name}"
        for name in "body change cognition communication competition consumption contact creation "
        "emotion motion perception possession social stative weather".split()
    ),
    "adj.ppl",
)

Classes = dict[str, list[tuple[str, str]]]  # class: (title, text) of each


def _drawn(classes: Classes, genres: dict[str, str], seed: int) -> Labelled:
    """Up to `MOST` (title, text) of each class, at random; classes of too few are left out."""
    rows: list[Row] = []
    few = {name for name, texts in classes.items() if len(texts) < 2 * LEAST}
    for number, (name, texts) in enumerate(classes.items()):
        if name not in few:
            order = np.random.default_rng([seed, number]).permutation(len(texts))
            for at in sorted(order[:MOST].tolist()):
                title, text = texts[at]
                rows.append(labelled(len(rows), text, name, "positive", "", title))
    left_out = sum(len(classes[name]) for name in few)
    concepts = {name: (name, genres.get(name, "")) for name in classes if name not in few}
    return Labelled(frame(rows), concepts, True, left_out)


def topics(documents: pl.DataFrame, seed: int) -> Labelled:
    """The beginnings of documents (schema DOCUMENTS), one concept a topic.

    Raises:
        CorpusError: there are not two topics with texts enough.
    """
    classes: Classes = {}
    columns = documents.select("topic", "title", "text")
    for topic, title, text in columns.sort("topic", maintain_order=True).iter_rows():
        classes.setdefault(topic, []).append((title, head(text)))
    found = _drawn(classes, {}, seed)
    if len(found.concepts) < 2:
        raise CorpusError(
            f"Of the corpus's topics, {len(found.concepts)} have {2 * LEAST} documents or more.",
            "Two must: name a `topic_field` of its sources, or give each topic a folder.",
        )
    return found


def head(text: str) -> str:
    """The first `LONGEST` characters, up to a white space where their second half has one."""
    if len(text) <= LONGEST:
        return text
    match = HEAD.match(text)
    return match.group() if match else text[:LONGEST]


def wordnet(paths: list[Path], seed: int) -> Labelled:
    """Glosses of the synsets in WordNet's data files, one concept a domain.

    Raises:
        CorpusError: a line is no synset; file and line are named.
    """
    classes: Classes = {name: [] for name in DOMAINS}
    for path in paths:
        for number, line in enumerate(sources.decoded(sources.contents(path), path).split("\n"), 1):
            if line.strip() and not line.startswith(" "):  # the licence is indented
                name, word, gloss = _synset(line, f"{path}, line {number},")
                classes[name].append((word, gloss))
    classes = {name: texts for name, texts in classes.items() if texts}
    return _drawn(classes, {name: name.split(".")[0] for name in classes}, seed)


def _synset(line: str, where: str) -> tuple[str, str, str]:
    """(domain, first word, gloss) of a line of a data file."""
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    if len(fields) < 5 or not fields[1].isdecimal() or int(fields[1]) >= len(DOMAINS):
        raise CorpusError(
            f"{where} is no synset of WordNet.", "Install WordNet again, or name its files."
        )
    word = MARKER.sub("", fields[4]).replace("_", " ")
    return DOMAINS[int(fields[1])], word, gloss.strip()
