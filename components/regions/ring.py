"""The ring around the open region. It is laid over the map instead of drawn in it, so that opening
another region does not send and paint thousands of marks again."""

from __future__ import annotations

from streamlit.components.v2 import component

from backend.regions.views import RegionMap
from components.regions.map import CHART, marker_sizes, short

SCRIPT = """
export default function ({ data, parentElement }) {
  parentElement.stop?.();
  const ring = document.createElement("div");
  ring.className = "ring";
  const name = document.createElement("span");
  name.textContent = data.name;
  ring.append(name);
  let chart = null;
  const draw = () => {
    const x = chart?._fullLayout?.xaxis, y = chart?._fullLayout?.yaxis;
    if (!x?.l2p || !y?.l2p) return;
    const left = x.l2p(data.x), top = y.l2p(data.y), half = data.size / 2;
    const inside = left > -half && top > -half && left < x._length + half && top < y._length + half;
    ring.style.display = inside ? "block" : "none";
    ring.style.width = ring.style.height = `${data.size}px`;
    ring.style.left = `${x._offset + left - half}px`;
    ring.style.top = `${y._offset + top - half}px`;
  };
  const events = ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"];
  const attach = () => {
    const found = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    const ground = found?.querySelector(".svg-container");
    if (!ground || !found.on) return;
    if (found !== chart) events.forEach((event) => found.on(event, draw));
    chart = found;
    if (ring.parentElement !== ground) ground.append(ring);
    draw();
  };
  attach();
  const timer = setInterval(attach, 250);
  parentElement.stop = () => {
    clearInterval(timer);
    events.forEach((event) => chart?.removeListener?.(event, draw));
    ring.remove();
  };
  return parentElement.stop;
}
"""
_ring = component("tessera_ring", js=SCRIPT)


def render_ring(view: RegionMap, region: int) -> None:
    """Mark a region on the map; nothing where it does not exist."""
    if not 0 <= region < len(view.table):
        return
    row = view.table.row(region, named=True)
    size = float(marker_sizes(view.table["size"].to_numpy())[region]) + 10
    place = {"x": float(row["x"]), "y": float(row["y"]), "size": size}
    _ring(
        data=place | {"name": short(str(row["token"]), escaped=False), "chart": CHART}, key="ring"
    )
