// Links followed without loading the app again, and the keys that work on every page.

const TYPING = /^(INPUT|TEXTAREA|SELECT)$/;
const KEYS = {
  "/": { target: ".st-key-search input", use: (field) => { field.focus(); field.select(); } },
  h: { target: ".st-key-keyboard button", use: (button) => button.click() },
  g: { target: ".st-key-go-to-text input", use: uncover },
};
const AWAITED = ".st-key-awaited input";
const GO_TO = ".st-key-go-to-text";
const UNFOLD = "[data-testid=stExpandSidebarButton][aria-expanded=false]";

/** Go to a field of the sidebar, which is unfolded first. */
function uncover(field) {
  document.querySelector(UNFOLD)?.click();
  field.focus({ preventScroll: true });
  field.select();
}

export default function ({ setTriggerValue, parentElement }) {
  parentElement.stop?.();
  const follow = (event) => {
    const link = event.target.closest?.("a.go");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    setTriggerValue("to", link.getAttribute("href"));
  };
  // A slider has no use for letters: they are the page's, as if nothing had the focus.
  const pass = (event) => {
    const plain = event.key?.length === 1 && event.key !== " " && !event.metaKey && !event.ctrlKey && !event.altKey;
    if (!plain || event.target.type !== "range") return;
    event.stopImmediatePropagation();
    event.target.blur();
    const { key, code, shiftKey, repeat } = event;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, code, shiftKey, repeat, keyCode: event.keyCode, bubbles: true, cancelable: true }));
  };
  const press = (event) => {
    const leaves = event.key === "Enter" || event.key === "Escape";
    if (leaves && event.target.closest?.(GO_TO)) setTimeout(() => event.target.blur(), 0);
    const typing = event.target.isContentEditable || TYPING.test(event.target.tagName);
    if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
    const act = KEYS[event.key.toLowerCase()];
    const target = act && document.querySelector(act.target);
    if (!target) return;
    event.preventDefault();
    act.use(target);
  };
  document.addEventListener("click", follow, true);
  document.addEventListener("keydown", press);
  window.addEventListener("keydown", pass, true);
  let shown = "";
  const point = () => {
    const focus = document.querySelector(".document .t.focus");
    if (!focus || shown === location.href) return;
    shown = location.href;
    focus.scrollIntoView({ block: "center" });
  };
  let awaited = null;
  // The field without which a page cannot begin has the keyboard, unless a person types elsewhere.
  const begin = () => {
    const field = document.querySelector(AWAITED);
    if (field && field !== awaited && !TYPING.test(document.activeElement?.tagName)) field.focus({ preventScroll: true });
    awaited = field;
  };
  const pointing = setInterval(() => { point(); begin(); }, 300);
  parentElement.stop = () => {
    clearInterval(pointing);
    document.removeEventListener("click", follow, true);
    document.removeEventListener("keydown", press);
    window.removeEventListener("keydown", pass, true);
  };
  return parentElement.stop;
}
