// One colour per class, legible on any picture and in both themes; one short code per track.

const KNOWN = {
  car: "#4cc9f0", van: "#80ed99", truck: "#f4a261", bus: "#ffd166", person: "#ff70a6", pedestrian: "#ff70a6",
  bicycle: "#c77dff", cyclist: "#c77dff", motorcycle: "#e0aaff", "two-wheeler": "#c77dff", two_wheeler: "#c77dff",
};
const OTHERS = ["#90e0ef", "#f9844a", "#b5e48c", "#f15bb5", "#fee440", "#9b9bff", "#2ec4b6", "#ffafcc"];

export const SIGNALS = { red: "#ff4d4d", amber: "#ffb020", green: "#3ddc84", off: "#6b7280" };

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return value >>> 0;
}

export function colourOf(label) {
  return KNOWN[label] ?? OTHERS[hash(label ?? "") % OTHERS.length];
}

/** Three letters or digits that stand for a track wherever it appears on the page. */
export function trackCode(track) {
  return track ? hash(track).toString(36).slice(-3).toUpperCase().padStart(3, "0") : "";
}
