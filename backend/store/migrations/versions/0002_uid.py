"""A name for each event, so that one sent twice is kept once, and a study's events in order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("events", sa.Column("uid", sa.Text))
    op.execute("UPDATE events SET uid = 'old-' || id")
    op.create_index("events_by_uid", "events", ["uid"], unique=True)
    op.create_index("events_by_study", "events", ["study"])  # in the order of ids
