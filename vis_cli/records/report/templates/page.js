/* The page of one result: connects the player, the masks, the timeline and the table. */

const MAX_TAGS = 24; // names above the masks
const MAX_LISTED = 10; // instances next to the video

(() => {
  const data = readJson("data");
  const { instances } = data;
  const canvas = byId("masks");
  const painter = new Painter(canvas, instances);
  const reader = new MaskReader(document.querySelectorAll("script[data-first]"), data.partFrames);
  const state = { selected: null, opacity: 0.5, masksOn: true };
  let player = null;
  let table = null;
  let timeline = null;
  let charts = null;

  const actions = {
    seek: (frame) => player.seek(frame),
    select: (index) => select(index),
    changed: () => {
      if (!table || !timeline) return; // the table reports its first filter before it is assigned
      if (state.selected !== null && !table.isListed[state.selected]) select(null);
      timeline.show(table.listed());
      paint();
    },
  };

  function paint() {
    const frame = player.frame;
    const masks = data.numFrames ? reader.at(frame) : new Map();
    const isShown = (index) => state.masksOn && table.isShown(index);
    const truth = byId("show-truth")?.checked ? data.comparison.objects.map((_, index) => masks.get(instances.length + index)) : [];
    painter.paint(masks, isShown, {
      selected: state.selected,
      opacity: state.opacity,
      truth: truth.filter((counts) => counts !== undefined),
    });
    canvas.dataset.frame = frame;
    showTags();
    const visible = [...masks.keys()].filter((index) => index < instances.length && table.isShown(index));
    listVisible(visible);
    describe(frame, visible.map((index) => instances[index]));
    updateDetails(masks);
  }

  /** List the visible instances next to the video. The list changes only with its content, so that it keeps the focus. */
  let listed = null;
  function listVisible(visible) {
    const key = visible.slice(0, MAX_LISTED).join();
    const list = byId("visible");
    if (!list || key === listed) return;
    listed = key;
    const rows = visible.slice(0, MAX_LISTED).map((index) => {
      const { id, category, color } = instances[index];
      const swatch = create("span", { className: "swatch" });
      swatch.style.background = `rgb(${color})`;
      const button = create("button", { type: "button", className: "pick" }, swatch, ` ${id} `, create("bdi", { textContent: category }));
      button.addEventListener("click", () => select(index));
      return create("li", {}, button);
    });
    const more = visible.length - rows.length;
    if (more > 0) rows.push(create("li", { className: "quiet", textContent: `and ${more} more` }));
    if (!rows.length) rows.push(create("li", { className: "quiet", textContent: "no instances" }));
    list.replaceChildren(...rows);
  }

  /** Name the visible instances above their masks. */
  function showTags() {
    const shown = byId("show-tags").checked ? [...painter.tops].slice(0, MAX_TAGS) : [];
    byId("tags").replaceChildren(...shown.map(([index, [x, y]]) => {
      const { id, category, color } = instances[index];
      const tag = create("span", { className: "tag" }, `${id} `, create("bdi", { textContent: category }));
      tag.style.borderLeftColor = `rgb(${color})`;
      tag.style.left = `${(x / canvas.width) * 100}%`;
      tag.style.top = `${(y / canvas.height) * 100}%`;
      tag.classList.toggle("below", (y / canvas.height) * canvas.clientHeight < 28);
      tag.classList.toggle("at-left", x < canvas.width * 0.12);
      tag.classList.toggle("at-right", x > canvas.width * 0.88);
      return tag;
    }));
  }

  /** Describe the frame for the canvas, and to a screen reader after the user pauses. */
  let announcement = 0;
  function describe(frame, visible) {
    const names = visible.slice(0, 10).map((instance) => `${instance.id} ${instance.category}`).join(", ");
    const more = visible.length > 10 ? ` and ${visible.length - 10} more` : "";
    const text = `Frame ${frame}: ${visible.length ? `instances ${names}${more}` : "no instances"}`;
    canvas.setAttribute("aria-label", text);
    clearTimeout(announcement);
    if (!player.isPlaying) announcement = setTimeout(() => (byId("announcer").textContent = text), 600);
  }

  function showFrame(frame) {
    const scrubber = byId("scrubber");
    scrubber.value = frame;
    const time = data.times ? formatTime(data.times[frame]) : "";
    scrubber.setAttribute("aria-valuetext", `Frame ${frame}${time ? `, ${time}` : ""}`);
    if (document.activeElement !== byId("frame")) byId("frame").value = frame;
    byId("time").textContent = time;
    timeline.moveTo(frame);
    charts?.moveTo(frame);
    paint();
  }

  function showState() {
    document.body.classList.toggle("playing", player.isPlaying);
    byId("play").setAttribute("aria-label", player.isPlaying ? "Pause" : "Play");
    if (player.failed) {
      const notice = byId("notice");
      notice.hidden = false;
      notice.textContent =
        player.failed === "file"
          ? `The video ${data.media.file} is missing next to this page. The masks are shown without it.`
          : "This browser cannot play H.264 video. The masks are shown without it.";
    }
    byId("player").classList.toggle("no-video", !player.isReady && (!data.media || player.failed !== null));
  }

  function select(index) {
    state.selected = index;
    table.select(index);
    timeline.select(index);
    showDetails(index);
    paint();
  }

  function frameButton(frame, label) {
    const button = create("button", { type: "button", className: "link", textContent: label ?? formatCount(frame) });
    button.addEventListener("click", () => player.seek(frame));
    return button;
  }

  function showDetails(index) {
    byId("no-selection").hidden = index !== null;
    const panel = byId("selection");
    panel.hidden = index === null;
    if (index === null) return;
    const instance = instances[index];
    const thumbnail = document.querySelector(`#instances tr[data-index="${index}"] img`);
    const swatch = create("span", { className: "swatch" });
    swatch.style.background = `rgb(${instance.color})`;
    const title = create("h3", {}, swatch, `${instance.id} `, create("bdi", { textContent: instance.category }));
    const facts = create("dl", { className: "details" });
    const add = (term, ...content) => facts.append(create("dt", { textContent: term }), create("dd", {}, ...content));
    add("Score", instance.score.toFixed(3), instance.confident ? "" : " (less likely)");
    add("Key frame", frameButton(instance.keyFrame));
    if (instance.first === null) add("Visible", "in no frame");
    else add("Visible", frameButton(instance.first), " to ", frameButton(instance.last), `, ${formatCount(instance.visible)} frames`);
    if (instance.gaps.length) {
      const shown = instance.gaps.slice(0, 8).flatMap(([first, last], gap) => [
        gap ? ", " : "", frameButton(first, first === last ? formatCount(first) : `${formatCount(first)}–${formatCount(last)}`),
      ]);
      if (instance.gaps.length > 8) shown.push(` and ${instance.gaps.length - 8} more`);
      add("Gaps", ...shown);
    }
    add("Area here", create("span", { id: "area-here" }));
    if (instance.kind) add("Comparison", instance.kind);
    const bars = instance.scores.length > 1 ? [scoreBars(instance)] : [];
    panel.replaceChildren(...(thumbnail ? [thumbnail.cloneNode()] : []), create("div", {}, title, facts, ...bars));
  }

  function scoreBars(instance) {
    const list = create("ul", { className: "scores" });
    list.setAttribute("aria-label", "Scores of categories");
    for (const [name, score] of instance.scores) {
      const bar = create("span", { className: "bar" });
      bar.style.setProperty("--value", score);
      list.append(create("li", {}, create("bdi", { textContent: name }), bar, create("span", { textContent: score.toFixed(2) })));
    }
    return list;
  }

  function updateDetails(masks) {
    const area = byId("area-here");
    if (!area) return;
    const counts = masks.get(state.selected);
    area.textContent = counts === undefined ? "absent" : `${formatCount(areaOf(counts))} pixels`;
  }

  function wireControls() {
    byId("play").addEventListener("click", () => player.toggle());
    byId("previous").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    byId("scrubber").addEventListener("input", (event) => player.seek(Number(event.target.value)));
    byId("frame").addEventListener("input", (event) => {
      if (event.target.value !== "") player.seek(Number(event.target.value));
    });
    byId("frame").addEventListener("change", (event) => (event.target.value = player.frame));
    byId("speed").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
    byId("opacity").addEventListener("input", (event) => {
      state.opacity = Number(event.target.value);
      paint();
    });
    byId("show-tags").addEventListener("change", paint);
    byId("show-truth")?.addEventListener("change", paint);
    byId("help-button").addEventListener("click", () => byId("help").showModal());
    byId("help-close").addEventListener("click", () => byId("help").close());
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * canvas.width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
      const index = painter.instanceAt(x, y);
      select(index === state.selected ? null : index);
    });
  }

  function step(count) {
    player.pause();
    player.seek(player.frame + count);
  }

  function selectNext(direction) {
    const listed = table.listed();
    if (!listed.length) return;
    const position = listed.indexOf(state.selected);
    const start = position < 0 && direction < 0 ? 0 : position;
    select(listed[(start + direction + listed.length) % listed.length]);
  }

  const keys = {
    " ": () => player.toggle(),
    ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
    Home: () => player.seek(0),
    End: () => player.seek(data.numFrames - 1),
    ArrowUp: () => selectNext(-1),
    ArrowDown: () => selectNext(1),
    m: () => {
      state.masksOn = !state.masksOn;
      paint();
    },
    h: () => {
      if (state.selected !== null) table.toggleMask(state.selected);
    },
    k: () => {
      if (state.selected !== null) player.seek(instances[state.selected].keyFrame);
    },
    Escape: () => select(null),
    "?": () => byId("help").showModal(),
  };

  function wireKeys() {
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || !byId("use-keys").checked) return;
      if (target.matches("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
      if (target.matches("input[type=range]") && event.key.startsWith("Arrow")) return; // the slider has these keys
      if (event.key === " " && target.matches("button, input[type=checkbox], summary, a")) return;
      if (/^Arrow(Up|Down)$/.test(event.key) && !target.closest("#player, #timeline, body > .top") && target !== document.body) return;
      const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      event.preventDefault();
      action(event);
    });
  }

  player = new Player(data, byId("video"), showFrame, showState);
  table = new InstanceTable(data, actions);
  timeline = new Timeline(data, byId("labels"), byId("rows"), actions);
  if (data.comparison) charts = new ComparisonCharts(data, actions);
  timeline.show(table.listed());
  wireControls();
  wireKeys();
  wireTheme(() => {
    timeline.draw();
    charts?.draw();
  });
  showState();
  if (data.numFrames) showFrame(0);
  document.body.classList.add("ready");
})();
