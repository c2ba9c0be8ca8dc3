// Links that change what is shown: the address changes, and the page stays where it is.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  window.dispatchEvent(new PopStateEvent("popstate"));
});
// What plays the part of a checkbox is worked by the space bar, too.
document.addEventListener("keydown", (event) => {
  if (event.key === " " && event.target.matches("a[role=checkbox]")) {
    event.preventDefault();
    event.target.click();
  }
});
