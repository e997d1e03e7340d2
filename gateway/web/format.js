// Figures and times for people.

export function milliseconds(value) {
  if (value == null) return "–";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function seconds(value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

export function ago(nanoseconds) {
  return seconds(Math.max(0, Date.now() / 1000 - nanoseconds / 1e9));
}

export function clock(nanoseconds) {
  const moment = new Date(nanoseconds / 1e6);
  const two = (value) => String(value).padStart(2, "0");
  const text = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  return `${text}.${Math.floor(moment.getMilliseconds() / 100)}`;
}

export function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${(value / 1024 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
}

export function words(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
