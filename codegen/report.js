"use strict";
// Only what a page cannot do by itself: a box that follows the pointer, arrow keys, a search.
document.documentElement.classList.add("js");
const frame = document.querySelector(".frame");
const tip = document.getElementById("tip");
const say = (mark) => {
  for (const other of document.querySelectorAll(".on")) other.classList.remove("on");
  tip.hidden = !mark;
  if (!mark) return;
  mark.classList.add("on");
  tip.textContent = mark.getAttribute("aria-label");
  const box = mark.getBoundingClientRect();
  const around = frame.getBoundingClientRect();
  const left = box.left + box.width / 2 - around.left - tip.offsetWidth / 2;
  tip.style.left = Math.max(0, Math.min(left, around.width - tip.offsetWidth)) + "px";
  const above = box.top - around.top - tip.offsetHeight - 8;
  tip.style.top = (above > 0 ? above : box.bottom - around.top + 8) + "px";
};
for (const group of document.querySelectorAll("[data-keys]")) {
  const marks = [...group.querySelectorAll("[data-mark]")];
  marks.forEach((mark, index) => {
    // The box says it; the browser's own one would come on top of it.
    const title = mark.querySelector("title");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
    mark.setAttribute("role", "img");
    mark.setAttribute("tabindex", index ? "-1" : "0");
    mark.addEventListener("pointerenter", () => say(mark));
    mark.addEventListener("pointerleave", () => say(null));
    mark.addEventListener("focus", () => say(mark));
    mark.addEventListener("blur", () => say(null));
  });
  group.addEventListener("keydown", (event) => {
    const shown = marks.filter((mark) => getComputedStyle(mark).display !== "none");
    const here = shown.indexOf(document.activeElement);
    const goal = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1,
      ArrowUp: here - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Escape") say(null);
    if (goal === undefined || !shown[goal]) return;
    event.preventDefault();
    marks.forEach((mark) => mark.setAttribute("tabindex", "-1"));
    shown[goal].setAttribute("tabindex", "0");
    shown[goal].focus();
  });
}
// Where the one bar that Tab stops at is hidden, the first that is not takes its place.
document.querySelector(".tools").addEventListener("change", () => {
  const bars = [...document.querySelectorAll(".bar")];
  const shown = bars.filter((bar) => getComputedStyle(bar).display !== "none");
  if (shown.some((bar) => bar.getAttribute("tabindex") === "0")) return;
  bars.forEach((bar) => bar.setAttribute("tabindex", bar === shown[0] ? "0" : "-1"));
});
const find = document.getElementById("find");
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const bar of document.querySelectorAll(".bar"))
    bar.classList.toggle("dim", !(bar.dataset.name + "\n" + bar.dataset.layer).toLowerCase()
      .includes(wanted));
});
