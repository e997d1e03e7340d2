// One camera's live picture: access units over a WebSocket, decoded with WebCodecs, released to the decoder only when
// the boxes that belong to them are known. Compressed units wait, not pictures: a second of waiting costs kilobytes.

import { openSocket } from "./api.js";
import { codecString } from "./bitstream.js";

const WINDOW = 3000; // ms over which arrivals and waits are watched
export const LONGEST_HOLD = 4000; // ms; boxes that are later than this are not waited for
const ANALYSIS_SILENT = 2500; // ms without any boxes: nobody analyses, so nothing is waited for
const MOST_HELD = 400; // units; more than the longest hold can gather
const REORDERED = 6; // units; more than B-frames reorder
const RETRY = 1500;
const text = new TextDecoder();

export const canDecode = "VideoDecoder" in globalThis;

/** The largest value of the last while: of this window and the one before. */
class Recent {
  constructor() {
    this.before = this.now = -Infinity;
    this.since = 0;
  }

  add(value, at) {
    if (at - this.since > WINDOW) {
      this.before = at - this.since > 2 * WINDOW ? -Infinity : this.now;
      this.now = -Infinity;
      this.since = at;
    }
    this.now = Math.max(this.now, value);
  }

  get max() {
    return Math.max(this.before, this.now);
  }
}

/** When a unit is due: its capture time, plus the shortest way that units take to here, plus the longest recent wait
 *  for boxes. So pictures follow each other as they were taken, however unevenly boxes come. */
class Pace {
  constructor() {
    this.earliness = new Recent();
    this.waits = new Recent();
  }

  arrived(unit) {
    this.earliness.add(unit.captured - unit.arrived, unit.arrived);
  }

  ready(unit, now) {
    this.waits.add(Math.min(LONGEST_HOLD, now - unit.arrived), now);
  }

  due(unit) {
    return unit.captured - this.earliness.max + Math.max(0, this.waits.max);
  }
}

export class Player {
  /** `boxes.knows(key)`: whether boxes of this capture time or a later one have come; `onPicture(frame, key)` takes
   *  over the VideoFrame; `onState("live" | "lost" | "unsupported" | "waiting", why)`. */
  constructor(camera, boxes, { onPicture, onState }) {
    this.camera = camera;
    this.boxes = boxes;
    this.onPicture = onPicture;
    this.onState = onState;
    this.held = [];
    this.pace = new Pace();
    this.keys = new Map();
    this.needKeyframe = true;
    this.codec = "";
    this.stopped = false;
    this.connect();
  }

  connect() {
    const socket = (this.socket = openSocket(`/ws/video/${encodeURIComponent(this.camera)}`));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") return this.onState("waiting", "no picture comes");
      this.receive(new Uint8Array(data));
    };
    socket.onclose = () => {
      if (this.stopped) return;
      this.drop();
      this.onState("lost", "connection lost");
      this.retry = setTimeout(() => this.connect(), RETRY);
    };
  }

  receive(bytes) {
    const end = bytes.indexOf(10);
    const about = JSON.parse(text.decode(bytes.subarray(0, end)));
    const nanoseconds = BigInt(about.captured_ns);
    const unit = {
      // numbers in the boxes' JSON are rounded to doubles: the same rounding makes the same key
      key: Number(nanoseconds),
      timestamp: Number(nanoseconds / 1000n),
      captured: Number(nanoseconds / 1000n) / 1000,
      keyframe: about.keyframe,
      codec: about.codec,
      data: bytes.subarray(end + 1),
      arrived: performance.now(),
      ready: false,
    };
    this.pace.arrived(unit);
    this.held.push(unit);
    if (this.held.length > MOST_HELD) this.skipToLastKeyframe();
    this.release();
  }

  skipToLastKeyframe() {
    const last = this.held.findLastIndex((unit) => unit.keyframe);
    this.held.splice(0, Math.max(last, 0));
    if (last <= 0) this.held = [];
    this.needKeyframe = true;
  }

  /** Called for each arrival of units or boxes, and by the page's clock. */
  release(now = performance.now()) {
    const hopeless = this.analysisIsAway(now);
    for (let index = 0; index < this.held.length; index++) {
      const unit = this.held[index];
      if (unit.ready) continue;
      const first = this.firstShown(index);
      if (!hopeless && !this.boxes.knows(first.key) && now - unit.arrived < LONGEST_HOLD) break;
      unit.ready = true;
      this.pace.ready(first, now);
    }
    while (this.held[0]?.ready && this.pace.due(this.firstShown(0)) <= now) this.decode(this.held.shift());
  }

  /** Units come in decoding order: with B-frames, what is shown first of those from here on may come later. */
  firstShown(index) {
    let first = this.held[index];
    for (const unit of this.held.slice(index + 1, index + REORDERED)) if (unit.captured < first.captured) first = unit;
    return first;
  }

  /** Nobody analyses, or so far behind that no picture can wait for it. */
  analysisIsAway(now) {
    if (now - this.boxes.heard > ANALYSIS_SILENT) return true;
    const newest = this.held.at(-1);
    return newest !== undefined && newest.key - this.boxes.latest.captured_ns > LONGEST_HOLD * 1e6;
  }

  decode(unit) {
    if (this.needKeyframe && !unit.keyframe) return;
    if (unit.keyframe && !this.prepare(unit)) return;
    if (this.decoder?.state !== "configured") return;
    this.needKeyframe = false;
    this.keys.set(unit.timestamp, unit.key);
    try {
      this.decoder.decode(
        new EncodedVideoChunk({ type: unit.keyframe ? "key" : "delta", timestamp: unit.timestamp, data: unit.data }),
      );
    } catch {
      this.needKeyframe = true;
    }
  }

  /** A decoder for this keyframe's parameter sets. */
  prepare(unit) {
    const codec = codecString(unit.codec, unit.data);
    if (!codec) return false;
    if (codec === this.codec && this.decoder?.state === "configured") return true;
    if (this.unsupported === codec) return false;
    this.closeDecoder();
    this.codec = codec;
    this.decoder = new VideoDecoder({
      output: (frame) => {
        const key = this.keys.get(frame.timestamp);
        this.keys.delete(frame.timestamp);
        if (this.keys.size > 1000) this.keys.clear();
        this.onState("live");
        this.onPicture(frame, key);
      },
      error: () => {
        this.needKeyframe = true;
        this.checkSupport(codec, unit.codec);
      },
    });
    try {
      this.decoder.configure({ codec, optimizeForLatency: true });
    } catch {
      return false;
    }
    return true;
  }

  /** After an error: damage is over at the next keyframe, a codec that is not there never comes. */
  async checkSupport(codec, family) {
    const { supported } = await VideoDecoder.isConfigSupported({ codec }).catch(() => ({ supported: false }));
    if (supported) return;
    this.unsupported = codec;
    const name = family === "hevc" ? "H.265" : "H.264";
    this.onState("unsupported", `This browser cannot decode ${name} (${codec}); boxes are shown without the picture.`);
  }

  closeDecoder() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.codec = "";
    this.keys.clear();
  }

  drop() {
    this.held = [];
    this.needKeyframe = true;
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.retry);
    this.socket.close();
    this.drop();
    this.closeDecoder();
  }
}
