"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const text = head.classList.contains("word");
      const sorted = head.getAttribute("aria-sort");
      // Words begin at A, numbers with the largest; a second click turns round.
      const up = sorted ? sorted === "descending" : text;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[column];
        const data = cell.querySelector("data");
        return data ? Number(data.value) : cell.textContent;
      };
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const difference = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return up ? difference : -difference;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}
