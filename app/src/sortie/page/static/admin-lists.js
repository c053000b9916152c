// Applications, categories and users.

import { request } from "./api.js";
import { element } from "./dom.js";
import { showList } from "./lists.js";

const at = (base, item) => `${base}/${encodeURIComponent(item.id)}`;

function kindOf(base, rest) {
  return {
    load: () => request("GET", base),
    save: (values, item) => (item ? request("PATCH", at(base, item), values) : request("POST", base, values)),
    remove: (item) => request("DELETE", at(base, item)),
    ...rest,
  };
}

const withoutEmpty = (values, ...names) =>
  Object.fromEntries(Object.entries(values).filter(([name, value]) => !names.includes(name) || value !== ""));

export async function apps(panel) {
  const kind = kindOf("/api/apps", {
    title: "Applications",
    one: "application",
    columns: [
      ["Name", (app) => app.name],
      ["Category", (app) => app.category],
      ["Seen by", (app) => app.visibility],
      ["Address", (app) => app.url || app.launch_type],
    ],
    fields: (app) => [
      { name: "name", label: "Name", required: true },
      { name: "url", label: "Address", hint: "https://…" },
      { name: "description", label: "Description", kind: "area" },
      { name: "category", label: "Category", list: "category-names" },
      { name: "icon", label: "Icon", hint: "Address of an image; a letter is shown without one" },
      { name: "visibility", label: "Seen by", kind: "choice", choices: ["public", "approved", "admin_only"] },
      { name: "id", label: "Id", fixed: Boolean(app), hint: app ? undefined : "Made from the name if it is empty" },
      { name: "launch_type", label: "Kind", kind: "choice", choices: ["url", "container", "web_proxy"], more: true, hint: "Only url can be opened here; the others are kept as they are" },
      { name: "os_type", label: "Operating system", more: true },
      { name: "container_image", label: "Container image", more: true },
      { name: "container_port", label: "Container port", kind: "number", more: true },
      { name: "container_args", label: "Container arguments", kind: "lines", more: true, hint: "One to a line" },
      { name: "resource_limits", label: "Resource limits", kind: "json", more: true, hint: "JSON, for example {\"cpu\": \"500m\"}" },
      { name: "egress_policy", label: "Egress policy", kind: "json", more: true, hint: "A name, or JSON" },
    ],
    blank: { visibility: "public", launch_type: "url", os_type: "linux", container_port: 0, resource_limits: {} },
  });
  const save = kind.save;
  kind.save = (values, app) => save(withoutEmpty(values, "id", "resource_limits"), app);
  kind.most = (quotas) => quotas.max_apps;
  const categories = await request("GET", "/api/categories");
  await showList(panel, kind);
  panel.append(element("datalist", { id: "category-names" }, categories.map(({ name }) => element("option", { value: name }))));
}

export const categories = (panel) =>
  showList(
    panel,
    kindOf("/api/categories", {
      title: "Categories",
      one: "category",
      columns: [
        ["Name", (category) => category.name],
        ["Description", (category) => category.description],
        ["Approved users", (category) => category.approved_users.join(", ")],
      ],
      fields: () => [
        { name: "name", label: "Name", required: true },
        { name: "description", label: "Description", kind: "area" },
        { name: "approved_users", label: "Approved users", kind: "lines", hint: "User names that see its approved applications, one to a line" },
      ],
    }),
  );

export const users = (panel) =>
  showList(
    panel,
    kindOf("/api/users", {
      title: "Users",
      one: "user",
      columns: [
        ["User name", (user) => user.username],
        ["Name", (user) => user.display_name],
        ["Roles", (user) => user.roles.join(", ")],
        ["Signs in by", (user) => user.auth_provider],
      ],
      fields: (user) => [
        { name: "username", label: "User name", required: true },
        { name: "display_name", label: "Name" },
        { name: "email", label: "E-mail" },
        { name: "roles", label: "Roles", kind: "checks", choices: ["admin", "app-author"] },
        { name: "password", label: user ? "New password" : "Password", kind: "password", hint: "8 characters or more" },
      ],
      blank: { roles: [] },
      most: (quotas) => quotas.max_users,
    }),
  );
