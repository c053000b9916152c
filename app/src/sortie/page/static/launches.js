// Tells the server what is opened, without holding up the opening.

import { request } from "./api.js";
import { notice } from "./notices.js";

export function startLaunches(opened) {
  document.addEventListener("click", launched);
  document.addEventListener("auxclick", (event) => event.button === 1 && launched(event));

  function launched(event) {
    const link = event.target instanceof Element ? event.target.closest(".app .open") : null;
    if (!link) return;
    const id = link.closest(".app").dataset.id;
    if (!link.hasAttribute("href")) {
      notice("This kind of application cannot be opened here", "error");
      return;
    }
    opened(id);
    request("POST", "/api/analytics/launch", { app_id: id }, { keepalive: true }).catch(() => {});
  }
}
