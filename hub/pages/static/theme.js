// Light or dark, as this browser was told last; else as the device has it. Runs before the page is drawn, so that nothing flashes.
"use strict";

(() => {
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem("theme") || "";
    } catch {
      return "";
    }
  };
  const show = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  show(stored());
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    if (!choice) return;
    const select = choice.querySelector("select");
    choice.hidden = false;
    select.value = stored();
    select.addEventListener("change", () => {
      try {
        localStorage.setItem("theme", select.value);
      } catch {
        // A browser that keeps nothing shows it for this page.
      }
      show(select.value);
    });
  });
})();
