"""The table of events. One made before there were revisions is taken as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    texts = ("person", "kind", "study", "subject", "value")
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("made", sa.REAL, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        if_not_exists=True,
    )
    op.create_index("events_by_kind", "events", ["study", "kind", "subject"], if_not_exists=True)
