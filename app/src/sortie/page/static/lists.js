// A list of things with a filter, and buttons to add, change and remove.

import { request } from "./api.js";
import { button, element } from "./dom.js";
import { confirmed, edit } from "./forms.js";
import { notice } from "./notices.js";

// kind: { title, one, columns: [[label, text of an item]], fields(item), load(), save(values, item), remove(item),
// most(quotas) }
export async function showList(panel, kind) {
  const body = element("tbody");
  const filter = element("input", { type: "search", "aria-label": `Filter ${kind.title}`, placeholder: "Filter" });
  const amount = element("p", { class: "soft", role: "status" });
  const most = kind.most?.(await request("GET", "/api/quotas"));
  const limit = most ? `; ${most} at most` : "";
  let items = [];

  async function refresh() {
    items = await kind.load();
    show();
  }

  function show() {
    const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const found = items.filter((item) => {
      const text = kind.columns.map(([, of]) => of(item)).join(" ").toLocaleLowerCase();
      return words.every((word) => text.includes(word));
    });
    body.replaceChildren(...found.map(row));
    const count = found.length === items.length ? `${items.length} ${kind.title.toLowerCase()}` : `${found.length} of ${items.length}`;
    amount.textContent = count + limit;
  }

  function row(item) {
    const [first, ...others] = kind.columns;
    const name = first[1](item);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      others.map(([label, of]) => element("td", { "data-label": label }, of(item))),
      element(
        "td",
        { class: "actions" },
        element("button", { type: "button", class: "plain", "aria-label": `Change ${name}`, onclick: () => open(item) }, "Change"),
        element("button", { type: "button", class: "plain", "aria-label": `Remove ${name}`, onclick: () => remove(item, name) }, "Remove"),
      ),
    );
  }

  function open(item) {
    edit(item ? `Change ${kind.one}` : `Add ${kind.one}`, kind.fields(item), item ?? kind.blank ?? {}, async (values) => {
      await kind.save(values, item);
      notice(item ? "Saved" : "Added");
      await refresh();
    });
  }

  async function remove(item, name) {
    if (!(await confirmed(`Remove ${name}?`))) return;
    try {
      await kind.remove(item);
      notice("Removed");
      await refresh();
    } catch (error) {
      notice(error.message, "error");
    }
  }

  filter.addEventListener("input", show);
  const head = element("tr", {}, kind.columns.map(([label]) => element("th", { scope: "col" }, label)), element("td"));
  panel.replaceChildren(
    element("div", { class: "row toolbar" }, element("h2", {}, kind.title), filter, button(`Add ${kind.one}`, () => open(null), "primary")),
    amount,
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": kind.title }, element("table", {}, element("thead", {}, head), body)),
  );
  await refresh();
}
