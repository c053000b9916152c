// Signing in and out.

import { ApiError, mayBeSignedIn, request } from "./api.js";
import { notice } from "./notices.js";

// Who is signed in, or null.
export async function whoAmI() {
  if (!mayBeSignedIn()) return null;
  try {
    return await request("GET", "/api/auth/me");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

export async function start() {
  const button = document.getElementById("account");
  const user = await whoAmI().catch(() => null);
  if (user) {
    button.textContent = user.name;
    for (const id of ["admin-link", "menu-admin"]) {
      document.getElementById(id).hidden = !user.roles.some((role) => role !== "user");
    }
    button.addEventListener("click", () => showMenu(user));
  } else {
    button.addEventListener("click", () => document.getElementById("sign-in").showModal());
  }
  for (const close of document.querySelectorAll("dialog [data-close]")) {
    close.addEventListener("click", () => close.closest("dialog").close());
  }
  const signIn = document.getElementById("sign-in");
  const register = document.getElementById("register");
  startForm(signIn, "/api/auth/login", ["username", "password"], signedIn);
  startForm(register, "/api/auth/register", ["username", "password"], signedIn);
  const password = document.getElementById("password");
  startForm(password, "/api/auth/password", ["current_password", "new_password"], () => {
    password.close();
    notice("The password was changed; other sessions have ended");
  });
  document.getElementById("to-password").addEventListener("click", () => {
    document.getElementById("account-menu").close();
    password.querySelector("form").reset();
    password.showModal();
  });
  document.getElementById("to-register")?.addEventListener("click", () => {
    signIn.close();
    register.showModal();
  });
  if (location.hash === "#sign-in" && !user) signIn.showModal();
  return user;
}

function showMenu(user) {
  const dialog = document.getElementById("account-menu");
  dialog.querySelector("h2").textContent = user.name;
  dialog.querySelector(".roles").textContent = `Signed in as ${user.username} (${user.roles.join(", ")})`;
  document.getElementById("to-password").hidden = user.auth_provider !== "local";
  // For password managers: whose password it is.
  document.querySelector("#password [name=username]").defaultValue = user.username;
  dialog.querySelector("#sign-out").onclick = async () => {
    await request("POST", "/api/auth/logout");
    location.assign("/");
  };
  dialog.showModal();
}

function signedIn() {
  if (location.hash === "#sign-in") location.assign("/admin");
  else location.reload();
}

// A dialog that sends its fields, and shows what the server has against them.
function startForm(dialog, path, names, done) {
  const form = dialog?.querySelector("form");
  const problem = form?.querySelector(".problem");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    problem.hidden = true;
    try {
      await request("POST", path, Object.fromEntries(names.map((name) => [name, data.get(name)])));
      done();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      form.querySelector("[type=password]").select();
      if (!(error instanceof ApiError)) notice("The server cannot be reached", "error");
    }
  });
}
