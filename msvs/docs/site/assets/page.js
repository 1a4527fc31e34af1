// Names the reader's own host in the examples, and has the buttons of menu and search press what the theme hides.
"use strict";

const HOSTED = "https://api.massivesms.com";

function nameHost() {
  if (location.origin === HOSTED || !location.protocol.startsWith("http")) return;
  for (const code of document.querySelectorAll(".md-content code")) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode;
      if (text.data.includes(HOSTED)) text.data = text.data.replaceAll(HOSTED, location.origin);
    }
  }
}

/** A button opens what its hidden checkbox opens, and says whether it is open. */
function connect(button) {
  const toggle = document.getElementById(button.dataset.opens);
  const show = () => button.setAttribute("aria-expanded", String(toggle.checked));
  toggle.addEventListener("change", show);
  button.addEventListener("click", () => {
    toggle.click();
    if (toggle.id === "__search" && toggle.checked) document.querySelector(".md-search__input").focus();
  });
  show();
}

/** The theme adds a landmark to each block of code; a page has enough of them. */
function quietCode() {
  for (const bar of document.querySelectorAll("nav.md-code__nav:not([role])")) bar.setAttribute("role", "presentation");
}

/** What scrolls sideways, such as a wide table on a phone, is reached and scrolled by keyboard. */
function reachTables() {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
    if (table.scrollWidth <= table.clientWidth) continue;
    table.tabIndex = 0;
    table.setAttribute("role", "group");
    table.setAttribute("aria-label", "Wide table");
  }
}

const drawer = document.getElementById("__drawer");
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && drawer.checked) {
    drawer.click();
    document.querySelector("[data-opens=__drawer]").focus();
  }
});
document.querySelectorAll("[data-opens]").forEach(connect);
nameHost();
quietCode();
reachTables();
new MutationObserver(() => {
  quietCode();
  reachTables();
}).observe(document.body, { childList: true, subtree: true });
addEventListener("resize", reachTables);
