// The definition of a term beside its mark: by pointer, keyboard and touch. What is `explained` shows its
// description in the same way, to pointer and keyboard.

const GAP = 6;
const TERM = "a.term";

export default function ({ parentElement }) {
  parentElement.stop?.();
  const tip = document.createElement("div");
  tip.className = "term-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  (document.querySelector(".stApp") ?? document.body).append(tip); // the theme is the app's
  let of = null;

  const hide = () => {
    tip.hidden = true;
    of = null;
  };
  const explain = (term) => {
    if (term === of) return;
    of = term;
    const words = term.getAttribute("aria-description");
    tip.replaceChildren(words);
    if (term.matches(TERM)) {
      const name = document.createElement("b"), more = document.createElement("i");
      name.textContent = term.dataset.name;
      more.textContent = "Click for the glossary";
      tip.replaceChildren(name, ` — ${words}`, more);
    }
    tip.hidden = false;
    const mark = term.getBoundingClientRect(), box = tip.getBoundingClientRect();
    const left = Math.min(mark.left, innerWidth - box.width - GAP);
    const below = mark.bottom + GAP + box.height < innerHeight;
    tip.style.left = `${Math.max(GAP, left)}px`;
    tip.style.top = `${below ? mark.bottom + GAP : Math.max(GAP, mark.top - GAP - box.height)}px`;
  };
  const termOf = (event) => event.target.closest?.(`${TERM}, .explained`);
  const look = (event) => {
    const term = termOf(event);
    if (term) explain(term);
    else hide();
  };
  // the first touch explains, the second follows the link
  const touch = (event) => {
    const term = termOf(event);
    if (term && !term.matches(TERM)) return hide(); // a button does what it does
    if (!term || event.pointerType !== "touch" || term === of) return;
    explain(term);
    term.classList.remove("go"); // so that links.js leaves this click alone
    term.addEventListener("click", (click) => {
      click.preventDefault();
      setTimeout(() => term.classList.add("go"));
    }, { once: true });
  };
  const press = (event) => {
    if (event.key === "Escape" || event.key.length === 1) hide(); // it covers what is typed
  };
  const events = { mouseover: look, focusin: look, pointerdown: touch, keydown: press, scroll: hide };
  for (const [name, act] of Object.entries(events)) document.addEventListener(name, act, true);
  parentElement.stop = () => {
    for (const [name, act] of Object.entries(events)) document.removeEventListener(name, act, true);
    tip.remove();
  };
  return parentElement.stop;
}
