/* The video and its current frame. Without a video, frames advance by a clock, so that the masks can still be played. */

class Player {
  /**
   * @param data Data of the page.
   * @param video The video element.
   * @param onFrame Called with the index of each frame that is shown.
   * @param onState Called when the video plays, pauses, loads or fails.
   */
  constructor(data, video, onFrame, onState) {
    this.video = video;
    this.numFrames = data.numFrames;
    this.times = data.media ? data.media.times : this.#clockTimes(data);
    this.onFrame = onFrame;
    this.onState = onState;
    this.frame = 0;
    this.isReady = false; // whether the video shows frames
    this.failed = null;
    this.rate = 1;
    this.clock = null; // start of playing without a video
    this.target = null; // frame that the video seeks
    if (data.media) this.#open(data.media);
  }

  get isPlaying() {
    return this.isReady ? !this.video.paused : this.clock !== null;
  }

  /** Show a frame. During fast changes, only the latest frame is decoded. */
  seek(frame) {
    if (!this.numFrames) return;
    this.frame = Math.max(0, Math.min(this.numFrames - 1, Math.round(frame)));
    if (!this.isReady) {
      if (this.clock) this.#startClock();
      this.onFrame(this.frame);
    } else if (this.target === null) this.#decode(this.frame);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (!this.numFrames) return;
    if (this.frame >= this.numFrames - 1) this.seek(0);
    if (this.isReady) {
      this.video.play().catch(() => this.onState());
      return;
    }
    this.#startClock();
    this.#tick();
    this.onState();
  }

  pause() {
    if (this.isReady) this.video.pause();
    this.clock = null;
    this.onState();
  }

  setRate(rate) {
    this.rate = rate;
    this.video.playbackRate = rate;
    if (this.clock) this.#startClock();
  }

  /** Return the frame whose time is nearest. */
  frameAt(time) {
    let low = 0;
    let high = this.numFrames - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low > 0 && time - this.times[low - 1] < this.times[low] - time ? low - 1 : low;
  }

  #clockTimes(data) {
    const fps = 25; // a result without frame rate plays at this speed
    const times = data.times || Array.from({ length: data.numFrames }, (_, frame) => frame / fps);
    return times.map((time) => time - times[0]);
  }

  #open(media) {
    const { video } = this;
    video.addEventListener("loadeddata", () => {
      this.isReady = true;
      this.clock = null;
      video.playbackRate = this.rate;
      this.onState();
      this.#decode(this.frame);
    });
    video.addEventListener("seeked", () => this.#shown());
    video.addEventListener("error", () => {
      this.isReady = false;
      this.failed = media.file === null ? "codec" : "file";
      this.target = null;
      this.onState();
      this.onFrame(this.frame);
    });
    for (const event of ["play", "pause", "ended"]) video.addEventListener(event, () => this.onState());
    video.addEventListener("pause", () => this.seek(this.frame)); // the displayed frame can be one frame further
    video.addEventListener("play", () => this.#follow());
    video.src = media.file === null ? embeddedVideo() : encodeURIComponent(media.file);
  }

  #decode(frame) {
    this.target = frame;
    const end = frame + 1 < this.numFrames ? this.times[frame + 1] : this.times[frame] + 0.02;
    this.video.currentTime = (this.times[frame] + end) / 2;
  }

  #shown() {
    const shown = this.target;
    this.target = null;
    if (shown === null) return;
    if (shown !== this.frame && !this.isPlaying) this.#decode(this.frame);
    else this.onFrame(shown);
  }

  /** Follow the frames of the playing video. */
  #follow() {
    const hasCallback = "requestVideoFrameCallback" in this.video;
    const step = (_, metadata) => {
      if (!this.isPlaying) return;
      if (this.target === null) {
        this.frame = this.frameAt(metadata ? metadata.mediaTime : this.video.currentTime);
        this.onFrame(this.frame);
      }
      next();
    };
    const next = () => {
      if (hasCallback) this.video.requestVideoFrameCallback(step);
      else requestAnimationFrame(() => step());
    };
    next();
  }

  #startClock() {
    this.clock = { start: performance.now(), time: this.times[this.frame] };
  }

  #tick() {
    if (!this.clock) return;
    const time = this.clock.time + ((performance.now() - this.clock.start) / 1000) * this.rate;
    const frame = this.frameAt(time);
    if (frame !== this.frame) {
      this.frame = frame;
      this.onFrame(frame);
    }
    if (frame >= this.numFrames - 1) this.pause();
    else requestAnimationFrame(() => this.#tick());
  }
}

/** Return a URL of the video in the page. */
function embeddedVideo() {
  const parts = [...document.querySelectorAll("script[data-video]")].map((element) => {
    const text = atob(element.textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
    element.remove(); // frees the memory of the text
    return bytes;
  });
  return URL.createObjectURL(new Blob(parts, { type: "video/mp4" }));
}
