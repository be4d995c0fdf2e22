"use strict";
/* Light, dark, or as the system has it. */
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const stored = (() => { try { return localStorage.getItem("ringlite-theme"); } catch { return null; } })();
  if (stored) root.dataset.theme = stored;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("ringlite-theme", root.dataset.theme); } catch { /* a page from disk may have no storage */ }
  });
})();
