// What was said and typed, kept in the browser until the server has it on disk.
const PREFIX = "tessera-queue";
const uid = () => Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");
const LOAD = uid(); // of this page load: names its outbox
const path = (...parts) => [PREFIX, ...parts.map(encodeURIComponent)].join("/");

const shelf = {
  works: true,
  get(name) {
    try { return JSON.parse(localStorage.getItem(name)); } catch { return null; }
  },
  put(name, value) {
    try {
      if (value === null) { localStorage.removeItem(name); return; }
      localStorage.setItem(name, JSON.stringify(value));
      this.works = true;
    } catch { this.works = false; }
  },
  names(...parts) {
    try { return Object.keys(localStorage).filter((name) => name.startsWith(`${path(...parts)}/`)); }
    catch { return []; }
  },
};

// ---------------------------------------------------------------- which tab this is

const hold = (tab, patience) => new Promise((done) => {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  const forever = () => { clearTimeout(timer); done(true); return new Promise(() => {}); };
  navigator.locks.request(path(tab), { signal: stop.signal }, forever).catch(() => done(false));
});

// A reloaded tab keeps its name; a duplicated one, whose name is held by the other, gets its own.
// `dead(tab)`: whether nobody holds a name any more, so that its drafts may be taken over.
const claimed = (async () => {
  let tab = null, held = null;
  try { tab = sessionStorage.getItem(PREFIX); } catch { /* storage is off */ }
  if (navigator.locks) {
    if (!tab || !(await hold(tab, 800))) { tab = uid(); await hold(tab, 800); }
    held = new Set((await navigator.locks.query()).held.map((lock) => lock.name));
  }
  tab ||= uid();
  try { sessionStorage.setItem(PREFIX, tab); } catch { /* storage is off */ }
  return { tab, dead: (other) => held !== null && !held.has(path(other)) };
})();

// ---------------------------------------------------------------- what is not on disk yet

// All outboxes of this browser: of other tabs too, since an event that is sent twice is kept once.
const boxes = {
  own: new Map(), // in memory as well: storage may be full
  name: (study, person) => path("out", LOAD, study, person),
  add(study, person, event) {
    const name = this.name(study, person);
    const box = this.own.get(name) ?? { study, person, events: [] };
    box.events.push(event);
    this.own.set(name, box);
    shelf.put(name, box);
  },
  all() {
    const found = new Map(this.own);
    for (const name of shelf.names("out")) {
      if (!found.has(name) && shelf.get(name)?.events?.length) found.set(name, shelf.get(name));
    }
    return [...found.entries()];
  },
  drop(uids) {
    const gone = new Set(uids);
    for (const [name, box] of this.all()) {
      const events = box.events.filter((event) => !gone.has(event.uid));
      if (events.length === box.events.length) continue;
      box.events = events;
      if (!events.length) this.own.delete(name);
      shelf.put(name, events.length ? box : null);
    }
  },
  get waiting() { return this.all().reduce((sum, [, box]) => sum + box.events.length, 0); },
};

// ---------------------------------------------------------------- what was decided

class Book {
  made = new Map(); // uid -> decision, oldest first
  bySlot = new Map(); // slot -> decisions, oldest first
  undone = new Set();
  redoable = [];

  add(event) {
    if (event.kind === "decision") {
      this.made.set(event.uid, event);
      this.place(event);
      this.redoable = this.redoable.filter((u) => slotOf(this.made.get(u) ?? event) !== slotOf(event));
    }
    else if (event.kind === "undo") { this.undone.add(event.of); this.redoable.push(event.of); }
    else { this.undone.delete(event.of); this.redoable = this.redoable.filter((u) => u !== event.of); }
  }
  place(one) {
    if (!this.bySlot.has(slotOf(one))) this.bySlot.set(slotOf(one), []);
    this.bySlot.get(slotOf(one)).push(one);
  }
  learn(history) { // oldest first; what this tab said since stays behind it
    const told = new Set(history.map((one) => one.uid));
    const since = [...this.made.values()].filter((one) => !told.has(one.uid));
    this.made = new Map([...history, ...since].map((one) => [one.uid, one]));
    this.bySlot.clear();
    for (const one of this.made.values()) this.place(one);
    const unsent = new Set(boxes.all().flatMap(([, box]) => box.events.map((event) => event.of)));
    for (const { uid: name, undone } of history) {
      if (unsent.has(name)) continue;
      if (undone) this.undone.add(name); else this.undone.delete(name);
    }
    this.redoable = this.redoable.filter((name) => this.made.has(name) && !this.later(this.made.get(name)));
  }
  forget(name) {
    const one = this.made.get(name);
    if (one) this.undone.add(name);
    return one;
  }
  get listed() { return [...this.made.values()].reverse(); } // newest first
  get last() { return this.listed.find((one) => !this.undone.has(one.uid)); }
  of(slot) { return this.bySlot.get(slot)?.findLast((one) => !this.undone.has(one.uid)); }
  later(one) { // what was decided of the same item after it, and stands
    const all = this.bySlot.get(slotOf(one)) ?? [];
    return all.slice(all.indexOf(one) + 1).findLast((each) => !this.undone.has(each.uid));
  }
}
const slotOf = (one) => `${one.feature}.${one.occurrence}`;
const featureOf = (slot) => Number(slot.split(".")[0]);

// ---------------------------------------------------------------- what is being typed

const BLANK = { text: "", notes: "", tags: [], confidence: "", flagged: false, evidence: [],
  hinted: false };

class Drafts {
  constructor(study, person, { tab, dead }) {
    Object.assign(this, { study, person, tab, dead });
  }
  spentName(slot) { return path("spent", this.study, this.person, slot); }
  spent(slot) { return Number(shelf.get(this.spentName(slot))) || 0; } // seconds
  spend(slot, seconds) { shelf.put(this.spentName(slot), seconds && Number(seconds.toFixed(1))); }
  name(slot, tab = this.tab) { return path("draft", this.study, this.person, slot, tab); }
  get(slot) {
    const own = shelf.get(this.name(slot));
    if (own) return { ...BLANK, ...own };
    const left = shelf.names("draft", this.study, this.person, slot)
      .filter((name) => this.dead(decodeURIComponent(name.split("/").at(-1))))
      .map((name) => shelf.get(name)).filter(Boolean).sort((a, b) => b.at - a.at);
    return left.length ? { ...BLANK, ...left[0] } : null;
  }
  put(slot, draft) { shelf.put(this.name(slot), { ...draft, at: Date.now() }); }
  drop(slot) {
    for (const name of shelf.names("draft", this.study, this.person, slot)) {
      const tab = decodeURIComponent(name.split("/").at(-1));
      if (tab === this.tab || this.dead(tab)) shelf.put(name, null);
    }
  }
}
