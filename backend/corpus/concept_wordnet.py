"""The domains of WordNet (lexnames(5WN)) as concepts, their texts the glosses of synsets (format:
wndb(5WN))."""

from __future__ import annotations

import re
from pathlib import Path

from backend.corpus import sources
from backend.corpus.concept_tables import (
    Classes,
    ConceptSource,
    Documents,
    Labelled,
    draw_classes,
    existing,
    place_of,
)
from backend.schema import ConceptRef, CorpusError

FOLDER = Path("/usr/share/wordnet")  # where Debian's wordnet-base puts it
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


def _read(ref: ConceptRef, _documents: Documents) -> Labelled:
    """Glosses of the synsets in WordNet's data files, one concept a domain.

    Raises:
        CorpusError: a line is no synset; file and line are named.
    """
    classes: Classes = {name: [] for name in DOMAINS}
    for path in _files(ref):
        for number, line in enumerate(sources.decoded(sources.contents(path), path).split("\n"), 1):
            if line.strip() and not line.startswith(" "):  # the licence is indented
                name, word, gloss = _synset(line, f"{path}, line {number},")
                classes[name].append((word, gloss))
    classes = {name: texts for name, texts in classes.items() if texts}
    return draw_classes(classes, {name: name.split(".")[0] for name in classes}, ref.seed)


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


def _files(ref: ConceptRef) -> list[Path]:
    folder = place_of(ref) if ref.path else FOLDER
    remedy = "Install it (`apt-get install wordnet-base`), or name the folder of its data files."
    return existing([folder / name for name in SYNSETS], remedy)


SOURCE = ConceptSource("wordnet", "WordNet's glosses by domain", "built in", _files, _read)
