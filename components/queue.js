// One person at a queue. It runs ahead of the server: what is said is done at once on the screen
// (queue_view.js), and kept by queue_keep.js until it is done on disk.
const AHEAD = 60; // features whose examples are fetched before they are needed
const RETRY = 3000; // ms
const LONGEST = 2000; // characters of a label
const CONFIDENCE = ["", "low", "middle", "high"];
const COMMANDS = [["Enter", "save", "Save"], ["S", "skip", "Skip"], ["N", "none", "None fits"],
  ["U", "undo", "Undo"], ["R", "redo", "Redo"], ["F", "flag", "Flag"], ["C", "sure", "Confidence"],
  ["G", "showTags", "Tags"], ["M", "showNotes", "Notes"], ["V", "showHints", "Hints"],
  ["T", "showProbe", "Try a text"], ["E", "attach", "Attach"], ["L", "showHistory", "History"]];
const ADVANCE = ["save", "skip", "none"];

// ---------------------------------------------------------------- one person at one queue

class Desk {
  slots = []; items = new Map(); book = new Book(); // slots: [feature, occurrence, uid known there]
  told = null; slot = ""; draft = { ...BLANK }; ready = false; started = 0; hidden = 0;
  typing = true; ahead = []; panel = ""; flash = ""; pending = null; problem = null; failures = 0; lastSent = 0;
  hintsOf = -1; hints = null; probing = null; probed = null; chosen = 0; asksHistory = false;

  constructor(key, data, parent) {
    Object.assign(this, { key, study: data.study, person: data.person, tags: data.tags });
    this.ui = build(parent);
    for (const [, box] of boxes.all()) {
      if (box.study !== this.study || box.person !== this.person) continue;
      box.events.forEach((event) => this.book.add(event));
    }
    this.quiet = listen(this);
    claimed.then((claim) => {
      this.drafts = new Drafts(this.study, this.person, claim);
      this.aheadName = path("ahead", this.study, this.person, claim.tab);
      this.atName = path("at", key, claim.tab);
      const kept = shelf.get(this.aheadName);
      if (kept) {
        this.splice(kept.text, kept.caret);
        this.ahead = [...kept.ahead, ...this.ahead];
      }
      this.go(shelf.get(this.atName) ?? "");
    });
  }

  // ---- what comes and goes

  take(data) {
    const answered = this.pending && data.seq === this.pending.seq;
    if (answered) { this.pending = null; this.failures = 0; this.problem = data.problem; }
    else if (!this.told) this.problem = data.problem;
    if (!answered && this.failures) { this.pending = null; this.failures = 0; } // it is back
    boxes.drop([...data.acked, ...Object.keys(data.refused)]);
    for (const [name, reason] of Object.entries(data.refused)) this.refuse(name, reason);
    for (const [feature, item] of Object.entries(data.items)) this.items.set(Number(feature), item);
    if (data.history) this.book.learn(data.history);
    else if (!this.told) this.asksHistory = true;
    if (data.queue) { this.told = data.queue; this.slots = data.queue.slots; }
    if (data.hints && data.hints.feature === this.hintsOf) this.hints = data.hints;
    if (data.probe && data.probe.id === this.probing?.id) this.probed = data.probe;
    this.go();
    this.draw();
    if (!this.problem) this.send();
  }
  send() {
    if (this.pending || this.stopped) return;
    const sent = boxes.all().map(([, box]) => box);
    const want = this.wanted();
    const asksHints = this.hintsOf >= 0 && this.hints?.feature !== this.hintsOf;
    const reads = this.probing && !this.probed?.ended;
    if (reads && !sent.length && !want.length && Date.now() - this.lastSent < 700) return;
    if (!sent.length && !want.length && !asksHints && !reads && !this.asksHistory && this.told) return;
    this.pending = { seq: uid(), at: Date.now() };
    this.lastSent = Date.now();
    this.say({ of: JSON.parse(this.key), seq: this.pending.seq, boxes: sent, want, history: this.asksHistory,
      hints: asksHints ? this.hintsOf : -1, probe: reads ? this.probing : null });
    this.asksHistory = false;
  }
  tick() {
    if (this.stopped) return;
    const patience = Math.min(30000, RETRY * 2 ** this.failures);
    if (this.pending && Date.now() - this.pending.at > patience) { this.pending = null; this.failures += 1; }
    const rest = this.problem && !this.wanted().length ? RETRY : 500;
    if (Date.now() - this.lastSent > rest) this.send();
    this.drawBar();
  }
  wanted() {
    const next = [this.slot && featureOf(this.slot), ...this.open().slice(0, AHEAD).map(([f]) => f)];
    return [...new Set(next)].filter((one) => one !== "" && !this.items.has(one)).slice(0, AHEAD);
  }
  open() {
    return this.slots.filter(([feature, occurrence, known]) => {
      const mine = this.book.of(`${feature}.${occurrence}`)?.uid ?? "";
      return mine === "" || mine === known;
    });
  }
  put(event) {
    const said = { uid: uid(), ...event };
    boxes.add(this.study, this.person, said);
    this.book.add(said);
    this.send();
    return said;
  }
  refuse(name, reason) {
    const one = this.book.forget(name);
    this.flash = `Not kept: ${reason}`;
    if (!one || one.kind !== "decision") return;
    if (this.drafts && !this.drafts.get(slotOf(one))?.text) this.drafts.put(slotOf(one), { ...BLANK, ...pick(one) });
  }

  // ---- which item is shown

  go(slot = "") {
    if (!this.drafts) return;
    const next = slot || this.slot || this.open()[0]?.slice(0, 2).join(".") || "";
    if (next && next !== this.slot) this.enter(next);
    if (this.slot && !this.ready && this.items.has(featureOf(this.slot))) this.show();
  }
  enter(slot) {
    this.slot = slot;
    this.ready = false;
    shelf.put(this.atName, slot);
    const typed = this.ui.label.value;
    this.draft = this.drafts.get(slot) ?? { ...BLANK };
    if (!this.ahead.length && !typed) this.fill(this.draft.text, this.draft.caret);
    else if (!this.begun) this.splice(this.draft.text, this.draft.caret);
    this.begun = true;
    this.hintsOf = -1; this.hints = this.probing = this.probed = null;
    this.ui.note.value = this.draft.notes;
    this.ui.text.value = "";
    this.draw();
  }
  show() {
    this.ready = true;
    this.started = performance.now();
    this.hidden = 0;
    this.showItem();
    this.draw();
    if (this.ahead.length) setTimeout(() => this.replay());
    else this.keep();
  }
  replay() { // what was said before the examples were there, one by one
    if (!this.ready || !this.ahead.length || this.stopped) return;
    const { key, text } = this.ahead.shift(), { label } = this.ui, slot = this.slot;
    const typed = [label.value, [label.selectionStart, label.selectionEnd]];
    if (text !== null) this.fill(text);
    this.replaying = true;
    this.command(key);
    this.replaying = false;
    if (text !== null && (typed[0] || this.ahead.length)) this.fill(...typed);
    this.keep();
    if (slot === this.slot) setTimeout(() => this.replay());
  }
  get behind() { return !this.ready || this.ahead.length > 0; }
  leave() { // the item is done with
    this.slot = ""; this.ready = false;
    shelf.put(this.atName, null);
    this.panel = "";
    const next = this.open()[0];
    if (next) this.go(next.slice(0, 2).join(".")); else this.draw();
    this.send();
  }

  // ---- drafts

  fill(text, caret = null) {
    this.ui.label.value = text ?? "";
    if (caret) this.ui.label.setSelectionRange(...caret);
    this.grow();
  }
  splice(text, caret) { // what was typed since the page loaded goes on where it was left
    this.begun = true;
    const [from, to] = caret ?? [text.length, text.length], { label } = this.ui;
    const first = this.ahead.find((one) => one.text !== null);
    const join = (typed) => text.slice(0, from) + typed + text.slice(to);
    if (first) first.text = join(first.text);
    else this.fill(join(label.value), [from + label.selectionStart, from + label.selectionStart]);
  }
  keep() {
    if (!this.drafts) return;
    const { label } = this.ui, caret = [label.selectionStart, label.selectionEnd];
    if (this.ahead.length || !this.slot) {
      const blank = !this.ahead.length && !label.value;
      shelf.put(this.aheadName, blank ? null : { ahead: this.ahead, text: label.value, caret });
      return;
    }
    shelf.put(this.aheadName, null);
    Object.assign(this.draft, { text: label.value, caret });
    const { caret: _, ...rest } = this.draft;
    if (JSON.stringify({ ...BLANK, ...rest, at: 0 }) === JSON.stringify({ ...BLANK, at: 0 })) this.drafts.drop(this.slot);
    else this.drafts.put(this.slot, this.draft);
  }
  change(what) { Object.assign(this.draft, what); this.keep(); this.draw(); }

  // ---- commands

  command(key) {
    const name = COMMANDS.find(([short]) => short.toLowerCase() === key.toLowerCase())?.[1];
    if (!name && !/^[1-9]$/.test(key)) return;
    this.flash = "";
    if (this.behind && !this.replaying && name !== "undo") this.later(key, ADVANCE.includes(name));
    else if (name) this[name]();
    else this.digit(Number(key));
    this.draw();
  }
  later(key, advances) {
    const text = advances ? this.ui.label.value : null;
    if (key === "Enter" && !this.fits(text)) return;
    this.ahead.push({ key, text });
    if (advances) this.fill("");
    this.keep();
  }
  fits(label) {
    const long = [...label.trim()].length;
    if (!long) this.flash = "Type a label first. Esc, then N where none fits, or S to skip.";
    if (long > LONGEST) this.flash = `A label has at most ${count(LONGEST)} characters; this has ${count(long)}.`;
    return long > 0 && long <= LONGEST;
  }
  decide(action, label = "") {
    const { notes, tags, confidence, flagged, evidence, hinted } = this.draft;
    const [feature, occurrence] = this.slot.split(".").map(Number);
    const seconds = Math.max(0, performance.now() - this.started - this.hidden) / 1000;
    this.put({ kind: "decision", feature, occurrence, action, label, notes, tags, confidence,
      flagged, evidence, hinted, seconds: Number(seconds.toFixed(2)) });
    const rest = action === "label" ? "" : this.ui.label.value;
    if (rest) this.drafts.put(this.slot, { ...this.draft, text: rest }); else this.drafts.drop(this.slot);
    this.fill("");
    this.leave();
  }
  save() { if (this.fits(this.ui.label.value)) this.decide("label", this.ui.label.value.trim()); }
  skip() { this.decide("skip"); }
  none() { this.decide("none"); }
  flag() { this.change({ flagged: !this.draft.flagged }); }
  sure() { this.change({ confidence: CONFIDENCE[(CONFIDENCE.indexOf(this.draft.confidence) + 1) % 4] }); }
  toggle(panel) { this.panel = this.panel === panel ? "" : panel; return this.panel === panel; }
  showTags() { this.toggle("tags"); }
  showNotes() { if (this.toggle("notes")) this.draw(), this.ui.note.focus(); }
  showProbe() { if (this.toggle("probe")) this.draw(), this.ui.text.focus(); }
  showHistory() { this.chosen = 0; this.asksHistory = this.toggle("history"); this.send(); }
  showHints() {
    this.hintsOf = this.hintsOf < 0 ? featureOf(this.slot) : -1;
    if (this.hintsOf >= 0) this.change({ hinted: true });
    this.send();
  }
  probe(text) {
    if (!text.trim() || !this.ready) return;
    this.probing = { id: uid(), feature: featureOf(this.slot), text };
    this.probed = null;
    this.lastSent = 0;
    this.send();
    this.draw();
  }
  attach() {
    const text = this.probing?.text;
    if (!text) { this.flash = "Try a text first (T), then attach it."; return; }
    if (!this.draft.evidence.includes(text)) this.change({ evidence: [...this.draft.evidence, text] });
  }
  digit(number) {
    const tag = Object.keys(this.tags)[number - 1], hint = this.hints?.hints[number - 1];
    if (this.panel === "tags") {
      const others = this.draft.tags.filter((one) => one !== tag);
      if (tag) this.change({ tags: others.length < this.draft.tags.length ? others : [...others, tag] });
    } else if (hint && this.hintsOf >= 0) { this.fill(hint.text.slice(0, LONGEST)); this.keep(); this.mode(true); }
  }
  undo(one = this.book.last) {
    if (this.ahead.length) return this.unsay();
    if (!one || this.book.undone.has(one.uid)) { this.flash = "There is nothing to undo."; return; }
    if (this.tied) return;
    this.keep();
    this.put({ kind: "undo", of: one.uid });
    if (!this.slots.some((each) => `${each[0]}.${each[1]}` === slotOf(one))) {
      this.slots.unshift([one.feature, one.occurrence, ""]);
    }
    this.reopen(one);
  }
  unsay() { // the last that was said before its item was shown
    const { value } = this.ui.label, { text } = this.ahead.at(-1);
    if (value && text !== null) { this.flash = "Empty the field first: what was typed before comes back into it."; return; }
    this.ahead.pop();
    if (text !== null) this.fill(text);
    this.keep();
  }
  redo(one = this.book.made.get(this.book.redoable.at(-1))) {
    if (!one || !this.book.undone.has(one.uid)) { this.flash = "There is nothing to redo."; return; }
    this.put({ kind: "redo", of: one.uid });
    if (slotOf(one) !== this.slot) return;
    this.drafts.drop(this.slot);
    this.fill("");
    this.leave();
  }
  get tied() { // what was typed waits for an item that is not known yet
    const waits = this.ahead.length > 0 || (!this.slot && this.ui.label.value !== "");
    if (waits) this.flash = "Wait until the next item is there: what you typed belongs to it.";
    return waits;
  }
  reopen(one) { // its item again, as it was decided
    if (this.tied) return;
    if (slotOf(one) !== this.slot) this.keep();
    if (!this.drafts.get(slotOf(one))) this.drafts.put(slotOf(one), { ...BLANK, ...pick(one) });
    this.slot = ""; this.ready = false;
    this.fill("");
    this.go(slotOf(one));
  }
  draw() { if (!this.stopped) paint(this); }
  drawBar() { if (!this.stopped) paintBar(this); }
  showItem() { paintItem(this); }
  mode(typing) { this.typing = typing; setMode(this); }
  grow() {
    const { label } = this.ui;
    label.style.height = "auto";
    label.style.height = `${Math.min(label.scrollHeight + 2, 120)}px`;
  }
  stop() {
    if (this.stopped) return;
    this.keep();
    this.stopped = true;
    this.quiet();
    this.ui.root.remove();
  }
}
const pick = ({ label, notes, tags, confidence, flagged, evidence, hinted }) => (
  { text: label, notes, tags: [...tags], confidence, flagged, evidence: [...evidence], hinted });

export default function ({ data, parentElement, setStateValue }) {
  const key = JSON.stringify([data.study, data.person, data.list]);
  let desk = parentElement.desk;
  if (desk?.key !== key || desk.stopped) {
    desk?.stop();
    desk = parentElement.desk = new Desk(key, data, parentElement);
  }
  desk.say = (wire) => setStateValue("wire", wire);
  desk.take(data);
  return () => setTimeout(() => { if (!parentElement.isConnected) desk.stop(); }, 50);
}
