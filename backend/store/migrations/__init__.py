"""How the tables of annotations came to be, step by step: Alembic's scripts in `versions/`, each of
which goes one way and loses nothing. Imported only where a database is not at the newest."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, of which no file exists; `env.py` takes the connection from here."""
    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return settings


def upgrade(connection: Connection) -> None:
    """Brings the tables to the newest revision, in the transaction that is open."""
    command.upgrade(config(connection), "head")
