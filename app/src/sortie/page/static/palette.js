// The command palette: Ctrl or Cmd and K, arrow keys, Enter, Esc.

import { textOf } from "./search.js";

const MOST = 50;

function entries() {
  const apps = [...document.querySelectorAll("[data-group] .app")].map((app) => ({
    label: app.querySelector(".name").textContent,
    hint: app.closest("[data-group]").dataset.group,
    text: textOf(app),
    run: () => app.querySelector(".open").click(),
  }));
  const commands = [
    ["Change the theme", () => document.getElementById("theme").click()],
    ["Account: sign in or out", () => document.getElementById("account").click()],
  ].map(([label, run]) => ({ label, hint: "Command", text: label.toLocaleLowerCase(), run }));
  return [...apps, ...commands];
}

// Smaller is better: the name begins with it, a word does, it is somewhere.
function rank(entry, words) {
  const name = entry.label.toLocaleLowerCase();
  if (words.length && name.startsWith(words[0])) return 0;
  if (words.length && name.split(/\s+/).some((part) => part.startsWith(words[0]))) return 1;
  return 2;
}

export function startPalette() {
  const dialog = document.getElementById("palette");
  const input = document.getElementById("palette-input");
  const list = document.getElementById("palette-list");
  let all = [];
  let shown = [];
  let active = 0;

  function open() {
    if (document.querySelector("dialog[open]")) return;
    all = entries();
    input.value = "";
    show();
    dialog.showModal();
    input.focus();
  }

  function show() {
    const words = input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    shown = all
      .filter((entry) => words.every((word) => entry.text.includes(word)))
      .map((entry, index) => ({ entry, index, rank: rank(entry, words) }))
      .sort((one, other) => one.rank - other.rank || one.index - other.index)
      .slice(0, MOST)
      .map(({ entry }) => entry);
    list.replaceChildren(...shown.map(option));
    mark(0);
  }

  function option(entry, index) {
    const item = document.createElement("li");
    item.id = `palette-${index}`;
    item.setAttribute("role", "option");
    const label = document.createElement("span");
    label.textContent = entry.label;
    const hint = document.createElement("small");
    hint.textContent = entry.hint;
    item.append(label, hint);
    item.addEventListener("click", () => run(index));
    return item;
  }

  function mark(index) {
    active = shown.length ? (index + shown.length) % shown.length : 0;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === active)));
    if (shown.length) {
      input.setAttribute("aria-activedescendant", `palette-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function run(index) {
    const entry = shown[index];
    dialog.close();
    entry?.run();
  }

  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) mark(active + steps[event.key]);
    else if (event.key === "Enter") run(active);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.getElementById("open-palette").addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else open();
    }
  });
}
