"""Any table as CSV or Parquet. Files are made when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def tables_of(view: object, name: str) -> dict[str, pl.DataFrame]:
    """Every table of a view under its name: "region 5 next tokens"."""
    return {
        f"{name} {field.replace('_', ' ')}": value
        for field, value in vars(view).items()
        if isinstance(value, pl.DataFrame)
    }


def render_downloads(tables: Mapping[str, pl.DataFrame], key: str) -> None:
    """A small button that opens a list of tables, each in both formats."""
    with st.popover("Download", type="tertiary", key=f"download-{key}", on_change="rerun") as box:
        for name, frame in tables.items() if box.open else ():
            left, csv, parquet = st.columns([3, 1, 1.3], vertical_alignment="center")
            left.html(f'<p class="note">{name} · {len(frame):,} rows</p>')
            _button(csv, "CSV", name, frame, key)
            _button(parquet, "Parquet", name, frame, key)


def _button(place: DeltaGenerator, kind: str, name: str, frame: pl.DataFrame, key: str) -> None:
    write = csv_bytes if kind == "CSV" else parquet_bytes
    place.download_button(
        kind,
        data=lambda: write(frame),
        file_name=f"{name.replace(' ', '-')}.{kind.lower()}",
        mime="text/csv" if kind == "CSV" else "application/vnd.apache.parquet",
        key=f"{key}-{name}-{kind}",
        on_click="ignore",
        type="tertiary",
    )


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """UTF-8 CSV with a head. Nested columns are written as JSON."""
    flat = frame.select(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" ")
        if isinstance(kind, pl.List)
        else pl.col(name)
        for name, kind in frame.schema.items()
    )
    return flat.write_csv().encode()


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Parquet with every column as it is."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
