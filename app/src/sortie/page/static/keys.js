// Arrow keys move between the applications; / goes to the search.

function move(from, key) {
  const links = [...document.querySelectorAll(".app:not([hidden]) .open")].filter((link) => link.checkVisibility());
  const at = links.indexOf(from);
  if (at < 0) return links[0];
  if (key === "ArrowRight") return links[at + 1];
  if (key === "ArrowLeft") return links[at - 1];
  const here = from.getBoundingClientRect();
  const down = key === "ArrowDown";
  const rows = links
    .map((link) => ({ link, box: link.getBoundingClientRect() }))
    .filter(({ box }) => (down ? box.top > here.top + 4 : box.top < here.top - 4));
  rows.sort(
    (one, other) =>
      Math.abs(one.box.top - here.top) - Math.abs(other.box.top - here.top) ||
      Math.abs(one.box.left - here.left) - Math.abs(other.box.left - here.left),
  );
  return rows[0]?.link;
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const search = document.getElementById("search");
    const typing = event.target instanceof Element && event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      search.focus();
      event.preventDefault();
    } else if (event.key.startsWith("Arrow") && (!typing || (event.target === search && event.key === "ArrowDown"))) {
      const next = move(document.activeElement, event.key);
      if (next) {
        next.focus();
        event.preventDefault();
      }
    }
  });
}
