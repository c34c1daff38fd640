// Figures can be enlarged in a dialog, at their full size, by a click or by a button for the keyboard.
(() => {
  "use strict";
  const dialog = document.createElement("dialog"), large = document.createElement("img"), close = document.createElement("button");
  dialog.className = "zoom";
  dialog.setAttribute("aria-label", "Enlarged figure");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const frame = document.createElement("div");
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "Figure, scrolls");
  frame.append(large);
  dialog.append(close, frame);
  const enlarge = (image) => {
    if (!dialog.isConnected) document.body.append(dialog);
    [large.src, large.alt] = [image.src, image.alt];
    dialog.showModal();
  };
  for (const image of document.querySelectorAll("main figure img")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-label", `Enlarge the figure: ${image.alt}`);
    button.addEventListener("click", () => enlarge(image));
    image.addEventListener("click", () => enlarge(image));
    image.after(button);
  }
})();
