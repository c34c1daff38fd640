// Tables can be sorted by a column and searched. Only text is read and rows are moved or hidden: nothing is parsed as HTML.
(() => {
  "use strict";
  const SORTABLE_ROWS = 3, SEARCHABLE_ROWS = 11;
  const textOf = (row, column) => row.cells[column]?.textContent.trim() ?? "";
  const valueOf = (text) => {
    const plain = text.replace(/[\s,]/g, "").replace("−", "-").replace(/^[<>]/, "");
    return /^[+-]?\d/.test(plain) ? parseFloat(plain) : NaN;
  };
  const compare = (a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      if (!head.textContent.trim() || head.classList.contains("drawn")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(textOf(a, column), textOf(b, column)));
        body.append(...(down ? rows.reverse() : rows));
      });
    }
  };
  const searchable = (table, box) => {
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.querySelector(".group"));
    const field = document.createElement("input"), told = document.createElement("span"), bar = document.createElement("p");
    field.type = "search";
    field.placeholder = "Search this table";
    field.setAttribute("aria-label", `Search the table: ${box.getAttribute("aria-label")}`);
    told.setAttribute("role", "status");
    bar.className = "search";
    bar.append(field, told);
    box.before(bar);
    field.addEventListener("input", () => {
      const words = field.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(words);
      told.textContent = words ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
    });
  };
  for (const box of document.querySelectorAll(".study-table-scroll")) {
    const table = box.querySelector("table");
    if (table.classList.contains("matrix") || !table.tHead) continue;
    const rows = [...table.tBodies].reduce((sum, body) => sum + body.rows.length, 0);
    const plain = table.tHead.rows.length === 1 && table.tBodies.length === 1 && !table.querySelector("[colspan], [rowspan]");
    if (plain && rows >= SORTABLE_ROWS) sortable(table);
    if (rows >= SEARCHABLE_ROWS) searchable(table, box);
  }
})();
