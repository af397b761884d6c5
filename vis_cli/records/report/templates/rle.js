/* Masks in COCO's compressed run-length encoding, in the text of a page. records/report/mask_text.py writes it. */

/**
 * Return the run lengths of compressed counts, background first.
 *
 * Each character stores 5 bits of a run, lowest bits first, and a bit that is set if more characters follow. From the
 * fourth run, the number is the difference to the run two positions before. Powers instead of shifts, because a run can
 * have 35 bits.
 */
function decodeCounts(text) {
  const runs = [];
  let position = 0;
  while (position < text.length) {
    let value = 0;
    let unit = 1;
    let code;
    do {
      code = text.charCodeAt(position++) - 48;
      value += (code & 31) * unit;
      unit *= 32;
    } while (code & 32);
    if (code & 16) value -= unit;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Return the number of pixels of a mask. */
const areaOf = (counts) => decodeCounts(counts).reduce((sum, run, index) => (index % 2 ? sum + run : sum), 0);

/** Write `label` into the pixels of a mask. Runs go down the columns; `labels` has one row after the other. */
function fillMask(labels, width, height, counts, label) {
  let pixel = 0;
  decodeCounts(counts).forEach((run, number) => {
    if (number % 2) {
      let x = Math.floor(pixel / height);
      let y = pixel - x * height;
      let index = y * width + x;
      for (let left = run; left > 0; left--) {
        labels[index] = label;
        index += width;
        if (++y === height) {
          y = 0;
          index = ++x;
        }
      }
    }
    pixel += run;
  });
}

/** Reader of the masks of a page. It splits the text of the last parts only. */
class MaskReader {
  constructor(elements, partFrames) {
    this.partFrames = partFrames;
    this.elements = new Map([...elements].map((element) => [Number(element.dataset.first), element]));
    this.parts = new Map();
  }

  /** Return a map from the index of each visible sequence to its counts in a frame. */
  at(frame) {
    const first = frame - (frame % this.partFrames);
    const found = new Map();
    for (const [sequence, counts] of this.#part(first)) {
      const text = counts[frame - first];
      if (text !== "-") found.set(sequence, text);
    }
    return found;
  }

  #part(first) {
    if (!this.parts.has(first)) {
      if (this.parts.size >= 8) this.parts.delete(this.parts.keys().next().value);
      this.parts.set(first, this.#split(first));
    }
    return this.parts.get(first);
  }

  #split(first) {
    const element = this.elements.get(first);
    if (!element) return [];
    const lines = element.textContent.trim().replaceAll("*", "<").split("\n");
    return lines.map((line) => {
      const [sequence, ...counts] = line.split(" ");
      return [Number(sequence), counts];
    });
  }
}
