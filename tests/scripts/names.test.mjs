// Names over the map: which have room, and where it is zoomed to.
import assert from "node:assert/strict";
import test from "node:test";
import { read } from "./browser.mjs";

const { laid, place } = read("names", ["laid", "place"]);
const drawn = (names, zoom = 1) => laid(names, (x) => zoom * x, (y) => zoom * y, 400 * zoom, 300 * zoom)
  .map(({ text }) => text);

test("of names that would touch the first is drawn, and more have room as one zooms", () => {
  const names = [[100, 100, "large"], [110, 104, "near"], [100, 118, "below"], [300, 100, "far"]];
  assert.deepEqual([...drawn(names)], ["large", "far"]);
  assert.deepEqual([...drawn(names, 2)], ["large", "below", "far"]);
  assert.deepEqual([...drawn(names, 8)], ["large", "near", "below", "far"]);
});

test("a name that would be cut at the edge of the map is left out", () => {
  assert.deepEqual([...drawn([[2, 100, "edge"], [200, 2, "top"], [900, 100, "away"], [200, 150, "in"]])], ["in"]);
});

test("the place is the ranges of both axes, and nothing while all of the map is in view", () => {
  const all = { xaxis: { autorange: true, range: [0, 1] }, yaxis: { autorange: true, range: [0, 1] } };
  assert.equal(place(all), "");
  const near = { xaxis: { range: [0.12345, 1] }, yaxis: { range: [-2, 3] } };
  assert.equal(place(near), "0.123_1.000_-2.000_3.000");
});
