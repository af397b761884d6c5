/* The timeline: one row per instance with its area over the frames, gaps, key frame and shots. Click to seek. */

/** Return the height of a row in pixels: few rows are higher. */
const rowHeight = (count) => (count <= 6 ? 36 : count <= 14 ? 28 : 22);
const INSET = 3; // above and below the area of a row

class Timeline {
  /**
   * @param data Data of the page.
   * @param labels Element for the names of the rows.
   * @param canvas Canvas of the rows.
   * @param actions Functions `seek(frame)` and `select(index)`.
   */
  constructor(data, labels, canvas, actions) {
    this.data = data;
    this.labels = labels;
    this.canvas = canvas;
    this.plot = canvas.parentElement;
    this.playhead = byId("playhead");
    this.actions = actions;
    this.rowHeight = rowHeight(0);
    this.rows = []; // indices of the instances, in the order of the table
    this.selected = null;
    this.frame = 0;
    this.levels = data.instances.map((instance) => [...instance.profile].map((digit) => data.profileDigits.indexOf(digit)));
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.#wirePointer();
    this.#wireRuler();
  }

  show(rows) {
    this.rows = rows;
    this.rowHeight = rowHeight(rows.length);
    this.labels.style.setProperty("--row", `${this.rowHeight}px`);
    this.labels.replaceChildren(...rows.map((index) => this.#label(index)));
    this.#markSelected();
    this.draw();
  }

  select(index) {
    this.selected = index;
    this.#markSelected();
    this.draw();
  }

  moveTo(frame) {
    this.frame = frame;
    this.playhead.style.left = `${((frame + 0.5) / Math.max(1, this.data.numFrames)) * 100}%`;
  }

  /** Draw all rows. Large timelines have one canvas pixel per pixel, to limit memory. */
  draw() {
    const width = this.plot.clientWidth;
    const height = this.rows.length * this.rowHeight;
    const scale = this.rows.length > 60 ? 1 : window.devicePixelRatio || 1;
    this.scale = scale;
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(this.plot);
    const colors = {
      track: style.getPropertyValue("--track"),
      selected: style.getPropertyValue("--accent-soft"),
      line: style.getPropertyValue("--strong-line"),
      text: style.getPropertyValue("--text"),
      surface: style.getPropertyValue("--surface"),
      edge: style.getPropertyValue("--edge").trim() === "light" ? 255 : 0,
    };
    this.rows.forEach((index, row) => this.#drawRow(context, index, row * this.rowHeight, width, colors));
    this.#drawShots(context, width, height, colors);
    this.rows.forEach((index, row) => this.#drawKeyFrame(context, index, row * this.rowHeight, width, colors));
  }

  #label(index) {
    const instance = this.data.instances[index];
    const swatch = create("span", { className: "swatch" });
    swatch.style.background = `rgb(${instance.color})`;
    const name = create("bdi", { textContent: instance.category });
    const button = create("button", { type: "button", className: "row-label" }, swatch,
      create("span", { className: "row-id", textContent: instance.id }), name,
      create("span", { className: "row-score", textContent: instance.score.toFixed(2) }));
    button.title = instance.category;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Select instance ${instance.id}, ${instance.category}, score ${instance.score.toFixed(2)}`);
    button.dataset.index = index;
    button.addEventListener("click", () => this.actions.select(this.selected === index ? null : index));
    return button;
  }

  #markSelected() {
    for (const button of this.labels.children) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === this.selected));
    }
  }

  #drawRow(context, index, top, width, colors) {
    const instance = this.data.instances[index];
    const levels = this.levels[index];
    context.fillStyle = index === this.selected ? colors.selected : colors.track;
    context.fillRect(0, top + 1, width, this.rowHeight - 2);
    if (!levels.length) return;
    const bottom = top + this.rowHeight - INSET;
    const unit = (this.rowHeight - 2 * INSET) / (this.data.profileDigits.length - 1);
    const columns = Math.max(1, Math.round(width * this.scale));
    const edge = instance.color.map((channel) => Math.round(channel * 0.62 + colors.edge * 0.38));
    // One path per row, with one step per pixel: thousands of rectangles would take seconds.
    const outline = new Path2D();
    outline.moveTo(0, bottom);
    let height = 0;
    for (let column = 0; column < columns; column++) {
      const first = Math.floor((column * levels.length) / columns);
      const last = Math.max(first + 1, Math.floor(((column + 1) * levels.length) / columns));
      let level = 0;
      for (let bin = first; bin < last; bin++) level = Math.max(level, levels[bin]);
      const next = level ? Math.max(2, level * unit) : 0;
      if (next !== height) {
        outline.lineTo(column / this.scale, bottom - height);
        outline.lineTo(column / this.scale, bottom - next);
        height = next;
      }
    }
    outline.lineTo(width, bottom - height);
    outline.lineTo(width, bottom);
    context.globalAlpha = instance.confident ? 1 : 0.6;
    context.fillStyle = `rgb(${instance.color})`;
    context.fill(outline);
    context.save();
    context.beginPath();
    context.rect(0, top, width, bottom - top - 1); // without the line at the bottom, which would hide gaps
    context.clip();
    context.strokeStyle = `rgb(${edge})`;
    context.stroke(outline);
    context.restore();
    context.globalAlpha = 1;
  }

  #drawShots(context, width, height, colors) {
    context.strokeStyle = colors.line;
    context.setLineDash([3, 3]);
    for (const first of this.data.shots.slice(1)) {
      const x = Math.round((first / this.data.numFrames) * width) + 0.5;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.stroke();
    }
    context.setLineDash([]);
  }

  #drawKeyFrame(context, index, top, width, colors) {
    const x = ((this.data.instances[index].keyFrame + 0.5) / this.data.numFrames) * width;
    const y = top + this.rowHeight / 2;
    context.beginPath();
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.closePath();
    context.fillStyle = colors.text;
    context.fill();
    context.strokeStyle = colors.surface;
    context.lineWidth = 1.5;
    context.stroke();
    context.lineWidth = 1;
  }

  #wirePointer() {
    const frameAt = (event) => {
      const box = this.plot.getBoundingClientRect();
      const fraction = (event.clientX - box.left) / box.width;
      return Math.max(0, Math.min(this.data.numFrames - 1, Math.floor(fraction * this.data.numFrames)));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      const row = Math.floor((event.clientY - this.canvas.getBoundingClientRect().top) / this.rowHeight);
      if (row in this.rows) this.actions.select(this.rows[row]);
      this.actions.seek(frameAt(event));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.canvas.hasPointerCapture(event.pointerId)) this.actions.seek(frameAt(event));
    });
  }

  #wireRuler() {
    const last = Math.max(0, this.data.numFrames - 1);
    const count = Math.min(4, last);
    const ticks = Array.from({ length: count + 1 }, (_, tick) => Math.round((tick * last) / Math.max(1, count)));
    byId("ruler").replaceChildren(...ticks.map((frame) => create("span", { textContent: formatCount(frame) })));
  }
}
