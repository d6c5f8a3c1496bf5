// Links within the session, and the keys of every page.
import assert from "node:assert/strict";
import test from "node:test";
import { read } from "./browser.mjs";

/** The script at work in a document that knows `targets`; gives what was done to them. */
function listening(targets = {}, activeElement = null) {
  const heard = {}, done = [];
  const document = {
    activeElement,
    addEventListener: (kind, act) => { heard[kind] = act; },
    removeEventListener: (kind) => { delete heard[kind]; },
    querySelector: (selector) => targets[selector] ?? null,
  };
  const window = { addEventListener() {}, removeEventListener() {} };
  const { main } = read("links", [], { document, window, location: { href: "" } });
  const stop = main({ setTriggerValue: (...given) => done.push(given), parentElement: {} });
  return { heard, done, stop };
}
const event = (rest) => ({
  stopped: 0, preventDefault() { this.stopped += 1; }, stopPropagation() {}, ...rest });
const link = { closest: () => ({ getAttribute: () => "features?feature=3" }) };
const page = { tagName: "DIV" };

test("a plain click on a link stays in the session; one for a new tab does not", () => {
  const { heard, done, stop } = listening();
  const click = event({ target: link });
  heard.click(click);
  assert.deepEqual(done, [["to", "features?feature=3"]]);
  assert.equal(click.stopped, 1);
  for (const key of ["ctrlKey", "metaKey", "shiftKey", "button"]) heard.click(event({ target: link, [key]: 1 }));
  heard.click(event({ target: { closest: () => null } }));
  assert.equal(done.length, 1);
  stop();
  assert.deepEqual(heard, {});
});

test("the keys open the list and the search field, but not while a person types", () => {
  const pressed = [];
  const field = { focus: () => pressed.push("focus"), select: () => pressed.push("select") };
  const { heard, stop } = listening({
    ".st-key-search input": field,
    ".st-key-keyboard button": { click: () => pressed.push("click") },
  });
  heard.keydown(event({ key: "h", target: { tagName: "INPUT" } }));
  heard.keydown(event({ key: "h", ctrlKey: true, target: page }));
  heard.keydown(event({ key: "x", target: page }));
  assert.deepEqual(pressed, []);
  heard.keydown(event({ key: "H", target: page }));
  heard.keydown(event({ key: "/", target: page }));
  assert.deepEqual(pressed, ["click", "focus", "select"]);
  stop();
});

test("G goes to the field for numbers, in a sidebar that is folded too; Enter leaves it", async () => {
  const pressed = [];
  const field = { focus: () => pressed.push("focus"), select: () => pressed.push("select") };
  const { heard, stop } = listening({
    ".st-key-go-to-text input": field,
    "[data-testid=stExpandSidebarButton][aria-expanded=false]": { click: () => pressed.push("unfold") },
  });
  const key = event({ key: "g", target: page });
  heard.keydown(key);
  assert.deepEqual(pressed, ["unfold", "focus", "select"]);
  assert.equal(key.stopped, 1);
  const typing = { tagName: "INPUT", closest: () => ({}), blur: () => pressed.push("blur") };
  heard.keydown(event({ key: "5", target: typing }));
  heard.keydown(event({ key: "Enter", target: typing }));
  await new Promise((done) => { setTimeout(done, 5); });
  assert.deepEqual(pressed.slice(3), ["blur"]);
  stop();
});

test("a key whose control is not on the page is left to the browser", () => {
  const { heard, stop } = listening();
  const key = event({ key: "/", target: page });
  heard.keydown(key);
  assert.equal(key.stopped, 0);
  stop();
});

test("a name without which nothing begins has the keyboard once, unless a person types elsewhere", async () => {
  const pressed = [], targets = { ".st-key-awaited input": { focus: () => pressed.push("focus") } };
  const moment = () => new Promise((done) => { setTimeout(done, 450); });
  const active = { tagName: "BODY" };
  const { stop } = listening(targets, active);
  await moment();
  await moment();
  assert.deepEqual(pressed, ["focus"]);
  active.tagName = "INPUT";
  targets[".st-key-awaited input"] = { focus: () => pressed.push("other") };
  await moment();
  assert.deepEqual(pressed, ["focus"]);
  stop();
});
