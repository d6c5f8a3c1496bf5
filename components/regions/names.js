// Names over the map: the largest regions in view whose names have room, so more of them as one
// zooms. Says where the map is zoomed to ("" for all of it).

const APART = { x: 14, y: 24 }; // pixels between names
const WIDE = 3.4; // pixels of half a letter
const QUIET = 400; // ms without a move, before the place is told
const EVENTS = ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"];

/** Which of names [x, y, text] are drawn, and where: those that come first and have room. */
function laid(names, across, down, width, height) {
  const placed = [];
  for (const [x, y, text] of names) {
    const left = across(x), top = down(y), half = WIDE * text.length;
    if (left < half || top < 8 || left > width - half || top > height - 8) continue;
    const free = placed.every((other) => Math.abs(other.top - top) > APART.y
      || Math.abs(other.left - left) > other.half + half + APART.x);
    if (free) placed.push({ left, top, half, text });
  }
  return placed;
}

/** The ranges that a layout shows, as text; "" where it shows everything. */
function place({ xaxis, yaxis }) {
  if (xaxis.autorange || yaxis.autorange) return "";
  return [...xaxis.range, ...yaxis.range].map((end) => Number(end).toFixed(3)).join("_");
}

export default function ({ data, parentElement, setStateValue }) {
  parentElement.stop?.();
  const layer = document.createElement("div");
  layer.className = "names";
  let chart = null, waiting = 0, told = null;
  const tell = () => {
    const now = chart?._fullLayout ? place(chart._fullLayout) : told;
    if (now === told) return;
    if (told !== null || now) setStateValue("zoom", now);
    told = now;
  };
  const draw = () => {
    const { xaxis, yaxis } = chart?._fullLayout ?? {};
    if (!xaxis?.l2p || !yaxis?.l2p) return;
    const [width, height] = [xaxis._length, yaxis._length];
    Object.assign(layer.style, { left: `${xaxis._offset}px`, top: `${yaxis._offset}px`,
      width: `${width}px`, height: `${height}px` });
    const at = laid(data.names, (x) => xaxis.l2p(x), (y) => yaxis.l2p(y), width, height);
    layer.replaceChildren(...at.map(({ left, top, text }) => {
      const name = document.createElement("span");
      name.textContent = text;
      Object.assign(name.style, { left: `${left}px`, top: `${top}px` });
      return name;
    }));
    clearTimeout(waiting);
    waiting = setTimeout(tell, QUIET);
  };
  const attach = () => {
    const found = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    const ground = found?.querySelector(".svg-container");
    if (!ground || !found.on) return;
    const fresh = found !== chart || layer.parentElement !== ground || !layer.style.width;
    if (found !== chart) for (const event of EVENTS) found.on(event, draw);
    chart = found;
    if (layer.parentElement !== ground) {
      const above = [...ground.querySelectorAll(":scope > .main-svg")].at(-1); // with what hovers
      ground.insertBefore(layer, above ?? null);
    }
    if (fresh) draw();
  };
  attach();
  const timer = setInterval(attach, 250);
  parentElement.stop = () => {
    clearInterval(timer);
    clearTimeout(waiting);
    for (const event of EVENTS) chart?.removeListener?.(event, draw);
    layer.remove();
  };
  return parentElement.stop;
}
