// A letter in place of an icon that cannot be loaded.

function replace(image) {
  const icon = image.closest(".icon");
  if (!icon) {
    if ("logo" in image.dataset) image.hidden = true;
    return;
  }
  const letter = document.createElement("span");
  letter.className = "letter";
  letter.setAttribute("aria-hidden", "true");
  letter.textContent = icon.dataset.letter;
  image.replaceWith(letter);
}

export function startIcons() {
  // Errors of images do not bubble, but they can be caught on the way down.
  document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && replace(event.target), true);
  // A copy: the list itself shrinks with each image that is replaced.
  for (const image of [...document.images]) if (image.complete && image.naturalWidth === 0 && image.src) replace(image);
}
