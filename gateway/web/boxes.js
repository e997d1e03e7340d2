// The boxes of one camera's latest frames, by capture time.

const KEPT = 256;

export class Boxes {
  constructor() {
    this.frames = []; // ascending by captured_ns
    this.heard = -Infinity;
  }

  add(frame) {
    this.heard = performance.now();
    const at = this.frames.findLastIndex((other) => other.captured_ns <= frame.captured_ns);
    if (at >= 0 && this.frames[at].captured_ns === frame.captured_ns) {
      if (frame.revision >= this.frames[at].revision) this.frames[at] = frame;
    } else {
      this.frames.splice(at + 1, 0, frame);
    }
    if (this.frames.length > KEPT) this.frames.shift();
  }

  get latest() {
    return this.frames.at(-1) ?? null;
  }

  /** Whether the boxes of this moment have come, or it was passed over by the sampling. */
  knows(key) {
    return this.frames.length > 0 && this.frames.at(-1).captured_ns >= key;
  }

  /** What belongs to the picture taken at `key`: its own boxes (`exact`), or, where the picture was not analysed,
   *  those of the tracks that both neighbours have, in between; null when nothing is known. */
  at(key) {
    const before = this.frames.findLastIndex((frame) => frame.captured_ns <= key);
    if (before < 0) return null;
    const left = this.frames[before];
    if (left.captured_ns === key) return { frame: left, boxes: left.boxes, exact: true };
    const right = this.frames[before + 1];
    if (!right || right.captured_ns - left.captured_ns > 1e9) return null;
    const share = (key - left.captured_ns) / (right.captured_ns - left.captured_ns);
    const later = new Map(right.boxes.filter((box) => box.track).map((box) => [box.track, box]));
    const boxes = left.boxes
      .filter((box) => box.track && later.has(box.track))
      .map((box) => between(box, later.get(box.track), share));
    return { frame: left, boxes, exact: false };
  }
}

function between(a, b, share) {
  const mix = (name) => a[name] + (b[name] - a[name]) * share;
  return { ...a, x1: mix("x1"), y1: mix("y1"), x2: mix("x2"), y2: mix("y2") };
}
