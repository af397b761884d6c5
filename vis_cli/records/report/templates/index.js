/* The index page: sorts the table of results. */

(() => {
  wireTheme();
  const table = byId("results");
  if (table) makeSortable(table);
  document.body.classList.add("ready");
})();
