/* The masks of one frame on the canvas above the video. Opacities are those of overlay videos (records/overlay.py). */

const FILL_ALPHA = 0.45;
const WEAK_ALPHA = 0.18;
const UNSELECTED = 0.35; // opacity of the other masks while an instance is selected
const OUTLINE_FRACTION = 1 / 240; // of the short side of the video

class Painter {
  /**
   * @param canvas Canvas in the size of the masks.
   * @param instances Instances of the page, in the order of the mask sequences.
   */
  constructor(canvas, instances) {
    this.canvas = canvas;
    this.width = canvas.width;
    this.height = canvas.height;
    this.instances = instances;
    this.thickness = Math.max(1, Math.round(Math.min(this.width, this.height) * OUTLINE_FRACTION));
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.image = this.context.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.labels = new Uint16Array(this.width * this.height); // 0 is background, k + 1 the topmost instance k
    this.tops = new Map(); // x and y of the uppermost pixel of each visible instance
    // Confident instances are above other instances, then by score, as in overlay videos.
    this.order = instances
      .map((_, index) => index)
      .sort((a, b) => instances[a].confident - instances[b].confident || instances[a].score - instances[b].score || b - a);
  }

  /**
   * Paint a frame.
   *
   * @param masks Counts by sequence.
   * @param isShown Function that returns whether an instance is shown.
   * @param options Index of the selected instance or null, opacity of the masks, and counts of true masks.
   */
  paint(masks, isShown, { selected, opacity, truth }) {
    this.labels.fill(0);
    for (const index of this.order) {
      if (masks.has(index) && isShown(index)) fillMask(this.labels, this.width, this.height, masks.get(index), index + 1);
    }
    this.pixels.fill(0);
    this.tops = new Map();
    const colors = this.instances.map((instance, index) => this.#colors(instance, selected, index, opacity));
    this.#color(this.labels, (label) => colors[label - 1]);
    colors.forEach(({ top }, index) => top && this.tops.set(index, top));
    if (truth.length) this.#outline(truth);
    this.context.putImageData(this.image, 0, 0);
  }

  /** Return the index of the topmost instance at a pixel, or null. */
  instanceAt(x, y) {
    const label = this.labels[y * this.width + x];
    return label ? label - 1 : null;
  }

  #colors(instance, selected, index, opacity) {
    const factor = opacity * (selected === null || selected === index ? 1 : UNSELECTED);
    const fill = Math.min(1, (instance.confident ? FILL_ALPHA : WEAK_ALPHA) * 2 * factor);
    const line = Math.min(1, 2 * factor);
    return { fill: pack(instance.color, fill), line: pack(instance.color, line), dashed: !instance.confident, top: null };
  }

  /** Color each pixel: the outline is inside of the visible part of a mask, dashed for a less likely instance. */
  #color(labels, colorsOf) {
    const { width, height, thickness, pixels } = this;
    const down = thickness * width;
    const dash = 6 * thickness;
    for (let y = 0, index = 0; y < height; y++) {
      for (let x = 0; x < width; x++, index++) {
        const label = labels[index];
        if (!label) continue;
        const colors = colorsOf(label);
        if (colors.top === null) colors.top = [x, y];
        const isInner =
          x >= thickness && x < width - thickness && y >= thickness && y < height - thickness &&
          labels[index - thickness] === label && labels[index + thickness] === label &&
          labels[index - down] === label && labels[index + down] === label;
        const isLine = !isInner && !(colors.dashed && (x + y) % (2 * dash) >= dash);
        pixels[index] = isLine ? colors.line : colors.fill;
      }
    }
  }

  /** Draw the outlines of true masks in white and black dashes. */
  #outline(truth) {
    const { width, height, thickness, pixels } = this;
    const labels = new Uint16Array(width * height);
    truth.forEach((counts, index) => fillMask(labels, width, height, counts, index + 1));
    const white = pack([255, 255, 255], 1);
    const black = pack([0, 0, 0], 1);
    const down = thickness * width;
    for (let y = 0, index = 0; y < height; y++) {
      for (let x = 0; x < width; x++, index++) {
        const label = labels[index];
        if (!label) continue;
        const isInner = // the border of the frame is not an outline
          (x < thickness || labels[index - thickness] === label) &&
          (x >= width - thickness || labels[index + thickness] === label) &&
          (y < thickness || labels[index - down] === label) &&
          (y >= height - thickness || labels[index + down] === label);
        if (!isInner) pixels[index] = (x + y) % (8 * thickness) < 4 * thickness ? white : black;
      }
    }
  }
}

/** Return a colour in the byte order of image data. A visible pixel has at least an alpha of 1. */
function pack([red, green, blue], opacity) {
  const alpha = opacity > 0 ? Math.max(1, Math.round(255 * opacity)) : 0;
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
