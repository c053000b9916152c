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
  startForm(signIn, "/api/auth/login");
  startForm(register, "/api/auth/register");
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
  dialog.querySelector("#sign-out").onclick = async () => {
    await request("POST", "/api/auth/logout");
    location.assign("/");
  };
  dialog.showModal();
}

// The dialogs that sign in and that make an account ask for the same and end the same way.
function startForm(dialog, path) {
  const form = dialog?.querySelector("form");
  const problem = form?.querySelector(".problem");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    problem.hidden = true;
    try {
      await request("POST", path, { username: data.get("username"), password: data.get("password") });
      if (location.hash === "#sign-in") location.assign("/admin");
      else location.reload();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      form.elements.password.select();
      if (!(error instanceof ApiError)) notice("The server cannot be reached", "error");
    }
  });
}
