/* The table of instances: filters, check boxes of the masks, selection, and download of the shown rows as CSV. */

class InstanceTable {
  /**
   * @param data Data of the page.
   * @param actions Functions `seek(frame)`, `select(index)` and `changed()`.
   */
  constructor(data, actions) {
    this.data = data;
    this.actions = actions;
    this.table = byId("instances");
    this.body = this.table.tBodies[0];
    this.isChecked = data.instances.map(() => true);
    this.isListed = data.instances.map(() => true);
    this.#wireRows();
    this.#wireFilters();
    makeSortable(this.table, () => this.actions.changed());
    byId("csv").addEventListener("click", () => this.#downloadCsv());
    byId("all-masks").addEventListener("click", () => this.#checkAll());
    this.filter();
  }

  /** Return whether the mask of an instance is drawn. */
  isShown(index) {
    return this.isListed[index] && this.isChecked[index];
  }

  /** Return the indices of the listed instances, in the order of the rows. */
  listed() {
    return [...this.body.rows].map((row) => Number(row.dataset.index)).filter((index) => this.isListed[index]);
  }

  select(index) {
    for (const row of this.body.rows) {
      const isSelected = Number(row.dataset.index) === index;
      row.classList.toggle("selected", isSelected);
      row.querySelector(".pick").setAttribute("aria-pressed", String(isSelected));
    }
  }

  toggleMask(index) {
    this.isChecked[index] = !this.isChecked[index];
    this.#syncBoxes();
    this.actions.changed();
  }

  filter() {
    const category = byId("filter-category").value;
    const minScore = Number(byId("filter-score").value);
    const minFrames = Number(byId("filter-frames").value) || 0;
    const unlikely = byId("filter-unlikely");
    this.data.instances.forEach((instance, index) => {
      this.isListed[index] =
        (category === "" || instance.category === this.categories[Number(category)]) &&
        instance.score >= minScore &&
        instance.visible >= minFrames &&
        (instance.confident || !unlikely || unlikely.checked);
    });
    for (const row of this.body.rows) row.hidden = !this.isListed[Number(row.dataset.index)];
    byId("score-value").textContent = minScore.toFixed(2);
    const count = this.isListed.filter(Boolean).length;
    byId("count").textContent = `${formatCount(count)} of ${formatCount(this.data.instances.length)} instances`;
    byId("none-listed").hidden = count > 0 || this.data.instances.length === 0;
    this.#syncBoxes();
    this.actions.changed();
  }

  #wireRows() {
    for (const row of this.body.rows) {
      const index = Number(row.dataset.index);
      row.querySelector("input").addEventListener("change", () => this.toggleMask(index));
      const pick = row.querySelector(".pick");
      pick.addEventListener("click", () => {
        this.actions.select(pick.getAttribute("aria-pressed") === "true" ? null : index);
      });
      for (const button of row.querySelectorAll("[data-frame]")) {
        button.addEventListener("click", () => {
          this.actions.select(index);
          this.actions.seek(Number(button.dataset.frame));
        });
      }
    }
  }

  #wireFilters() {
    const counts = new Map();
    for (const { category } of this.data.instances) counts.set(category, (counts.get(category) || 0) + 1);
    this.categories = [...counts.keys()].sort((a, b) => a.localeCompare(b));
    const options = this.categories.map((name, index) =>
      create("option", { value: index, textContent: `${name} (${counts.get(name)})` }));
    byId("filter-category").append(...options);
    for (const id of ["filter-category", "filter-score", "filter-frames", "filter-unlikely"]) {
      byId(id)?.addEventListener("input", () => this.filter());
    }
  }

  #checkAll() {
    const listed = this.listed();
    const isOn = !listed.every((index) => this.isChecked[index]);
    for (const index of listed) this.isChecked[index] = isOn;
    this.#syncBoxes();
    this.actions.changed();
  }

  #syncBoxes() {
    for (const row of this.body.rows) row.querySelector("input").checked = this.isChecked[Number(row.dataset.index)];
    const areAll = this.listed().every((index) => this.isChecked[index]);
    byId("all-masks").textContent = areAll ? "Hide all masks" : "Show all masks";
  }

  #downloadCsv() {
    const lines = this.listed().map((index) => this.data.instances[index].csv);
    // Excel needs the byte order mark to read UTF-8.
    download(`\ufeff${this.data.csvHeader}${lines.join("")}`, `${this.data.fileStem}_instances.csv`, "text/csv");
  }
}
