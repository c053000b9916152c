// The theme: system, light or dark.

import { keep, kept } from "./preferences.js";

const ORDER = ["system", "light", "dark"];
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

export function show() {
  const theme = ORDER.includes(kept("theme")) ? kept("theme") : "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.firstElementChild.textContent = SIGNS[theme];
  button.setAttribute("aria-label", `Theme: ${theme}`);
  button.title = `Theme: ${theme}`;
}

export function start() {
  show();
  document.getElementById("theme").addEventListener("click", () => {
    keep("theme", ORDER[(ORDER.indexOf(kept("theme")) + 1) % ORDER.length]);
    show();
  });
}
