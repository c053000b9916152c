// What a user's pages remember: in this browser, and for users who are signed in with the server, so that it is
// the same everywhere.

import { request } from "./api.js";

const BLANK = { theme: "system", favourites: [], recents: [] };
let signedIn = false;

export function kept(name) {
  try {
    const value = JSON.parse(localStorage.getItem(`sortie.${name}`) ?? "null");
    return typeof value === typeof BLANK[name] && Array.isArray(value) === Array.isArray(BLANK[name]) ? (value ?? BLANK[name]) : BLANK[name];
  } catch {
    return BLANK[name];
  }
}

function keepHere(name, value) {
  try {
    localStorage.setItem(`sortie.${name}`, JSON.stringify(value));
  } catch {
    // Storage may be switched off; the page works without.
  }
}

export function keep(name, value) {
  keepHere(name, value);
  if (signedIn) request("PATCH", "/api/preferences", { [name]: value }, { keepalive: true }).catch(() => {});
}

// Takes over what the server has for this user; what only this browser has goes to the server.
export async function follow(user) {
  if (!user?.id) return;
  const theirs = await request("GET", "/api/preferences");
  signedIn = true;
  for (const name of Object.keys(BLANK)) {
    if (JSON.stringify(theirs[name]) !== JSON.stringify(BLANK[name])) keepHere(name, theirs[name]);
    else if (JSON.stringify(kept(name)) !== JSON.stringify(BLANK[name])) keep(name, kept(name));
  }
}
