"""Document: a whole document, every token coloured by a feature or by its region."""

from __future__ import annotations

from backend import queries
from components.shell import address, documents
from components.shell.frame import frame
from components.shell.status import render_empty, reported, waiting

place = frame("Document", queries)

with reported():
    number, feature = address.get("document"), documents.coloured_by()
    if number is None:
        render_empty("No document is open.", "Follow “document” beside a member or an example.")
    else:
        passage = queries.document(place.study, number, feature, place.p, place.k)
        if not waiting(passage, queries):
            documents.render_steps(number)
            documents.render_document(passage)
