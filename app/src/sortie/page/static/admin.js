// The administration: one panel at a time, named after the # of the address.

import * as account from "./account.js";
import { apps, categories, users } from "./admin-lists.js";
import { audit, branding, launches, transfer } from "./admin-site.js";
import { startIcons } from "./icons.js";
import { notice } from "./notices.js";
import * as theme from "./theme.js";

const PANELS = { apps, categories, users, branding, launches, audit, transfer };

let latest;

async function show() {
  const name = location.hash.slice(1) in PANELS ? location.hash.slice(1) : "apps";
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const panel = document.getElementById("panel");
  panel.setAttribute("aria-busy", "true");
  // Made apart, so that an answer that comes late does not replace what was chosen after it.
  const made = document.createElement("div");
  latest = made;
  let problem;
  try {
    await PANELS[name](made);
  } catch (error) {
    problem = error;
  }
  if (made !== latest) return;
  panel.replaceChildren(...made.childNodes);
  panel.removeAttribute("aria-busy");
  if (problem) notice(problem.message, "error");
}

theme.start();
startIcons();
account.start();
addEventListener("hashchange", show);
show();
