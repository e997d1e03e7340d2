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
  context.save();
  context.font = `600 ${11 * unit}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const box of found.boxes) {
    if (!box.track && box.score < FIRM) continue;
    const colour = colourOf(box.label);
    const [x, y, w, h] = [box.x1 * sx, box.y1 * sy, (box.x2 - box.x1) * sx, (box.y2 - box.y1) * sy];
    context.globalAlpha = box.track ? 1 : 0.55;
    context.setLineDash(found.exact ? [] : [4 * unit, 3 * unit]);
    context.lineWidth = (box.track ? 2 : 1.2) * unit;
    context.strokeStyle = colour;
    context.strokeRect(x, y, w, h);
    if (box.track) tag(context, `${box.label} ${trackCode(box.track)}`, x, y, unit, colour);
  }
  context.restore();
}

function tag(context, text, x, y, unit, colour) {
  const height = 16 * unit;
  const width = context.measureText(text).width + 8 * unit;
  const left = Math.min(Math.max(0, x - context.lineWidth / 2), context.canvas.width - width);
  const top = y - height < 0 ? y : y - height;
  context.globalAlpha = 0.92;
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 1;
  context.fillStyle = "#0b1116";
  context.fillText(text, left + 4 * unit, top + height / 2 + 0.5);
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
