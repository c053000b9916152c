// Short messages at the page's lower edge.

export function notice(text, kind = "info") {
  const place = document.getElementById("notices");
  const item = document.createElement("p");
  item.className = `notice ${kind}`;
  item.textContent = text;
  place.append(item);
  setTimeout(() => item.remove(), kind === "error" ? 9000 : 4000);
}
