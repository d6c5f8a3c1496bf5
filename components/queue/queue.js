// One person at a queue, and what they may say. It runs ahead of the server: what is said is done at once
// on the screen (queue_view.js), and kept by queue_keep.js until it is done on disk.
const LONGEST = 2000; // characters of a label
const CONFIDENCE = ["", "low", "middle", "high"];
const COMMANDS = [["Enter", "save", "Save"], ["S", "skip", "Skip"], ["N", "none", "None fits"],
  ["U", "undo", "Undo"], ["R", "redo", "Redo"], ["F", "flag", "Flag"], ["C", "sure", "Confidence"],
  ["G", "showTags", "Tags"], ["M", "showNotes", "Notes"], ["V", "showHints", "Hints"],
  ["T", "showProbe", "Try a text"], ["E", "attach", "Attach"], ["L", "showHistory", "History"]];
const ADVANCE = new Set(["save", "skip", "none"]);
const DONE = new Set([...ADVANCE, "undo", "redo", "flag", "attach"]); // at once; others open something, or go round

class Desk extends Room {
  // One act, by its key or, where `touched`, by a finger: that one asks for no keyboard.
  command(key, touched = false) {
    const name = COMMANDS.find(([short]) => short.toLowerCase() === key.toLowerCase())?.[1];
    if (!name && !/^[1-9]$/.test(key)) return;
    this.flash = "";
    if (this.tagging && !this.replaying && /^[a-fh-z]$/i.test(key)) return this.tag(key);
    if (this.behind && !this.replaying && name !== "undo") this.later(key, ADVANCE.has(name));
    else if (name) this[name]();
    else this.digit(Number(key));
    if (DONE.has(name) && !this.replaying) this.mode(true, !touched);
    this.draw();
  }
  // Whether the tags are open, or will be once what was typed ahead is done.
  get tagging() {
    let open = this.panel === "tags";
    for (const { key, text } of this.ahead) open = text === null && (key.toLowerCase() === "g" ? !open : open);
    return open && !this.typing;
  }
  tag(key) { // one of the keys while the tags are open
    if (/^[1-9g]$/i.test(key)) return this.command(key);
    this.flash = "Tags are open: press a digit, or G or Esc to close them.";
    this.draw();
  }
  close() {
    this.flash = "";
    if (this.ahead.length && this.tagging) return this.command("g");
    this.panel = "";
    this.hintsOf = -1;
    this.draw();
  }
  hush() { if (this.flash) { this.flash = ""; this.draw(); } }
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
    this.put({ kind: "decision", feature, occurrence, action, label, notes, tags, confidence,
      flagged, evidence, hinted, seconds: Number(this.seconds.toFixed(2)) });
    this.drafts.spend(this.slot, null);
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
  showNotes() { this.showField("notes", this.ui.note); }
  showProbe() { this.showField("probe", this.ui.text); }
  showField(panel, field) {
    if (!this.toggle(panel)) return;
    this.draw();
    field.focus();
  }
  get at() { // the row of History that is chosen
    return Math.max(0, this.book.listed.findIndex((one) => one.uid === this.chosen));
  }
  showHistory() { this.chosen = ""; this.asksHistory = this.toggle("history"); this.send(); }
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
    if (!text) this.flash = "Try a text first (T), then attach it.";
    else if (!this.probed?.ended) this.flash = "The text is still being read: press E again once it is.";
    else if (this.probed.problem) this.flash = "The text could not be read, so it is not attached.";
    if (this.flash) return;
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
    const later = this.book.later(one);
    if (later) { this.flash = `A later decision stands: ${wordsOf(later)}. Undo that one first, or press Enter to decide anew.`; return; }
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
    shelf.put(this.atName, null);
    this.fill("");
    this.go(slotOf(one));
  }
  draw() { if (!this.stopped) paint(this); }
  drawBar() { if (!this.stopped) paintBar(this); }
  showItem() { paintItem(this); }
  mode(typing, focus = true) { this.typing = typing; setMode(this, focus); }
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
