// One person at blind questions. What is ticked stays in the browser; an answer is done at once on the
// screen, since the next questions are there already, and sent again until it is told to be on disk.
const AGAIN = 400; // ms in which a second click or key is the same
const RETRY = 3000; // ms
const PREFIX = "tessera-judge";
const uid = () => Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");
const path = (...parts) => [PREFIX, ...parts.map(encodeURIComponent)].join("/");
const shelf = {
  works: true,
  get(name) { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } },
  put(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
      this.works = true;
    } catch { this.works = false; }
  },
  names() {
    try { return Object.keys(localStorage).filter((name) => name.startsWith(`${path("out")}/`)); }
    catch { return []; }
  },
};
const make = (tag, kind = "", text = "") => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
};
const DIGITS = [..."1234567890"], KEYS = [...DIGITS, ...DIGITS.map((key) => `⇧${key}`)];
const BACK = ["back", "U", "Back"]; // the last one again
const PARTS = `<div class="j-bar"><span class="track"><i></i></span><p class="j-count"></p><p class="j-saved"
role="status"></p></div><div class="j-banner" role="alert" hidden></div><div class="j-question"></div><div
class="j-texts" role="group" aria-label="Excerpts"></div><div class="j-dock"></div>`;

class Judge {
  out = new Map(); tasks = new Map(); ahead = []; past = []; marks = new Set();
  task = null; flying = null; problem = ""; shownAt = 0; told = null;

  constructor(key, data, parent) {
    Object.assign(this, { key, of: data.of });
    this.root = make("div", "j-root");
    this.root.tabIndex = -1;
    this.root.innerHTML = PARTS;
    parent.append(this.root);
    for (const name of ["bar", "count", "saved", "banner", "question", "texts", "dock"]) {
      this[name] = this.root.querySelector(`.j-${name}`);
    }
    for (const name of shelf.names()) {
      const one = shelf.get(name);
      if (one?.uid) this.out.set(one.uid, one);
    }
    const listen = (target, name, does, capture) => {
      target.addEventListener(name, does, capture);
      return () => target.removeEventListener(name, does, capture);
    };
    this.undo = [listen(window, "keydown", (event) => this.pressed(event), true),
      listen(this.root, "click", (event) => this.clicked(event)),
      listen(window, "beforeunload", (event) => { if (this.out.size) event.preventDefault(); })];
    const timer = setInterval(() => this.send(), 500);
    this.undo.push(() => clearInterval(timer));
  }

  // ---- what comes and goes

  take(data) {
    if (this.flying?.seq === data.seq) { this.flying = null; this.problem = data.problem; }
    this.told = data;
    for (const name of data.acked) {
      this.out.delete(name);
      shelf.put(path("out", name), null);
    }
    for (const task of data.tasks) this.tasks.set(task.item, task);
    this.ahead = data.tasks.map((task) => task.item);
    if (!this.task) this.next(); else this.drawBar();
    this.send();
  }
  send() {
    const wait = this.problem ? RETRY : 0;
    if (this.stopped || !this.out.size || (this.flying && Date.now() - this.flying.at < RETRY + wait)) return;
    if (this.problem && Date.now() - (this.triedAt ?? 0) < RETRY) return;
    this.flying = { seq: uid(), at: Date.now() };
    this.triedAt = Date.now();
    this.say({ seq: this.flying.seq, answers: [...this.out.values()] });
  }
  get mine() { return [...this.out.values()].filter((one) => JSON.stringify(one.of) === this.key); }

  // ---- one question after the other

  ticksName(item) { return path("ticks", ...this.of, item); }
  next() {
    const answered = new Set(this.mine.map((one) => one.item));
    const item = this.ahead.find((each) => !answered.has(each));
    this.show(item ? this.tasks.get(item) : null);
  }
  show(task, marks = task && shelf.get(this.ticksName(task.item))) {
    this.task = task;
    this.marks = new Set(marks ?? []);
    this.shownAt = performance.now();
    this.draw();
  }
  toggle(place) {
    if (!this.task || place >= this.task.texts.length) return;
    if (this.of[3] === "activations") { this.answer(place); return; }
    if (!this.marks.delete(place)) this.marks.add(place);
    shelf.put(this.ticksName(this.task.item), [...this.marks]);
    this.drawMarks();
  }
  save() { this.answer(this.task?.texts.map((_, place) => Number(this.marks.has(place)))); }
  unknown() { this.answer(this.task?.texts.map(() => null)); }
  answer(given) {
    if (!this.task) return;
    const { item } = this.task, one = { uid: uid(), of: this.of, item, answer: given };
    this.out.set(one.uid, one);
    shelf.put(path("out", one.uid), one);
    shelf.put(this.ticksName(item), null);
    this.past.push([this.task, [...this.marks]]);
    this.next();
    this.send();
  }
  back() { // the last one again, as it was answered; another answer takes that one's place
    const last = this.past.pop();
    if (last) this.show(...last);
  }

  // ---- keys and clicks

  pressed(event) {
    const { target, key, code } = event, letter = key.toLowerCase();
    if (!this.root.isConnected || !(this.task || this.past.length) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches?.("input, textarea, select, [contenteditable=true], [role=combobox]")) return;
    if (document.querySelector("[role=dialog], [data-baseweb=popover]")) return;
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1];
    const place = digit === undefined ? -1 : (Number(digit) + 9) % 10 + (event.shiftKey ? 10 : 0);
    const button = target.matches?.("button, a, summary, [role=radio]");
    const act = digit !== undefined ? () => this.toggle(place)
      : letter === "u" ? () => this.back()
      : !this.judges ? null
      : letter === "s" || (key === "Enter" && !button) ? () => this.save()
      : letter === "x" ? () => this.unknown() : null;
    if (!act) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (!event.repeat) act();
  }
  get judges() { return this.of[3] === "excerpts"; }
  clicked(event) {
    const box = event.target.closest("[data-place]"), button = event.target.closest("[data-act]");
    // the second of a double click is meant for the question before
    if (event.detail > 1 && performance.now() - this.shownAt < AGAIN) return;
    if (getSelection()?.toString() && event.detail < 2 && box) return; // text is being marked
    if (button) this[button.dataset.act]();
    else if (box) this.toggle(Number(box.dataset.place));
  }

  // ---- painting

  draw() {
    const { task } = this;
    this.root.dataset.item = task?.item ?? "";
    this.question.innerHTML = task?.question ?? "";
    this.texts.replaceChildren(...(task?.texts ?? []).map((text, place) => {
      const box = make("div", "j-text");
      box.dataset.place = place;
      box.tabIndex = 0;
      box.setAttribute("role", this.judges ? "checkbox" : "button");
      const key = make("kbd", "", KEYS[place]), body = make("div", "passage");
      body.innerHTML = text;
      body.dir = "auto";
      box.append(key, body);
      box.addEventListener("keydown", (event) => {
        if (event.key !== " " || event.repeat) return;
        event.preventDefault();
        event.stopPropagation();
        this.toggle(place);
      });
      return box;
    }));
    const acts = this.judges
      ? [["save", "⏎", "Save and next"], ["unknown", "X", "Cannot tell at all"], BACK] : [BACK];
    this.dock.replaceChildren(...(task ? acts : this.past.length ? [BACK] : []).map(([act, key, words]) => {
      const button = make("button", act === "save" ? "first" : "");
      button.dataset.act = act;
      button.disabled = act === "back" && !this.past.length;
      button.append(make("kbd", "", key), words);
      return button;
    }));
    this.drawMarks();
    this.drawBar();
    if (this.root.getBoundingClientRect().top < 0) this.root.scrollIntoView({ block: "start" });
  }
  drawMarks() {
    for (const box of this.texts.children) {
      const on = this.marks.has(Number(box.dataset.place));
      box.classList.toggle("on", on);
      if (this.judges) box.setAttribute("aria-checked", on);
    }
  }
  drawBar() {
    const { done, total } = this.told, waiting = this.out.size;
    const fresh = this.ahead.filter((item) => this.mine.some((one) => one.item === item)).length;
    const now = Math.min(total, done + fresh);
    this.bar.querySelector("i").style.width = `${100 * now / Math.max(1, total)}%`;
    this.count.textContent = `${now} of ${total} in this round`
      + (this.task || now >= total ? "" : " · fetching the next one …");
    this.saved.textContent = waiting ? `${waiting} not saved yet` : "all saved";
    this.saved.classList.toggle("busy", waiting > 0);
    this.banner.textContent = [this.problem,
      shelf.works ? "" : "This browser keeps nothing: leave the page open until all is saved."].filter(Boolean).join(" ");
    this.banner.hidden = !this.banner.textContent;
  }
  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.undo.forEach((each) => each());
    this.root.remove();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const key = JSON.stringify(data.of);
  let judge = parentElement.judge;
  if (judge?.key !== key || judge.stopped) {
    judge?.stop();
    judge = parentElement.judge = new Judge(key, data, parentElement);
  }
  judge.say = (wire) => setStateValue("wire", wire);
  judge.take(data);
  return () => setTimeout(() => { if (!parentElement.isConnected) judge.stop(); }, 50);
}
