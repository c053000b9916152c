// The search field and the category filter above the applications.

const wordsOf = (text) => text.toLocaleLowerCase().split(/\s+/).filter(Boolean);

export function textOf(app) {
  const group = app.closest("[data-group]")?.dataset.group ?? "";
  return `${app.querySelector(".name").textContent} ${app.querySelector(".description").textContent} ${group}`.toLocaleLowerCase();
}

export function startSearch() {
  const field = document.getElementById("search");
  const chips = [...document.querySelectorAll(".chip")];
  const apps = [...document.querySelectorAll("[data-group] .app")].map((element) => ({ element, text: textOf(element) }));
  let category = "*";

  function show() {
    const words = wordsOf(field.value);
    let found = 0;
    for (const { element, text } of apps) {
      const fits = words.every((word) => text.includes(word));
      element.hidden = !fits;
      const group = element.closest("[data-group]");
      if (fits && (category === "*" || group.dataset.group === category)) found += 1;
    }
    for (const group of document.querySelectorAll("[data-group]")) {
      const chosen = category === "*" || group.dataset.group === category;
      group.hidden = !chosen || !group.querySelector(".app:not([hidden])");
    }
    document.body.classList.toggle("filtered", words.length > 0 || category !== "*");
    const none = document.getElementById("no-match");
    none.hidden = found > 0 || apps.length === 0;
    document.getElementById("no-match-text").textContent = field.value;
  }

  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && field.value) {
      field.value = "";
      show();
      event.preventDefault();
    } else if (event.key === "Enter") {
      document.querySelector("[data-group]:not([hidden]) .app:not([hidden]) a.open[href]")?.click();
    }
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      category = chip.dataset.category;
      for (const other of chips) other.setAttribute("aria-pressed", String(other === chip));
      show();
    });
  }
}
