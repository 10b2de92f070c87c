// Tables of class igb-sortable: the heading of a column is a button that sorts the rows by it, and then the other way.
// Numbers sort as numbers, and what is no number in a column of numbers comes last.
document.addEventListener("DOMContentLoaded", () => {
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = (row, column) => (text(row, column) ? Number(text(row, column).replace("−", "-")) : NaN);

  function sort(body, column, sign) {
    const rows = [...body.rows];
    const numeric = rows.some((row) => !Number.isNaN(number(row, column)));
    const empty = (row) => (numeric ? Number.isNaN(number(row, column)) : ["", "–"].includes(text(row, column)));
    rows.sort((a, b) => {
      if (empty(a) || empty(b)) return empty(a) - empty(b);
      return sign * (numeric ? number(a, column) - number(b, column) : text(a, column).localeCompare(text(b, column)));
    });
    body.append(...rows);
  }

  for (const table of document.querySelectorAll("table.igb-sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        sort(table.tBodies[0], column, order === "ascending" ? 1 : -1);
      });
    });
  }
});
