// The definition of a term beside its mark: by pointer, keyboard and touch.

const GAP = 6;

export default function ({ parentElement }) {
  parentElement.stop?.();
  const tip = document.createElement("div");
  tip.className = "term-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  let of = null;

  const hide = () => {
    tip.hidden = true;
    of = null;
  };
  const explain = (term) => {
    if (term === of) return;
    of = term;
    const name = document.createElement("b");
    name.textContent = term.dataset.name;
    tip.replaceChildren(name, ` — ${term.getAttribute("aria-description")}`);
    const more = document.createElement("i");
    more.textContent = "Click for the glossary";
    tip.append(more);
    tip.hidden = false;
    const mark = term.getBoundingClientRect(), box = tip.getBoundingClientRect();
    const left = Math.min(mark.left, innerWidth - box.width - GAP);
    const below = mark.bottom + GAP + box.height < innerHeight;
    tip.style.left = `${Math.max(GAP, left)}px`;
    tip.style.top = `${below ? mark.bottom + GAP : Math.max(GAP, mark.top - GAP - box.height)}px`;
  };
  const termOf = (event) => event.target.closest?.("a.term");
  const look = (event) => {
    const term = termOf(event);
    if (term) explain(term);
    else hide();
  };
  // the first touch explains, the second follows the link
  const touch = (event) => {
    const term = termOf(event);
    if (!term || event.pointerType !== "touch" || term === of) return;
    explain(term);
    term.classList.remove("go"); // so that links.js leaves this click alone
    term.addEventListener("click", (click) => {
      click.preventDefault();
      setTimeout(() => term.classList.add("go"));
    }, { once: true });
  };
  const press = (event) => {
    if (event.key === "Escape") hide();
  };
  const events = { mouseover: look, focusin: look, pointerdown: touch, keydown: press, scroll: hide };
  for (const [name, act] of Object.entries(events)) document.addEventListener(name, act, true);
  parentElement.stop = () => {
    for (const [name, act] of Object.entries(events)) document.removeEventListener(name, act, true);
    tip.remove();
  };
  return parentElement.stop;
}
