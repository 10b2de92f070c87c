// Above the tables of claims: a choice of verdict and of chapter, which hides the other rows.
document.addEventListener("DOMContentLoaded", () => {
  const tables = [...document.querySelectorAll("table.igb-claims")];
  if (!tables.length) return;
  const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
  const verdict = (row) => row.cells[0].textContent.replace(/^\S+\s/u, "").trim();
  const chapter = (row) => row.cells[3].textContent.match(/Chapter \d+/)?.[0] ?? "";
  const count = document.createElement("output");
  const choices = [];

  function show() {
    const shown = rows.filter((row) => {
      row.hidden = !choices.every(({ select, of }) => !select.value || select.value === of(row));
      return !row.hidden;
    });
    count.textContent = `${shown.length} of ${rows.length} claims shown`;
  }

  const bar = document.createElement("form");
  bar.className = "igb-filter";
  for (const [name, of] of [["Verdict", verdict], ["Chapter", chapter]]) {
    const label = document.createElement("label");
    const select = document.createElement("select");
    const values = [...new Set(rows.map(of))].filter(Boolean);
    select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    select.addEventListener("change", show);
    label.append(`${name} `, select);
    choices.push({ select, of });
    bar.append(label);
  }
  bar.append(count);
  const first = tables[0].closest("section") ?? tables[0];
  first.before(bar);
  show();
});
