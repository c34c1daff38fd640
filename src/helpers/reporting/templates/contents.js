// The page is whole without this: it marks the section being read, unfolds its entries only, and closes the contents
// on a small screen.
(() => {
  "use strict";
  const box = document.querySelector(".contents details");
  const links = new Map([...box.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const narrow = matchMedia("(max-width: 62rem)");
  box.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) box.open = false;
  });
  const targets = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  let current = null;
  const mark = () => {
    const passed = targets.filter((target) => target.getBoundingClientRect().top < innerHeight / 4);
    const link = links.get((passed.at(-1) ?? targets[0]).id);
    if (link === current) return;
    current?.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    if (!narrow.matches) link.scrollIntoView({ block: "nearest" });
    current = link;
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  box.classList.add("folding");
  mark();
})();
