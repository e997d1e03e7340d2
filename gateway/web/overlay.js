// Draws what is known over a picture: rules, boxes, tracks.

import { colourOf, trackCode } from "./colours.js";

const FIRM = 0.5; // untracked boxes below this score are the detector's doubts: not drawn

/** One pixel of the page's layout, in those of the canvas: letters have the same size in small and large tiles. */
function pixel(canvas) {
  return Math.max(1, canvas.width / (canvas.clientWidth || canvas.width));
}

/** `width`, `height`: of the camera's picture, in whose pixels boxes are. The canvas may have another size. */
export function drawBoxes(context, found, width, height) {
  const { canvas } = context;
  const sx = canvas.width / width;
  const sy = canvas.height / height;
  const unit = pixel(canvas);
  const places = found.boxes
    .filter((box) => box.track || box.score >= FIRM)
    .map((box) => ({ box, x: box.x1 * sx, y: box.y1 * sy, w: (box.x2 - box.x1) * sx, h: (box.y2 - box.y1) * sy }))
    .sort((a, b) => b.w * b.h - a.w * a.h);
  context.save();
  context.setLineDash(found.exact ? [] : [4 * unit, 3 * unit]);
  for (const { box, x, y, w, h } of places) {
    context.globalAlpha = box.track ? 1 : 0.55;
    context.lineWidth = (box.track ? 1.8 : 1.2) * unit;
    context.strokeStyle = colourOf(box.label);
    context.strokeRect(x, y, w, h);
  }
  // names afterwards, of large boxes first, and only where they hide no other name
  const taken = [];
  context.font = `600 ${11 * unit}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const place of places) if (place.box.track) tag(context, place, unit, taken);
  context.restore();
}

/** The class and the track's code; of a small box only the code; nothing where there is no room. */
function tag(context, { box, x, y, w }, unit, taken) {
  const height = 15 * unit;
  for (const text of [`${box.label.replaceAll("_", " ")} ${trackCode(box.track)}`, trackCode(box.track)]) {
    const width = context.measureText(text).width + 7 * unit;
    if (width > Math.max(w * 1.6, 30 * unit)) continue;
    const left = Math.min(Math.max(0, x - 0.9 * unit), context.canvas.width - width);
    const top = y - height < 0 ? y : y - height;
    if (taken.some((one) => left < one.right && left + width > one.left && top < one.bottom && top + height > one.top)) continue;
    taken.push({ left, top, right: left + width, bottom: top + height });
    context.globalAlpha = 0.92;
    context.fillStyle = colourOf(box.label);
    context.fillRect(left, top, width, height);
    context.globalAlpha = 1;
    context.fillStyle = "#0b1116";
    context.fillText(text, left + 3.5 * unit, top + height / 2 + 0.5);
    return;
  }
}

/** Lines and zones; positions are fractions of the picture. */
export function drawRules(context, rules) {
  const { width, height } = context.canvas;
  const unit = pixel(context.canvas);
  context.save();
  context.lineWidth = 1.5 * unit;
  for (const rule of rules) {
    context.strokeStyle = rule.kind === "red_light" ? "rgb(255 90 90 / .85)" : "rgb(255 255 255 / .6)";
    context.setLineDash(rule.kind === "zone" ? [] : [7 * unit, 5 * unit]);
    context.beginPath();
    const points = rule.kind === "zone" ? rule.polygon : [rule.start, rule.end];
    points.forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](x * width, y * height));
    if (rule.kind === "zone") {
      context.closePath();
      context.fillStyle = "rgb(255 255 255 / .06)";
      context.fill();
    }
    context.stroke();
  }
  context.restore();
}
