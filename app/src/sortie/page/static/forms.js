// The dialog that edits one thing, made from a table of its fields, and the one that asks before removing.
//
// A field: { name, label, kind, choices, required, hint, fixed, more }; kind is text, area, choice, checks, lines, number,
// json, password or colour. `fixed` fields are shown and cannot be changed; those of `more` are folded away.

import { element } from "./dom.js";

const AREAS = {
  area: (value) => value ?? "",
  lines: (value) => (value ?? []).join("\n"),
  json: (value) => (typeof value === "string" || value === undefined ? (value ?? "") : JSON.stringify(value, null, 2)),
};
const READ = {
  number: (input) => Number(input.value),
  lines: (input) => input.value.split("\n").map((line) => line.trim()).filter(Boolean),
  json: (input) => {
    const text = input.value.trim();
    if (!/^[[{]/.test(text)) return text;
    try {
      return JSON.parse(text);
    } catch {
      throw Object.assign(new Error(`${input.name} is not JSON`), { field: input.name });
    }
  },
  checks: (input) => [...input.querySelectorAll("input:checked")].map((box) => box.value),
};

function control(field, value) {
  const common = { name: field.name, id: `field-${field.name}`, disabled: field.fixed, required: field.required };
  if (field.hint) common["aria-describedby"] = `hint-${field.name}`;
  if (field.kind === "choice") {
    const options = field.choices.map((choice) => element("option", { value: choice, selected: choice === value }, choice || "–"));
    return element("select", common, options);
  }
  if (field.kind in AREAS) {
    const area = element("textarea", { ...common, rows: 3 });
    area.value = AREAS[field.kind](value);
    return area;
  }
  if (field.kind === "checks") {
    const boxes = field.choices.map((choice) =>
      element("label", { class: "check" }, element("input", { type: "checkbox", value: choice, checked: value?.includes(choice) }), choice),
    );
    return element("div", { id: common.id, class: "row" }, boxes);
  }
  const types = { password: "password", colour: "color", number: "number" };
  const input = element("input", { ...common, type: types[field.kind] ?? "text", autocomplete: field.kind === "password" ? "new-password" : "off", list: field.list });
  input.value = value ?? "";
  return input;
}

function shown(field, value) {
  const input = control(field, value);
  const hint = field.hint ? element("small", { id: `hint-${field.name}` }, field.hint) : null;
  if (field.kind === "checks") return element("fieldset", {}, element("legend", {}, field.label), input, hint);
  return element("div", { class: "field" }, element("label", { for: input.id }, field.label), input, hint);
}

export function fieldsOf(fields, values) {
  const made = (some) => some.map((field) => shown(field, values[field.name]));
  const more = fields.filter((field) => field.more);
  const folded = more.length ? [element("details", { class: "more" }, element("summary", {}, "More"), made(more))] : [];
  return [...made(fields.filter((field) => !field.more)), ...folded];
}

// What the form has now, without fixed fields and without passwords that were left empty.
export function valuesOf(fields, form) {
  const values = {};
  for (const field of fields) {
    const input = form.querySelector(`#field-${field.name}`);
    const value = (READ[field.kind] ?? ((found) => found.value))(input);
    if (field.fixed || (field.kind === "password" && value === "")) continue;
    values[field.name] = value;
  }
  return values;
}

export function show(problem, error, form) {
  problem.textContent = error.message;
  problem.hidden = false;
  for (const marked of form.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
  const wrong = error.field && form.querySelector(`#field-${CSS.escape(error.field.split(/[.[]/)[0])}`);
  if (wrong) {
    wrong.closest("details")?.setAttribute("open", "");
    wrong.setAttribute("aria-invalid", "true");
    wrong.focus();
  }
}

// Opens the editor; `save` gets the values and may throw. Closes when it does not.
export function edit(title, fields, values, save) {
  const dialog = document.getElementById("editor");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector(".problem");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".fields").replaceChildren(...fieldsOf(fields, values));
  problem.hidden = true;
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      await save(valuesOf(fields, form));
      dialog.close();
    } catch (error) {
      show(problem, error, form);
    }
  };
  dialog.showModal();
  form.querySelector("input:not(:disabled), select:not(:disabled), textarea:not(:disabled)")?.focus();
}

export function confirmed(title) {
  const dialog = document.getElementById("question");
  dialog.querySelector("h2").textContent = title;
  dialog.showModal();
  return new Promise((resolve) => {
    const done = (answer) => {
      if (dialog.open) dialog.close();
      resolve(answer);
    };
    for (const choice of dialog.querySelectorAll("[data-answer]")) choice.onclick = () => done(choice.dataset.answer === "yes");
    dialog.onclose = () => done(false);
  });
}
