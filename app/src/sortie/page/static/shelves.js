// Favourites and recently opened applications: copies of the cards at the top of the page.

import { keep, kept } from "./preferences.js";

const LONGEST_RECENTS = 6;

const original = (id) => document.querySelector(`[data-group] .app[data-id="${CSS.escape(id)}"]`);

function fill(section, ids) {
  const list = section.querySelector("ul");
  list.replaceChildren(
    ...ids.map(original).filter(Boolean).map((app) => {
      const copy = app.cloneNode(true);
      copy.hidden = false;
      return copy;
    }),
  );
  section.hidden = list.childElementCount === 0;
}

export function startShelves() {
  const favourites = document.getElementById("favourites");
  const recents = document.getElementById("recents");
  let starred = kept("favourites");
  let opened = kept("recents");

  function show() {
    fill(favourites, starred);
    fill(recents, opened);
    for (const app of document.querySelectorAll(".app")) {
      const star = app.querySelector(".star");
      const on = starred.includes(app.dataset.id);
      star.setAttribute("aria-pressed", String(on));
      star.firstElementChild.textContent = on ? "★" : "☆";
    }
  }

  document.addEventListener("click", (event) => {
    const star = event.target instanceof Element ? event.target.closest(".star") : null;
    if (!star) return;
    const id = star.closest(".app").dataset.id;
    const shelf = star.closest("section");
    starred = starred.includes(id) ? starred.filter((other) => other !== id) : [...starred, id];
    keep("favourites", starred);
    show();
    // The card under the pointer may just have gone away with its focus.
    if (!star.isConnected) (shelf.hidden ? original(id) : shelf)?.querySelector(".star")?.focus();
  });

  show();
  return {
    // Shows what was kept elsewhere.
    refresh() {
      starred = kept("favourites");
      opened = kept("recents");
      show();
    },
    opened(id) {
      opened = [id, ...opened.filter((other) => other !== id)].slice(0, LONGEST_RECENTS);
      keep("recents", opened);
      // After the click has done its work on the card.
      setTimeout(show);
    },
  };
}
