// Summaries under search results are fetched from the pages, which browsers refuse to do for files.
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

// Who has no mouse reaches what scrolls sideways by the Tab key; what fits is no stop on the way.
function reachable() {
  for (const box of document.querySelectorAll("pre, .text_html, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer").setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer").setAttribute("aria-label", "On this page");
  for (const box of document.querySelectorAll("details")) box.addEventListener("toggle", reachable);
  addEventListener("resize", reachable);
  reachable();
});
