// Filters by pipeline and branch, sorts and folds tables. The page is complete without it.
(() => {
  "use strict";
  const FIRST = 15;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const bar = document.getElementById("filter");
  const picks = all("select", bar);

  function fold(table) {
    const rows = all("tbody tr:not(.filtered)", table);
    const isLong = rows.length > FIRST + 3 && !table.dataset.open;
    rows.forEach((row, at) => row.classList.toggle("folded", isLong && at >= FIRST));
    table.note.hidden = !isLong;
    table.note.firstChild.data = `${FIRST} of ${rows.length} rows. `;
  }

  function filter() {
    const isOut = (one) => picks.some(
      (pick) => pick.value && pick.name in one.dataset && one.dataset[pick.name] !== pick.value);
    all("[data-pipeline], [data-branch]").forEach(
      (one) => one.classList.toggle("filtered", isOut(one)));
    bar.querySelector(".all-branches").hidden = !picks[1].value;
    all("table").forEach(fold);
  }

  function offer(pick) {
    const found = all(`[data-${pick.name}]`).map((one) => one.dataset[pick.name]);
    for (const word of [...new Set(found)].filter(Boolean).sort()) {
      pick.add(new Option(word, word));
    }
    pick.parentElement.hidden = pick.length < 3;
    pick.addEventListener("change", filter);
  }

  function value(row, column) {
    const cell = row.cells[column];
    return cell.dataset.order ? Number(cell.dataset.order) : cell.textContent.trim();
  }

  function sort(table, head) {
    const isDown = head.classList.contains("n")
      ? head.ariaSort !== "descending" : head.ariaSort === "ascending";
    all("th", table).forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const isMissing = (row) => row.cells[head.cellIndex].classList.contains("blank");
    const rows = all("tbody tr", table).sort((one, other) => {
      if (isMissing(one) || isMissing(other)) return isMissing(one) - isMissing(other);
      const [a, b] = [value(one, head.cellIndex), value(other, head.cellIndex)];
      const order = typeof a === "number" && typeof b === "number"
        ? a - b : String(a).localeCompare(String(b));
      return isDown ? -order : order;
    });
    table.tBodies[0].append(...rows);
    fold(table);
  }

  function prepare(table) {
    const note = document.createElement("p");
    const button = document.createElement("button");
    note.className = "more";
    button.textContent = "Show all";
    button.addEventListener("click", () => { table.dataset.open = "yes"; fold(table); });
    note.append("", button);
    table.note = note;
    table.parentElement.after(note);
    for (const head of all("th", table)) {
      const press = document.createElement("button");
      press.append(...head.childNodes);
      head.append(press);
      press.addEventListener("click", () => sort(table, head));
    }
  }

  all("table").forEach(prepare);
  picks.forEach(offer);
  bar.hidden = picks.every((pick) => pick.parentElement.hidden);
  filter();
})();
