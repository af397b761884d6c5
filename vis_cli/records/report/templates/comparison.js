/* J of each object over the frames, compared with annotations. */

const CHART_HEIGHT = 44; // pixels

/** Draw the charts of J, and seek where the user clicks. */
class ComparisonCharts {
  constructor(data, actions) {
    this.data = data;
    this.charts = [...document.querySelectorAll("canvas[data-object]")];
    for (const canvas of this.charts) {
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        actions.seek(Math.floor(((event.clientX - box.left) / box.width) * data.numFrames));
      });
      new ResizeObserver(() => this.#drawOne(canvas)).observe(canvas.parentElement);
    }
    for (const button of document.querySelectorAll("#comparison [data-frame]")) {
      button.addEventListener("click", () => {
        actions.seek(Number(button.dataset.frame));
        byId("player").scrollIntoView({ block: "nearest" });
      });
    }
  }

  draw() {
    this.charts.forEach((canvas) => this.#drawOne(canvas));
  }

  moveTo(frame) {
    for (const canvas of this.charts) {
      const line = canvas.parentElement.querySelector(".playhead");
      line.style.left = `${((frame + 0.5) / this.data.numFrames) * 100}%`;
      const value = this.data.comparison.objects[Number(canvas.dataset.object)].region[frame];
      const text = value === null || value === undefined ? "absent" : `J ${value.toFixed(2)}`;
      canvas.closest(".chart-row").querySelector(".now").textContent = text;
    }
  }

  #drawOne(canvas) {
    const { region } = this.data.comparison.objects[Number(canvas.dataset.object)];
    const width = canvas.parentElement.clientWidth;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, width * scale);
    canvas.height = CHART_HEIGHT * scale;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    context.fillStyle = style.getPropertyValue("--track");
    context.fillRect(0, 0, width, CHART_HEIGHT);
    const edgeOf = (frame) => Math.round((frame * width * scale) / region.length) / scale; // without seams
    const bins = Math.min(region.length, Math.ceil(width));
    for (let bin = 0; bin < bins; bin++) {
      const first = Math.floor((bin * region.length) / bins);
      const last = Math.max(first + 1, Math.floor(((bin + 1) * region.length) / bins));
      const known = region.slice(first, last).filter((value) => value !== null);
      if (!known.length) continue;
      const value = Math.min(...known); // the worst frame of the bin stays visible
      context.fillStyle = style.getPropertyValue(value < 0.5 ? "--bad" : "--accent");
      const top = Math.min(CHART_HEIGHT - 2, (1 - value) * (CHART_HEIGHT - 2));
      const left = edgeOf(first);
      const extent = Math.max(1 / scale, edgeOf(last) - left);
      context.globalAlpha = 0.25;
      context.fillRect(left, top, extent, CHART_HEIGHT - top);
      context.globalAlpha = 1;
      context.fillRect(left, top, extent, 2);
    }
    context.strokeStyle = style.getPropertyValue("--strong-line");
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(0, CHART_HEIGHT / 2 + 0.5);
    context.lineTo(width, CHART_HEIGHT / 2 + 0.5);
    context.stroke();
  }
}
