// Filter of tables, and opening of folded parts: for links to what is in them, and for print.
"use strict";
(() => {
  const open = (part) => { for (let at = part; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true; };
  const show = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) { open(target); target.querySelector(":scope > details")?.setAttribute("open", ""); target.scrollIntoView(); }
  };
  addEventListener("hashchange", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link && link.hash === location.hash) show();
  });
  document.addEventListener("DOMContentLoaded", () => { if (location.hash) show(); });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open]):not(.unprinted):not(.unprinted *)")];
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));

  document.addEventListener("input", (event) => {
    const box = event.target;
    if (!box.matches("input.filter")) return;
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...document.getElementById(box.dataset.table).tBodies[0].rows];
    let left = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      left += row.hidden ? 0 : 1;
    }
    box.closest("p").querySelector("output").value = words.length ? `${left} of ${rows.length} rows` : "";
  });
})();
