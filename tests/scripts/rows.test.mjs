// What a table draws.
import assert from "node:assert/strict";
import test from "node:test";
import { read } from "./browser.mjs";

test("a negative number is drawn with the sign that means minus, and text as it is", () => {
  const drawn = [];
  class CanvasRenderingContext2D { fillText(text, x, y) { drawn.push([text, x, y]); } }
  read("rows", [], { CanvasRenderingContext2D });
  const context = new CanvasRenderingContext2D();
  for (const textAlign of ["right", "left"]) {
    context.textAlign = textAlign;
    for (const text of ["-0.05", "-12", "-.5", "0.05", "–", "-old", "3-4"]) context.fillText(text, 1, 2);
  }
  assert.deepEqual(drawn.map(([text]) => text), ["−0.05", "−12", "−.5", "0.05", "–", "-old", "3-4",
    "-0.05", "-12", "-.5", "0.05", "–", "-old", "3-4"]);
  assert.deepEqual(drawn[0].slice(1), [1, 2]);
});
