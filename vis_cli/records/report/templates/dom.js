"use strict";

/* Helpers for the document. Text is only set as text: a name that looks like a tag stays text. */

const byId = (id) => document.getElementById(id);
const readJson = (id) => JSON.parse(byId(id).textContent);

/** Create an element with properties and children. Children are elements or strings. */
function create(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const formatCount = (number) => number.toLocaleString("en-US");

/** Return a time such as "0:02.50". */
function formatTime(seconds) {
  const sign = seconds < 0 ? "-" : "";
  const hundredths = Math.round(Math.abs(seconds) * 100);
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  const hours = Math.floor(minutes / 60);
  const start = hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}` : String(minutes);
  return `${sign}${start}:${rest}`;
}

/** Sort the rows of a table body. Missing values are last in both directions. */
function sortRows(body, valueOf, descending) {
  const entries = [...body.rows].map((row, index) => ({ row, index, value: valueOf(row) }));
  entries.sort((a, b) => {
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.index - b.index;
    const order = typeof a.value === "string" ? a.value.localeCompare(b.value) : a.value - b.value;
    return (descending ? -order : order) || a.index - b.index;
  });
  body.append(...entries.map((entry) => entry.row));
}

/** Make the headers of a table sort its rows by the `data-value` of their cells. */
function makeSortable(table, onSort = () => {}) {
  const headers = [...table.tHead.rows[0].cells];
  for (const header of headers.filter((cell) => cell.querySelector("button"))) {
    header.querySelector("button").addEventListener("click", () => {
      const wasSorted = header.getAttribute("aria-sort");
      const descending = wasSorted ? wasSorted === "ascending" : header.dataset.first === "descending";
      headers.forEach((cell) => cell.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const isNumber = header.classList.contains("number");
      const valueOf = (row) => {
        const value = row.cells[header.cellIndex].dataset.value;
        return value === "" || value === undefined ? null : isNumber ? Number(value) : value;
      };
      sortRows(table.tBodies[0], valueOf, descending);
      onSort();
    });
  }
}

/** Download text as a file that the browser saves. */
function download(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  create("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Switch between the theme of the system, light and dark. The choice stays for this page. */
function wireTheme(onChange = () => {}) {
  const select = byId("theme");
  let stored = "";
  try {
    stored = localStorage.getItem("vis-theme") || "";
  } catch {
    stored = ""; // a browser can forbid storage for local files
  }
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    onChange();
  };
  select.value = ["light", "dark"].includes(stored) ? stored : "";
  apply(select.value);
  select.addEventListener("change", () => {
    try {
      localStorage.setItem("vis-theme", select.value);
    } catch {
      // The choice lasts until the page is closed.
    }
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
