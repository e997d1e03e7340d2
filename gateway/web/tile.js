// One camera on the wall.

import { Boxes } from "./boxes.js";
import { ago, milliseconds, seconds } from "./format.js";
import { drawBoxes, drawRules } from "./overlay.js";
import { canDecode, LONGEST_HOLD, Player } from "./player.js";

const MOST_PIXELS = 1600; // width of the canvas: more costs more than it shows
const NO_DECODER = globalThis.isSecureContext
  ? "This browser has no WebCodecs; boxes are shown without the picture."
  : "Browsers decode video only in a secure context: open this page over https or on 127.0.0.1. Boxes are shown without the picture.";

export class Tile {
  constructor(template, info, { onEnlarge }) {
    this.root = template.content.firstElementChild.cloneNode(true);
    this.root.dataset.camera = info.id;
    this.canvas = this.root.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.note = this.root.querySelector(".note");
    this.pill = this.root.querySelector(".pill");
    this.signals = this.root.querySelector(".signals");
    this.facts = Object.fromEntries([...this.root.querySelectorAll("[data-fact]")].map((dd) => [dd.dataset.fact, dd]));
    this.root.querySelector("h3").textContent = info.id;
    this.enlarge = this.root.querySelector(".enlarge");
    this.enlarge.setAttribute("aria-label", `Enlarge ${info.id}`);
    this.enlarge.addEventListener("click", () => onEnlarge(this));
    this.boxes = new Boxes();
    this.picture = null; // the VideoFrame to be drawn next
    this.key = null;
    this.dirty = true;
    this.playing = { state: "waiting", why: "" };
    this.shown = 0;
    this.update(info);
  }

  /** Starts or stops the live picture: only what is seen is fetched and decoded. */
  show(visible) {
    if (visible && !this.player && canDecode) {
      this.player = new Player(this.info.id, this.boxes, {
        onPicture: (frame, key) => this.take(frame, key),
        onState: (state, why = "") => this.setPlaying(state, why),
      });
    } else if (!visible && this.player) {
      this.player.stop();
      this.player = null;
    }
    if (!canDecode) this.setPlaying("unsupported", NO_DECODER);
  }

  setPlaying(state, why) {
    if (state === this.playing.state && why === this.playing.why) return;
    this.playing = { state, why };
    this.showNote();
  }

  take(frame, key) {
    this.picture?.close();
    this.picture = frame;
    this.key = key;
    this.dirty = true;
  }

  addBoxes(frame) {
    this.boxes.add(frame);
    if (this.player) this.player.release();
    if (this.playing.state === "unsupported") this.dirty = true;
  }

  update(info) {
    const before = this.info?.state;
    this.info = info;
    this.root.dataset.state = info.state;
    if (before !== info.state) this.pill.textContent = info.state;
    this.facts.fps.textContent = info.fps ? info.fps.toFixed(1) : "–";
    this.facts.p50.textContent = milliseconds(info.latency_ms?.p50);
    this.facts.p95.textContent = milliseconds(info.latency_ms?.p95);
    this.facts.lag.textContent = info.lag_seconds == null ? "–" : seconds(info.lag_seconds);
    this.facts.lag.classList.toggle("bad", info.lag_seconds > 5);
    this.facts.p95.classList.toggle("bad", info.latency_ms?.p95 > 1000);
    this.facts.picture.textContent = info.width ? [`${info.width}×${info.height}`, info.codec].filter(Boolean).join(" ") : "–";
    this.root.title = info.source ?? "";
    this.showNote();
  }

  showNote() {
    let text = "";
    const { info } = this;
    if (info.state === "dark") {
      const gap = info.last_gap ? ` Last gap: ${info.last_gap.reason || "unknown reason"}.` : "";
      text = `No picture for ${ago(info.last_frame_ns)}.${gap}`;
    } else if (info.state === "unknown") {
      text = "Waiting for the first picture.";
    } else if (info.state === "ended") {
      text = info.error ? `Ended: ${info.error}` : "The source has ended.";
    } else if (["unsupported", "lost"].includes(this.playing.state)) {
      text = this.playing.why;
    } else if (this.isBehind()) {
      text = `The analysis is ${seconds(info.lag_seconds)} behind: the picture is shown without boxes.`;
    }
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** So far that no picture waits for its boxes. */
  isBehind() {
    return this.info.state === "online" && this.info.lag_seconds * 1000 > LONGEST_HOLD;
  }

  showSignals(signals) {
    const text = JSON.stringify(signals ?? {});
    if (text === this.signalText) return;
    this.signalText = text;
    this.signals.replaceChildren(
      ...Object.entries(signals ?? {}).map(([name, state]) => {
        const item = document.createElement("li");
        item.dataset.signal = state;
        item.textContent = name;
        item.setAttribute("aria-label", `${name}: ${state}`);
        item.title = `${name}: ${state}`;
        return item;
      }),
    );
  }

  /** Once per refresh of the screen. */
  draw(now) {
    this.player?.release(now);
    if (!this.dirty) return;
    this.dirty = false;
    const { width, height } = this.size();
    this.fit(width, height);
    if (this.picture) {
      this.context.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
      this.picture.close();
      this.picture = null;
    } else if (this.playing.state === "unsupported") {
      this.context.fillStyle = "#10181f";
      this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
      this.key = this.boxes.latest?.captured_ns ?? null;
    } else {
      return;
    }
    drawRules(this.context, this.info.rules);
    const found = this.key === null ? null : this.boxes.at(this.key);
    if (found) drawBoxes(this.context, found, found.frame.width, found.frame.height);
    // the lights as they are in this picture, not as they were last heard of
    if (found || this.isBehind()) this.showSignals(found?.frame.signals);
    this.shown += 1;
    Object.assign(this.canvas.dataset, { shown: this.shown, captured: this.key ?? "", exact: found?.exact ?? "" });
  }

  size() {
    if (this.picture) return { width: this.picture.displayWidth, height: this.picture.displayHeight };
    return { width: this.info.width || 16, height: this.info.height || 9 };
  }

  /** The canvas in the screen's pixels, so that lines and letters are sharp. */
  fit(width, height) {
    const wanted = Math.min(MOST_PIXELS, Math.round((this.canvas.clientWidth || 480) * devicePixelRatio));
    const high = Math.round((wanted * height) / width);
    if (Math.abs(this.canvas.width - wanted) > 1 || Math.abs(this.canvas.height - high) > 1) {
      this.canvas.width = wanted;
      this.canvas.height = high;
    }
  }

  remove() {
    this.show(false);
    this.picture?.close();
    this.root.remove();
  }
}

