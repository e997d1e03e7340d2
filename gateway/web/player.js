// One camera's live picture: access units over a WebSocket, decoded with WebCodecs, released to the decoder only when
// the boxes that belong to them are known. Compressed units wait, not pictures: a second of waiting costs kilobytes.

import { openSocket } from "./api.js";
import { codecString } from "./bitstream.js";

const LONGEST_HOLD = 2000; // ms; then the picture is shown without boxes
const ANALYSIS_SILENT = 2500; // ms without any boxes: nobody analyses, so nothing is waited for
const MOST_HELD = 400; // units; more than the longest hold can gather
const RETRY = 1500;
const text = new TextDecoder();

export const canDecode = "VideoDecoder" in globalThis;

export class Player {
  /** `boxes.knows(key)`: whether boxes of this capture time or a later one have come; `onPicture(frame, key)` takes
   *  over the VideoFrame; `onState("live" | "lost" | "unsupported" | "waiting", why)`. */
  constructor(camera, boxes, { onPicture, onState }) {
    this.camera = camera;
    this.boxes = boxes;
    this.onPicture = onPicture;
    this.onState = onState;
    this.held = [];
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
    this.held.push({
      // numbers in the boxes' JSON are rounded to doubles: the same rounding makes the same key
      key: Number(nanoseconds),
      timestamp: Number(nanoseconds / 1000n),
      keyframe: about.keyframe,
      codec: about.codec,
      data: bytes.subarray(end + 1),
      arrived: performance.now(),
    });
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
    const silent = now - this.boxes.heard > ANALYSIS_SILENT;
    while (this.held.length) {
      const unit = this.held[0];
      if (!silent && !this.boxes.knows(unit.key) && now - unit.arrived < LONGEST_HOLD) return;
      this.held.shift();
      this.decode(unit);
    }
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
      error: (error) => {
        this.needKeyframe = true;
        if (error.name === "NotSupportedError") {
          this.unsupported = codec;
          const name = unit.codec === "hevc" ? "H.265" : "H.264";
          this.onState("unsupported", `This browser cannot decode ${name} (${codec}); boxes are shown without the picture.`);
        }
      },
    });
    try {
      this.decoder.configure({ codec, optimizeForLatency: true });
    } catch {
      return false;
    }
    return true;
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
