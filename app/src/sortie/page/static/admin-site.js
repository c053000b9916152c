// Branding, launches, audit log, import and export.

import { request } from "./api.js";
import { button, element } from "./dom.js";
import { fieldsOf, show, valuesOf } from "./forms.js";
import { notice } from "./notices.js";

const BRANDING = [
  { name: "tenant_name", label: "Name", required: true },
  { name: "logo_url", label: "Logo", hint: "Address of an image" },
  { name: "primary_color", label: "First colour", kind: "colour" },
  { name: "secondary_color", label: "Second colour", kind: "colour" },
];

export async function branding(panel) {
  const before = await request("GET", "/api/config");
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const form = element(
    "form",
    { class: "stack narrow", novalidate: true },
    problem,
    fieldsOf(BRANDING, before),
    element("div", { class: "row end" }, element("button", { type: "submit", class: "primary" }, "Save")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = valuesOf(BRANDING, form);
    const changed = Object.fromEntries(Object.entries(values).filter(([name, value]) => value.toLowerCase() !== before[name].toLowerCase()));
    try {
      await request("PUT", "/api/admin/branding", changed);
      location.reload();
    } catch (error) {
      show(problem, error, form);
    }
  });
  panel.replaceChildren(element("h2", {}, "Branding"), form);
}

function table(label, columns, rows) {
  const head = element("tr", {}, columns.map(([name]) => element("th", { scope: "col" }, name)));
  const body = rows.map((row) => element("tr", {}, columns.map(([name, of]) => element("td", { "data-label": name }, String(of(row))))));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, element("table", {}, element("thead", {}, head), element("tbody", {}, body)));
}

export async function launches(panel) {
  const stats = await request("GET", "/api/analytics/stats");
  const columns = [
    ["Application", (row) => row.app_name],
    ["Id", (row) => row.app_id],
    ["Launches", (row) => row.launch_count],
  ];
  panel.replaceChildren(
    element("h2", {}, "Launches"),
    element("p", { class: "soft" }, `${stats.total_launches} launches`),
    table("Launches", columns, stats.app_stats),
  );
}

const PAGE = 50;

export async function audit(panel) {
  const choices = await request("GET", "/api/audit/filters");
  const select = (label, values) =>
    element("label", {}, `${label} `, element("select", {}, element("option", { value: "" }, "all"), values.map((value) => element("option", { value }, value))));
  const user = select("User", choices.users);
  const action = select("Action", choices.actions);
  const day = (label) => element("label", {}, `${label} `, element("input", { type: "date" }));
  const from = day("From");
  const to = day("To");
  const place = element("div");
  let offset = 0;
  let asked = 0;

  async function load() {
    const question = (asked += 1);
    const query = new URLSearchParams({ limit: PAGE, offset });
    for (const [name, label] of [["user", user], ["action", action]]) {
      const value = label.querySelector("select").value;
      if (value) query.set(name, value);
    }
    // Whole days of whoever looks.
    for (const [name, label, time] of [["from", from, "00:00:00.000"], ["to", to, "23:59:59.999"]]) {
      const value = label.querySelector("input").value;
      if (value) query.set(name, new Date(`${value}T${time}`).toISOString());
    }
    const { logs, total } = await request("GET", `/api/audit?${query}`);
    // The answer to an earlier question may come later.
    if (question !== asked) return;
    const columns = [
      ["Time", (entry) => new Date(entry.timestamp).toLocaleString()],
      ["User", (entry) => entry.user],
      ["Action", (entry) => entry.action],
      ["Details", (entry) => entry.details],
    ];
    const step = (amount) => () => {
      offset = Math.max(0, offset + amount);
      load();
    };
    const newer = button("Newer", step(-PAGE));
    const older = button("Older", step(PAGE));
    newer.disabled = offset === 0;
    older.disabled = offset + PAGE >= total;
    const shown = element("p", { class: "soft", role: "status" }, total ? `${offset + 1}–${offset + logs.length} of ${total}` : "No entries");
    place.replaceChildren(shown, table("Audit log", columns, logs), element("div", { class: "row" }, newer, older));
  }

  for (const label of [user, action, from, to]) {
    label.addEventListener("change", () => {
      offset = 0;
      load();
    });
  }
  const link = (format) => element("a", { href: `/api/audit/export?format=${format}`, download: `audit_log.${format}` }, `Export ${format.toUpperCase()}`);
  panel.replaceChildren(element("div", { class: "row toolbar" }, element("h2", {}, "Audit log"), user, action, from, to, link("csv"), link("json")), place);
  await load();
}

export async function transfer(panel) {
  const file = element("input", { type: "file", accept: ".json,application/json", id: "import-file" });
  const prune = element("input", { type: "checkbox", id: "import-prune" });
  const result = element("div", { role: "status" });

  async function run(dryRun) {
    result.replaceChildren();
    try {
      if (!file.files.length) throw new Error("Choose a file first");
      let body;
      try {
        body = JSON.parse(await file.files[0].text());
      } catch {
        throw new Error("The file is not JSON");
      }
      const report = await request("POST", `/api/catalog?dry_run=${dryRun}&prune=${prune.checked}`, body);
      const items = ["created", "updated", "removed"].map((verb) => element("li", {}, `${report[verb].length} ${verb}${report[verb].length ? `: ${report[verb].join(", ")}` : ""}`));
      result.replaceChildren(element("h3", {}, dryRun ? "This would happen" : "Imported"), element("ul", {}, items, element("li", {}, `${report.unchanged} unchanged`)));
    } catch (error) {
      notice(error.message, "error");
      result.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }

  panel.replaceChildren(
    element("h2", {}, "Export"),
    element("p", {}, element("a", { href: "/api/catalog", download: "catalogue.json" }, "Download the catalogue")),
    element("h2", {}, "Import"),
    element(
      "div",
      { class: "stack narrow" },
      element("label", { for: "import-file" }, "Catalogue file"),
      file,
      element("label", { class: "check" }, prune, "Remove what an earlier import brought and this file does not have"),
      element("div", { class: "row" }, button("Try", () => run(true)), button("Import", () => run(false), "primary")),
    ),
    result,
  );
}
