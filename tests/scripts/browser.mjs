// What of a browser the scripts need to be read, and the names within a script.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";

/** The values of `names` in the script of a component, read in a browser of its own. */
export function read(script, names, globals = {}) {
  const localStorage = storage(), sessionStorage = storage();
  const context = vm.createContext({
    localStorage, sessionStorage, crypto, console, AbortController, setTimeout, clearTimeout,
    setInterval, clearInterval, performance, navigator: {}, ...globals,
  });
  const text = readFileSync(join(process.env.SCRIPTS, `${script}.mjs`), "utf-8")
    .replace("export default function", "function main");
  const values = vm.runInContext(`${text}\n;({ ${["main", ...names].join(", ")} })`, context);
  return { ...values, localStorage, sessionStorage };
}

function storage() {
  const kept = new Map();
  let full = false;
  const methods = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => {
      if (full) throw new Error("QuotaExceededError");
      kept.set(name, String(value));
    },
    removeItem: (name) => kept.delete(name),
    fill: () => { full = true; },
  };
  // Object.keys lists what is stored, as a browser's does
  return new Proxy(methods, {
    ownKeys: () => [...kept.keys()],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
}
