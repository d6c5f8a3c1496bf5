// The queue's memory: what was decided and typed, and that nothing of it is lost.
import assert from "node:assert/strict";
import test from "node:test";
import { read } from "./browser.mjs";

const NAMES = ["shelf", "boxes", "Book", "Drafts", "BLANK", "path", "visible", "slotOf", "featureOf"];
const open = () => read("desk", NAMES);
const decision = (uid, feature, rest = {}) => (
  { uid, kind: "decision", feature, occurrence: 0, action: "label", label: uid, ...rest });
const plain = (value) => JSON.parse(JSON.stringify(value));
const ALONE = { tab: "tab", dead: () => false };

test("names with slashes and spaces stay one part of a path", () => {
  const { path } = open();
  assert.equal(path("draft", "a/b", "Ann Lee"), "tessera-queue/draft/a%2Fb/Ann%20Lee");
});

test("a slot is a feature and its occurrence", () => {
  const { slotOf, featureOf } = open();
  assert.equal(slotOf({ feature: 12, occurrence: 1 }), "12.1");
  assert.equal(featureOf("12.1"), 12);
});

test("what is sent stays in the outbox until it is acknowledged", () => {
  const { boxes } = open();
  boxes.add("demo", "ann", decision("a", 1));
  boxes.add("demo", "ann", decision("b", 2));
  boxes.add("demo", "bob", decision("c", 3));
  assert.equal(boxes.waiting, 3);
  boxes.drop(["a", "unknown"]);
  assert.deepEqual(plain(boxes.all().map(([, box]) => [box.person, box.events.map((e) => e.uid)])),
    [["ann", ["b"]], ["bob", ["c"]]]);
  boxes.drop(["b", "c"]);
  assert.equal(boxes.waiting, 0);
});

test("an outbox of an earlier load of the page is sent too, and emptied in storage", () => {
  const { boxes, path, localStorage } = open();
  const name = path("out", "earlier", "demo", "ann");
  localStorage.setItem(name, JSON.stringify({ study: "demo", person: "ann", events: [decision("a", 1)] }));
  assert.equal(boxes.waiting, 1);
  boxes.drop(["a"]);
  assert.equal(localStorage.getItem(name), null);
});

test("a full storage loses nothing of this load, and is told", () => {
  const { boxes, shelf, localStorage } = open();
  localStorage.fill();
  boxes.add("demo", "ann", decision("a", 1));
  assert.equal(shelf.works, false);
  assert.equal(boxes.waiting, 1);
});

test("an undone decision leaves the one before it in force, and redo brings it back", () => {
  const { Book } = open();
  const book = new Book();
  book.add(decision("first", 1));
  book.add(decision("second", 1));
  assert.equal(book.of("1.0").uid, "second");
  book.add({ kind: "undo", of: "second" });
  assert.equal(book.of("1.0").uid, "first");
  assert.deepEqual(plain(book.redoable), ["second"]);
  book.add({ kind: "redo", of: "second" });
  assert.equal(book.of("1.0").uid, "second");
  assert.deepEqual(plain(book.redoable), []);
});

test("a new decision on a feature ends what could be redone there, and nowhere else", () => {
  const { Book } = open();
  const book = new Book();
  for (const [uid, feature] of [["a", 1], ["b", 2]]) {
    book.add(decision(uid, feature));
    book.add({ kind: "undo", of: uid });
  }
  book.add(decision("c", 1));
  assert.deepEqual(plain(book.redoable), ["b"]);
  assert.equal(book.later(book.made.get("a")).uid, "c");
  assert.equal(book.last.uid, "c");
});

test("the server's history stands before what was decided since, and its undoing is believed", () => {
  const { Book } = open();
  const book = new Book();
  book.add(decision("mine", 3));
  book.learn([decision("old", 1, { undone: true }), decision("other", 2)]);
  assert.deepEqual(plain(book.listed.map((one) => one.uid)), ["mine", "other", "old"]);
  assert.equal(book.of("1.0"), undefined);
  assert.equal(book.of("2.0").uid, "other");
});

test("an undoing that is not sent yet outlasts a history that does not know it", () => {
  const { Book, boxes } = open();
  const book = new Book(), undo = { uid: "u", kind: "undo", of: "a" };
  book.add(decision("a", 1));
  boxes.add("demo", "ann", undo);
  book.add(undo);
  book.learn([decision("a", 1, { undone: false })]);
  assert.equal(book.of("1.0"), undefined);
});

test("a draft is kept by feature and tab; that of a closed tab is taken over, the newest first", () => {
  const { Drafts, shelf, path } = open();
  const here = new Drafts("demo", "ann", { tab: "here", dead: (tab) => tab.startsWith("closed") });
  shelf.put(path("draft", "demo", "ann", "1.0", "closed-1"), { text: "older", at: 1 });
  shelf.put(path("draft", "demo", "ann", "1.0", "closed-2"), { text: "newer", at: 2 });
  shelf.put(path("draft", "demo", "ann", "1.0", "open"), { text: "another tab's", at: 3 });
  assert.equal(here.get("1.0").text, "newer");
  assert.deepEqual(plain(here.get("1.0").tags), []);
  here.put("1.0", { text: "mine" });
  assert.equal(here.get("1.0").text, "mine");
  here.drop("1.0");
  assert.equal(here.get("1.0"), null);
  assert.equal(shelf.get(path("draft", "demo", "ann", "1.0", "open")).text, "another tab's");
});

test("the time that was spent on a feature is added up and dropped", () => {
  const { Drafts } = open();
  const drafts = new Drafts("demo", "ann", ALONE);
  assert.equal(drafts.spent("1.0"), 0);
  drafts.spend("1.0", 12.34);
  assert.equal(drafts.spent("1.0"), 12.3);
  drafts.spend("1.0", null);
  assert.equal(drafts.spent("1.0"), 0);
});

test("control characters are shown, and texts that turn the reading direction are named", () => {
  const { visible } = open();
  assert.equal(visible("a\u0000b\u007f\u0085\u202e"), "a␀b␡\ufffd‹202E›");
  assert.equal(visible("tab\tand\nline"), "tab\tand\nline");
});

test("the pace says how many a minute, and how long the rest takes at that", () => {
  const { paceOf, lasting } = read("desk", ["paceOf", "lasting"]);
  assert.equal(paceOf(15, 1200), "4.0 a minute (median 15.0 s) · 5.0 h left at that pace");
  assert.equal(paceOf(2, 12), "30 a minute (median 2.0 s) · 24 s left at that pace");
  assert.equal(paceOf(2, 0), "30 a minute (median 2.0 s)");
  assert.deepEqual([0.2, 89, 90, 5399, 5400, 360000].map(lasting), ["1 s", "89 s", "2 min", "90 min", "1.5 h", "100 h"]);
});
