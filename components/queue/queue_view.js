// The screen of the queue: one feature, its examples, a field, and what is asked for beside them.
const make = (tag, kind = "", text = "") => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
};
const count = (number) => number.toLocaleString("en");
const code = (character) => character.codePointAt(0);
const SEEN = [[/[\0-\x08\x0b-\x1f]/g, (c) => String.fromCodePoint(0x2400 + code(c))], [/\x7f/g, () => "␡"],
  [/[\x80-\x9f\ud800-\udfff]/gu, () => "\ufffd"],
  [/[\u202a-\u202e\u2066-\u2069]/g, (c) => `‹${code(c).toString(16).toUpperCase()}›`]];
// Control characters as symbols, as `markup.visible` has them.
const visible = (text) => SEEN.reduce((said, [of, to]) => said.replace(of, to), text);
const wordsOf = ({ action, label }) => (
  action === "label" ? visible(label) : action === "none" ? "no label fits" : "skipped");

// ---------------------------------------------------------------- examples

function passage({ pieces, values, focus }, peak) {
  const made = make("div", "passage");
  made.dir = "auto";
  pieces.forEach((piece, at) => {
    const token = make("span", "t");
    const value = values[at] ?? 0;
    if (value > 0) {
      token.classList.add("on");
      token.style.setProperty("--a", Math.min(1, 0.12 + 0.88 * value / peak).toFixed(2));
    }
    if (at === focus) token.classList.add("focus");
    token.title = `${piece || "(no text of its own)"} · activation ${value}`;
    if (!piece) token.append(make("i", "none"));
    if (piece && !piece.trim() && !piece.includes("\n")) token.append(make("i", "space"));
    piece.split(/([\n\t])/).forEach((part) => {
      if (part === "\n") token.append(make("i", "feed"), " ");
      else if (part === "\t") token.append(make("i", "tab"), "\t");
      else token.append(part);
    });
    made.append(token);
  });
  return made;
}

function examples(item) {
  const made = make("div", "q-examples");
  const groups = [["The strongest", item.strongest], ["At random of the others", item.drawn]];
  for (const [name, group] of groups) {
    if (!group.length) continue;
    const head = make("h3", "head", name);
    if (group === item.strongest) head.append(make("small", "", `fires in ${count(item.contexts)} contexts`));
    made.append(head);
    for (const one of group) {
      const row = make("div", "q-example");
      const fact = make("span", "q-value", one.activation);
      fact.title = `${one.title} · ${one.topic}`;
      row.append(fact, passage(one, item.maximum));
      made.append(row);
    }
  }
  return made;
}

// ---------------------------------------------------------------- what stands on the screen

const PARTS = `<div class="q-bar"><span class="track"><i></i></span><p class="q-count"></p><p
class="q-saved" role="status"></p></div><div class="q-banner" role="alert" hidden></div><div
class="q-item" aria-live="polite"></div><div class="q-dock"><div class="q-panels"><div
class="q-history" hidden></div><div class="q-hints" hidden></div><div class="q-tags" hidden></div><div
class="q-probe" hidden><input aria-label="A text to try" placeholder="A text to try: Enter reads it, Esc leaves"
maxlength="2000"><div></div></div><div class="q-notes" hidden><textarea rows="2" aria-label="Notes"
placeholder="Notes: Esc leaves" maxlength="10000"></textarea></div></div><p class="q-mode"
role="status"></p><p class="q-said"></p><textarea
class="q-label" rows="1" aria-label="Label" autocomplete="off" spellcheck="false"></textarea><div
class="q-keys"></div></div>`;

function build(parent) {
  const root = make("div", "q-root");
  root.tabIndex = -1;
  root.innerHTML = PARTS;
  parent.append(root);
  const find = (name) => root.querySelector(`.q-${name}`);
  const names = "bar count saved banner item history hints tags probe notes mode said label keys".split(" ");
  const ui = Object.fromEntries(names.map((name) => [name, find(name)]));
  return { root, track: root.querySelector(".track i"), note: ui.notes.firstChild,
    text: ui.probe.firstChild, read: ui.probe.lastChild, ...ui };
}


// ---------------------------------------------------------------- painting

function heading(desk, item) {
  const made = make("h2", "q-name", "Feature "), link = make("a", "", featureOf(desk.slot));
  Object.assign(link, { href: item.href, target: "_blank", rel: "noopener",
    title: "Its page, in a new tab. Labels stand there: who looks has seen hints." });
  for (const name of ["click", "auxclick"]) link.addEventListener(name, () => desk.change({ hinted: true }));
  made.append(link, make("span", "q-meanwhile"));
  return made;
}

function paintMeanwhile({ ui, person, meanwhile }) { // what was decided elsewhere since it is on the screen
  const at = ui.item.querySelector(".q-meanwhile");
  if (!at) return;
  const words = meanwhile.map((one) => (one.person && one.person !== person
    ? `decided meanwhile by ${visible(one.person)}: ${wordsOf(one)} (yours would stand beside it)`
    : `decided meanwhile: ${wordsOf(one)} (a new decision supersedes it)`)).join(" · ");
  if (at.textContent !== words) at.textContent = words;
}

function paintItem(desk) {
  const { ui, items, slot } = desk, item = items.get(featureOf(slot));
  ui.item.replaceChildren(heading(desk, item), examples(item));
  ui.item.dataset.slot = slot;
  ui.root.classList.remove("waits");
  const main = ui.root.closest(".stMain");
  const above = ui.item.getBoundingClientRect().top < (main?.getBoundingClientRect().top ?? 0);
  const low = matchMedia("(max-height: 500px)").matches; // a phone on its side has room for nothing else
  if (above || low) ui.root.scrollIntoView({ block: "start" });
}

function paint(desk) {
  const { ui, draft, told, slot, ready, panel } = desk;
  const over = told && !slot && !desk.open().length && !boxes.waiting && !desk.pending;
  if (!ready) {
    ui.item.dataset.slot = "";
    ui.item.replaceChildren(make("p", "note", over ? ended(desk)
      : !told && desk.problem ? "The queue cannot be read yet. It is tried again every few seconds." : "Fetching examples …"));
  }
  ui.root.classList.toggle("waits", !ready);
  ui.label.placeholder = slot ? `What makes feature ${featureOf(slot)} fire?` : "";
  ui.probe.hidden = panel !== "probe";
  ui.notes.hidden = panel !== "notes";
  paintHints(desk);
  paintTags(desk);
  paintProbe(desk);
  paintHistory(desk);
  const set = { F: draft.flagged, C: draft.confidence, G: draft.tags.length, M: draft.notes,
    V: desk.hintsOf >= 0, E: draft.evidence.length };
  for (const button of ui.keys.children) {
    button.setAttribute("aria-pressed", Boolean(set[button.dataset.key]));
  }
  const said = [draft.flagged && "flagged", draft.confidence && `confidence ${draft.confidence} (how sure you are)`,
    ...draft.tags, draft.notes && "notes", draft.hinted && "hints seen",
    draft.evidence.length && `${draft.evidence.length} text${draft.evidence.length > 1 ? "s" : ""} attached`];
  ui.said.replaceChildren(
    make("b", "", desk.flash || (desk.ahead.length ? `${desk.ahead.length} typed ahead` : "")),
    make("span", "", said.filter(Boolean).join(" · ")));
  paintMeanwhile(desk);
  paintBar(desk);
}

function ended({ told, book }) {
  const what = told.of ? "Everything here is decided." : "There is nothing to label here.";
  return book.last ? `${what} L lists what was said; any of it can be undone.` : what;
}

function paintBar(desk) {
  const { ui, told, problem, slots, book } = desk;
  const waiting = boxes.waiting;
  ui.saved.textContent = waiting ? `${waiting} not saved yet` : "all saved";
  ui.saved.classList.toggle("busy", waiting > 0);
  const lost = desk.failures ? "The server does not answer." : "";
  const words = [problem ? `${problem.problem} ${problem.remedy}` : lost,
    waiting && (problem || lost) ? `${waiting} decision${waiting > 1 ? "s are" : " is"} kept in this browser and sent again every few seconds.` : "",
    shelf.works ? "" : "This browser keeps nothing (its storage is full or off): leave the page open until all is saved."];
  ui.banner.textContent = words.filter(Boolean).join(" ");
  ui.banner.hidden = !ui.banner.textContent;
  if (!told) return;
  const open = new Set(desk.open());
  const since = slots.filter((slot) => !open.has(slot) && (slot[2] || book.of(slot.slice(0, 2).join("."))?.action !== "skip"));
  const done = told.done + since.length;
  ui.track.style.width = `${100 * done / Math.max(1, told.of)}%`;
  const twice = told.repeats ? ` (${count(told.of - told.repeats)} features, ${count(told.repeats)} of them ${desk.twice})` : "";
  const parts = [`${count(done)} of ${count(told.of)}${twice}`, told.skipped && `${count(told.skipped)} skipped`,
    told.seconds && paceOf(told.seconds, told.of - done),
    told.pairs && `same label again ${told.same} of ${told.pairs} (${Math.round(100 * told.low)}–${Math.round(100 * told.high)}%)`];
  const html = parts.filter(Boolean).join(" · "); // numbers, and a mark
  if (desk.counted === html) return; // a mark that is pointed at stays
  desk.counted = html;
  ui.count.innerHTML = html;
}

// How many a minute, by the median seconds of one, and how long the rest takes at that.
function paceOf(seconds, left) {
  const minutely = 60 / seconds;
  const rest = left > 0 ? ` · ${lasting(left * seconds)} left at that pace` : "";
  return `${minutely < 10 ? minutely.toFixed(1) : count(Math.round(minutely))} a minute (median ${seconds.toFixed(1)} s)${rest}`;
}

function lasting(seconds) {
  const [size, unit] = [[3600, "h"], [60, "min"], [1, "s"]].find(([least]) => seconds >= 1.5 * least) ?? [1, "s"];
  const long = seconds / size;
  return `${unit === "h" && long < 10 ? long.toFixed(1) : count(Math.max(1, Math.round(long)))} ${unit}`;
}

function paintHints({ ui, hints, hintsOf, panel }) {
  ui.hints.hidden = hintsOf < 0;
  if (hintsOf < 0) return;
  const found = hints?.hints ?? [];
  const empty = hints ? hints.problem || "No method has labelled this one yet." : "Looking …";
  ui.hints.replaceChildren(...found.map(({ method, text }, at) => {
    const row = make("button", "q-hint");
    row.dataset.key = at + 1;
    const key = panel === "tags" ? "" : at + 1; // digits mean tags then
    row.append(...(key ? [make("kbd", "", key)] : []), make("span", "", visible(text)), make("small", "", method));
    return row;
  }), ...(found.length ? [] : [make("p", "note", empty)]));
}

function paintTags({ ui, panel, tags, draft }) {
  ui.tags.hidden = panel !== "tags";
  const how = make("p", "note", "Press a digit. A tag is one of these: words of your own belong in the label or the notes (M). G or Esc closes.");
  ui.tags.replaceChildren(how, ...Object.entries(tags).map(([tag, help], at) => {
    const button = make("button", "q-tag");
    button.dataset.key = at + 1;
    button.title = help;
    button.setAttribute("aria-pressed", draft.tags.includes(tag));
    button.append(make("kbd", "", at + 1), tag);
    return button;
  }));
}

function paintProbe({ ui, items, probing, probed, draft }) {
  const shown = [];
  if (probing && !probed?.ended) shown.push(make("p", "note", probed?.words || "Reading …"));
  if (probed?.ended && probed.problem) shown.push(make("p", "note warn", probed.problem));
  if (probed?.pieces) {
    const most = Math.max(0, ...probed.values);
    const has = draft.evidence.includes(probing.text) ? "attached" : "E attaches it";
    shown.push(passage({ ...probed, focus: -1 }, Math.max(most, items.get(probing.feature)?.maximum ?? 1)),
      make("p", "note", `${most ? `It fires, at most ${most}` : "It does not fire"} · ${has}`));
  }
  ui.read.replaceChildren(...shown);
}

function paintHistory({ ui, panel, book, at: chosen }) {
  ui.history.hidden = panel !== "history";
  if (panel !== "history") return;
  const unsaved = new Set(boxes.all().flatMap(([, box]) => box.events.map((event) => event.uid)));
  const rows = book.listed.slice(0, 200).map((one, at) => {
    const row = make("div", "q-past");
    row.dataset.at = at;
    row.setAttribute("aria-selected", at === chosen);
    row.dataset.uid = one.uid;
    const undone = book.undone.has(one.uid), past = !undone && book.later(one);
    row.classList.toggle("past", Boolean(past));
    const marks = [one.occurrence && "again", one.flagged && "flagged", one.confidence, ...one.tags,
      one.hinted && "hints seen", undone && "undone", past && "superseded", unsaved.has(one.uid) && "not saved yet"];
    row.classList.toggle("undone", undone);
    row.append(make("span", "", one.feature), make(one.action === "label" ? "b" : "i", "", wordsOf(one)),
      make("small", "", marks.filter(Boolean).join(" · ")));
    return row;
  });
  ui.history.replaceChildren(make("p", "note", rows.length
    ? "↑ ↓ choose · U undoes · R redoes · Enter decides anew · Esc closes" : "Nothing is decided yet."), ...rows);
  rows[chosen]?.scrollIntoView({ block: "nearest" });
}

// What keys do now: text, or commands, which is said loudly. `focus`: whether the field gets the keyboard.
function setMode({ ui, typing }, focus = true) {
  ui.root.classList.toggle("commands", !typing);
  const kbd = (key) => make("kbd", "", key);
  ui.mode.replaceChildren(...(typing ? [kbd("Esc"), " for commands"]
    : [make("b", "", "COMMANDS"), " · keys are commands, not text · ", kbd("⏎"), " or ", kbd("I"), " to type"]));
  if (typing && focus) ui.label.focus({ preventScroll: true });
  else if (!typing) ui.root.focus({ preventScroll: true });
}
