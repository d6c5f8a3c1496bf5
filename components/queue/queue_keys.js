// The keyboard and the mouse at the queue.
const AGAIN = 400; // ms in which a second click is the same
function listen(desk) {
  const { ui } = desk, made = [];
  const on = (target, name, does, capture = false) => {
    target.addEventListener(name, does, capture);
    made.push(() => target.removeEventListener(name, does, capture));
  };
  ui.keys.append(...COMMANDS.map(([key, , name]) => {
    const button = make("button", key === "Enter" ? "first" : "");
    button.dataset.key = key;
    button.append(make("kbd", "", key === "Enter" ? "⏎" : key), make("span", "", name));
    if (desk.tips[key]) { // as of a term: by pointer and keyboard
      button.classList.add("explained");
      button.setAttribute("aria-description", desk.tips[key]);
    }
    return button;
  }));
  on(window, "keydown", (event) => pressed(desk, event), true);
  on(ui.root, "mousedown", (event) => { if (event.target.closest("button")) event.preventDefault(); });
  on(ui.root, "click", (event) => clicked(desk, event));
  on(ui.label, "input", () => { desk.keep(); desk.grow(); if (desk.flash) { desk.flash = ""; desk.draw(); } });
  on(ui.label, "select", () => desk.keep());
  on(ui.label, "focus", () => desk.mode(true, false));
  on(window, "keyup", () => { desk.held = ""; }, true);
  on(ui.note, "input", () => desk.change({ notes: ui.note.value }));
  on(document, "visibilitychange", () => desk.away(document.hidden));
  on(window, "focus", () => desk.look());
  on(window, "storage", (event) => desk.hear(event));
  on(window, "beforeunload", (event) => { desk.keep(); if (boxes.waiting) event.preventDefault(); });
  const watch = new MutationObserver(() => unhindered(desk));
  watch.observe(document.body, { childList: true });
  made.push(() => watch.disconnect());
  const timer = setInterval(() => desk.tick(), 250);
  made.push(() => clearInterval(timer));
  setTimeout(() => { if (!foreign(desk, document.activeElement)) desk.mode(true); });
  return () => made.forEach((undo) => undo());
}

const FIELDS = "input, textarea, select, [contenteditable=true], [role=combobox]";
const foreign = ({ ui }, at) => at && at !== document.body && !ui.root.contains(at)
  && (at.matches?.(FIELDS) || at.closest?.("[data-baseweb=popover], [role=listbox]"));

function taken(event, fully = true) { // Streamlit has shortcuts of its own
  event.stopImmediatePropagation();
  if (fully) event.preventDefault();
}

// Without a server Streamlit opens a dialog that takes the keyboard in mid-word. The banner says the
// same, so it is closed. False where another dialog is open.
function unhindered(desk) {
  const dialog = document.querySelector("[role=dialog]");
  if (!dialog) return true;
  const title = dialog.querySelector("h1, h2, [slot=title]")?.textContent ?? "";
  if (!/connection/i.test(title) || dialog.querySelector("input, textarea")) return false;
  dialog.querySelector("button[aria-label=Close]")?.click();
  desk.mode(desk.typing);
  setTimeout(() => desk.mode(desk.typing));
  return true;
}

function pressed(desk, event) {
  const { ui } = desk, { target, key } = event;
  if (!ui.root.isConnected || !unhindered(desk)) return;
  if (foreign(desk, target) || event.isComposing || event.keyCode === 229) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (target === ui.note || target === ui.text) return beside(desk, event);
  if (target.matches?.("button, a, summary") && ["Enter", " ", "Tab"].includes(key)) return;
  if (event.repeat && key === desk.held) return taken(event); // it was a command, and is no text
  if (desk.typing) return typed(desk, event, plain);
  if (!plain || (key.toLowerCase() === "h" && !desk.tagging)) return;
  if (desk.panel === "history" && past(desk, key)) return taken(event);
  if (key === "Escape") { taken(event); desk.close(); }
  else if (desk.tagging && (key === "Enter" || key.length === 1)) { taken(event); if (!event.repeat) desk.tag(key); }
  else if (key === "Enter" || key.toLowerCase() === "i") { taken(event); desk.hush(); desk.mode(true); }
  else if (key.length === 1) {
    taken(event, key !== " ");
    if (!event.repeat) { desk.held = key; desk.command(key); }
  }
}

function typed(desk, event, plain) {
  const { ui } = desk, { key } = event;
  if (document.activeElement !== ui.label && (key.length === 1 || key === "Enter")) ui.label.focus();
  if (!plain) return;
  if (key === "Enter" && !event.shiftKey) { taken(event); if (!event.repeat) desk.command("Enter"); }
  else if (key === "Escape") { taken(event); desk.keep(); desk.hush(); desk.mode(false); }
  else taken(event, false);
}

function beside(desk, event) { // in the notes, or in the text to try
  const { ui } = desk, { key } = event;
  taken(event, key === "Escape" || (key === "Enter" && event.target === ui.text));
  if (key === "Escape") { if (event.target === ui.note) desk.panel = ""; desk.mode(false); desk.draw(); }
  if (key === "Enter" && event.target === ui.text) desk.probe(ui.text.value);
}

function past(desk, key) {
  const listed = desk.book.listed.slice(0, 200), { at } = desk, one = listed[at];
  const step = { ArrowDown: 1, ArrowUp: -1 }[key], letter = key.toLowerCase();
  if (!one || !(step || key === "Enter" || letter === "u" || letter === "r")) return false;
  desk.flash = "";
  desk.chosen = one.uid; // the list may grow meanwhile
  if (step) desk.chosen = listed[Math.max(0, Math.min(listed.length - 1, at + step))].uid;
  else if (letter === "u") desk.undo(one);
  else if (letter === "r") { desk.redo(one); desk.panel = "history"; }
  else { desk.panel = ""; desk.reopen(one); desk.mode(true); }
  desk.draw();
  return true;
}

function clicked(desk, event) {
  const button = event.target.closest("button[data-key]"), row = event.target.closest(".q-past");
  if (button && desk.tagging && !/^[0-9G]$/.test(button.dataset.key)) desk.close();
  // the second of a double click is meant for the item before
  const late = event.detail > 1 && (!desk.ready || performance.now() - desk.shownAt < AGAIN);
  if (button && late && "Enter S N".split(" ").includes(button.dataset.key)) return;
  if (button) desk.command(button.dataset.key, event.pointerType === "touch");
  else if (row) { desk.chosen = row.dataset.uid; past(desk, "Enter"); }
}
