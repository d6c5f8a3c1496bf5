// What a person at a queue sees and types, and what goes to the server and comes back.
const AHEAD = 60; // features whose examples are fetched before they are needed
const RETRY = 3000; // ms

class Room {
  slots = []; items = new Map(); book = new Book(); // slots: [feature, occurrence, uid known there]
  told = null; slot = ""; draft = { ...BLANK }; ready = false; started = 0; shownAt = 0; hidden = 0;
  typing = true; ahead = []; panel = ""; flash = ""; pending = null; problem = null; failures = 0; lastSent = 0;
  hintsOf = -1; hints = null; probing = null; probed = null; chosen = ""; asksHistory = false;
  stood = ""; said = []; heard = ""; looks = false; since = document.hidden ? performance.now() : 0; // stood: uid of what was decided when the item was opened

  constructor(key, data, parent) {
    Object.assign(this, { key, study: data.study, person: data.person, tags: data.tags, tips: data.tips, twice: data.twice });
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
      this.go(shelf.get(this.atName)?.slot ?? "");
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
    if (data.decided?.slot === this.slot) this.learnOf(data.decided);
    else if (this.missing) this.looks = true;
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
    if (!sent.length && !want.length && !asksHints && !reads && !this.asksHistory && !this.looks && this.told) return;
    this.pending = { seq: uid(), at: Date.now() };
    this.lastSent = Date.now();
    this.say({ of: JSON.parse(this.key), seq: this.pending.seq, boxes: sent, want, history: this.asksHistory,
      hints: asksHints ? this.hintsOf : -1, probe: reads ? this.probing : null, at: this.slot });
    this.asksHistory = this.looks = false;
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
  // ---- what is decided elsewhere

  get missing() { // it is on the screen, the server does not list it, and nothing here says why
    return this.told && this.slot && this.heard !== this.slot && !this.book.of(this.slot)
      && !this.slots.some(([feature, occurrence]) => `${feature}.${occurrence}` === this.slot);
  }
  look() { if (this.told && this.slot) { this.looks = true; this.send(); } }
  learnOf({ slot, decisions }) {
    this.heard = slot;
    this.said = decisions.filter((one) => one.person !== this.person);
    for (const one of decisions) {
      if (one.person === this.person && !this.book.made.has(one.uid)) this.book.add({ ...one, kind: "decision" });
    }
  }
  hear({ key, newValue }) { // another tab of this browser said something
    if (!newValue || !key?.startsWith(`${path("out")}/`)) return;
    const { study, person, events } = JSON.parse(newValue);
    if (study !== this.study || person !== this.person) return;
    for (const event of events) {
      if (event.kind === "decision" && this.book.made.has(event.uid)) continue;
      if (event.kind !== "decision" && this.book.undone.has(event.of) === (event.kind === "undo")) continue;
      this.book.add(event);
    }
    this.draw();
  }
  get meanwhile() {
    const now = this.book.of(this.slot);
    return this.slot ? [...this.said, ...(now && now.uid !== this.stood ? [now] : [])] : [];
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
    const at = shelf.get(this.atName);
    this.stood = at?.slot === slot ? at.stood
      : this.book.of(slot)?.uid ?? this.slots.find((each) => slotOf({ feature: each[0], occurrence: each[1] }) === slot)?.[2] ?? "";
    this.said = [];
    this.heard = "";
    shelf.put(this.atName, { slot, stood: this.stood });
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
    this.shownAt = performance.now();
    this.started = performance.now() - 1000 * this.drafts.spent(this.slot);
    this.hidden = 0;
    if (this.since) this.since = performance.now();
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
  get seconds() { // at this item, while it was looked at
    const now = performance.now();
    return Math.max(0, now - this.started - this.hidden - (this.since ? now - this.since : 0)) / 1000;
  }
  away(hidden) {
    this.keep();
    if (!hidden && this.since) this.hidden += performance.now() - this.since;
    this.since = hidden ? performance.now() : 0;
    if (!hidden) this.look();
  }
  keep() {
    if (!this.drafts) return;
    if (this.ready) this.drafts.spend(this.slot, this.seconds);
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
}
