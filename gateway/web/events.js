// The list of events, newest first. An event that comes again with a higher revision replaces the earlier one.

import { fetchJson } from "./api.js";
import { colourOf, trackCode } from "./colours.js";
import { Feed } from "./feed.js";
import { clock, words } from "./format.js";

const SHOWN = 300;
const CATCH_UP = "-15m";

export class EventList {
  constructor(root, { onState, onEvent = () => {} }) {
    this.list = root.querySelector("ol");
    this.count = root.querySelector(".count");
    this.empty = root.querySelector(".empty-list");
    this.kind = root.querySelector("#event-kind");
    this.camera = root.querySelector("#event-camera");
    this.items = new Map();
    this.total = 0;
    this.onState = onState;
    this.onEvent = onEvent;
    for (const select of [this.kind, this.camera]) select.addEventListener("change", () => this.filter());
  }

  /** First what was, then what comes: the cursor of the last page is where the WebSocket begins. */
  async start() {
    let cursor = "";
    for (let pages = 0; pages < 50; pages++) {
      try {
        const page = await fetchJson(`/events?limit=500&${cursor ? `cursor=${cursor}&` : ""}from=${CATCH_UP}`);
        for (const event of page.events) this.add(event, false);
        cursor = page.next;
        if (!page.more) break;
      } catch (problem) {
        this.onState("lost");
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
    this.feed = new Feed("/ws/events", {
      cursor,
      onMessage: (message) => this.add(message.data, true),
      onState: this.onState,
    });
  }

  add(event, live) {
    const known = this.items.get(event.id);
    if (known && known.event.revision > event.revision) return;
    if (!known && "retracted" in event.details) return;
    const row = this.row(event);
    if (known) known.row.replaceWith(row);
    else {
      this.total += 1;
      this.insert(row, event);
      if (live) {
        row.classList.add("fresh");
        this.onEvent(event);
      }
    }
    this.items.set(event.id, { event, row });
    this.offer(this.kind, event.kind, words(event.kind));
    this.offer(this.camera, event.camera, event.camera);
    this.filter(row, event);
    if (this.items.size > SHOWN) this.forget();
    this.count.textContent = this.total.toLocaleString();
    this.empty.hidden = true;
  }

  /** By capture time, newest first; what arrives late finds its place. */
  insert(row, event) {
    row.dataset.at = event.captured_ns;
    let next = this.list.firstElementChild;
    while (next && Number(next.dataset.at) > event.captured_ns) next = next.nextElementSibling;
    this.list.insertBefore(row, next);
  }

  forget() {
    const last = this.list.lastElementChild;
    this.items.delete(last.dataset.id);
    last.remove();
  }

  offer(select, value, text) {
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(text, value));
  }

  filter(row, event) {
    const fits = (one) =>
      (!this.kind.value || one.kind === this.kind.value) && (!this.camera.value || one.camera === this.camera.value);
    if (row instanceof Element) row.hidden = !fits(event);
    else for (const item of this.items.values()) item.row.hidden = !fits(item.event);
  }

  row(event) {
    const row = document.createElement("li");
    row.dataset.id = event.id;
    row.dataset.kind = event.kind;
    row.dataset.at = event.captured_ns;
    // a replay has found that it never happened
    row.classList.toggle("retracted", "retracted" in event.details);
    const details = row.appendChild(document.createElement("details"));
    const summary = details.appendChild(document.createElement("summary"));
    summary.append(
      part("span", "what", words(event.kind)),
      part("time", "", clock(event.captured_ns)),
      part("span", "where", [event.camera, event.rule].filter(Boolean).join(" · ")),
    );
    if (event.label) {
      // a canvas pattern would need inline styles, which the page's security policy forbids: an SVG attribute does not
      summary.append(chip(event.label, event.track));
    }
    details.addEventListener("toggle", () => details.open && !details.querySelector("dl") && details.append(evidence(event)));
    return row;
  }
}

function part(name, kind, text) {
  const element = document.createElement(name);
  element.className = kind;
  element.textContent = text;
  return element;
}

function chip(label, track) {
  const holder = part("span", "chip", "");
  holder.innerHTML = '<svg width="8" height="8" viewBox="0 0 8 8" aria-hidden="true"><circle cx="4" cy="4" r="4"/></svg>';
  holder.querySelector("circle").setAttribute("fill", colourOf(label));
  holder.append(` ${label.replaceAll("_", " ")} `, part("code", "", trackCode(track)));
  return holder;
}

/** Where the event comes from: enough to derive it again from the log. */
function evidence(event) {
  const { provenance: from } = event;
  const list = document.createElement("dl");
  const rows = {
    id: event.id,
    ...Object.fromEntries(Object.entries(event.details).map(([name, value]) => [words(name), value])),
    log: `${from.topic}/${from.partition}, offsets ${from.first_offset}–${from.last_offset}, keyframe ${from.keyframe_offset}`,
    model: `${from.model} version ${from.model_version}`,
    configuration: from.config,
    revision: event.revision,
  };
  for (const [name, value] of Object.entries(rows)) {
    list.append(part("dt", "", name), part("dd", "", typeof value === "number" ? Number(value.toFixed?.(3) ?? value) : value));
  }
  return list;
}
