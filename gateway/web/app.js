// Wires the page: cameras, their boxes, events, uploads.

import { AnalyzeDialog } from "./analyze.js";
import { fetchJson } from "./api.js";
import { EventList } from "./events.js";
import { Feed } from "./feed.js";
import { milliseconds, seconds } from "./format.js";
import { Tile } from "./tile.js";

const REFRESH = 2000;
const byId = (id) => document.getElementById(id);

class Wall {
  constructor() {
    this.tiles = new Map();
    this.visible = new Set();
    this.grid = byId("tiles");
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const tile = this.tiles.get(entry.target.dataset.camera);
        if (!tile) continue;
        this.visible[entry.isIntersecting ? "add" : "delete"](tile);
        tile.show(entry.isIntersecting && !document.hidden);
      }
    });
    document.addEventListener("visibilitychange", () => {
      for (const tile of this.visible) tile.show(!document.hidden);
    });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.enlarge(null));
    const draw = (now) => {
      for (const tile of this.visible) tile.draw(now);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  update(cameras) {
    const live = cameras.filter((camera) => !camera.batch);
    for (const info of live) {
      const tile = this.tiles.get(info.id);
      if (tile) tile.update(info);
      else this.add(info);
    }
    const ids = new Set(live.map((info) => info.id));
    for (const [id, tile] of this.tiles) {
      if (ids.has(id)) continue;
      this.observer.unobserve(tile.root);
      this.visible.delete(tile);
      tile.remove();
      this.tiles.delete(id);
    }
    byId("no-cameras").hidden = live.length > 0;
  }

  add(info) {
    const tile = new Tile(byId("tile-template"), info, { onEnlarge: (one) => this.enlarge(one) });
    this.tiles.set(info.id, tile);
    this.grid.append(tile.root);
    this.observer.observe(tile.root);
  }

  enlarge(wanted) {
    for (const tile of this.tiles.values()) {
      const large = tile === wanted && !tile.root.classList.contains("large");
      tile.root.classList.toggle("large", large);
      tile.enlarge.setAttribute("aria-pressed", large);
      tile.dirty = true;
      if (large) tile.root.scrollIntoView({ block: "start", behavior: "smooth" });
    }
    this.grid.classList.toggle("focused", [...this.tiles.values()].some((tile) => tile.root.classList.contains("large")));
  }

  addBoxes(frame) {
    this.tiles.get(frame.camera)?.addBoxes(frame);
  }
}

const links = { events: "connecting", detections: "connecting", cameras: "connecting" };

function setLink(name, state) {
  links[name] = state;
  const states = Object.values(links);
  const overall = states.includes("lost") ? "lost" : states.every((one) => one === "live") ? "live" : "connecting";
  const link = byId("link");
  if (link.dataset.state === overall) return;
  link.dataset.state = overall;
  link.querySelector("span").textContent = { live: "live", lost: "reconnecting", connecting: "connecting" }[overall];
}

function showFigures(cameras) {
  const live = cameras.filter((camera) => !camera.batch);
  const worst = (values) => (values.length ? Math.max(...values) : null);
  const online = live.filter((camera) => camera.state === "online");
  byId("figure-cameras").textContent = live.length ? `${online.length}/${live.length}` : "0";
  byId("figure-cameras").classList.toggle("bad", online.length < live.length);
  byId("figure-fps").textContent = live.reduce((sum, camera) => sum + camera.fps, 0).toFixed(1);
  byId("figure-latency").textContent = milliseconds(worst(live.flatMap((camera) => camera.latency_ms?.p95 ?? [])));
  const lag = worst(online.flatMap((camera) => camera.lag_seconds ?? []));
  byId("figure-lag").textContent = lag == null ? "–" : seconds(lag);
}

async function refresh(wall) {
  try {
    const { cameras } = await fetchJson("/cameras");
    wall.update(cameras);
    showFigures(cameras);
    setLink("cameras", "live");
  } catch {
    setLink("cameras", "lost");
  }
  setTimeout(() => refresh(wall), REFRESH);
}

function theme() {
  const root = document.documentElement;
  const stored = localStorage.getItem("rewatch-theme");
  if (stored) root.dataset.theme = stored;
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("rewatch-theme", root.dataset.theme);
  });
}

async function start() {
  theme();
  new AnalyzeDialog(byId("analyze"), byId("analyze-open"));
  const wall = new Wall();
  await refresh(wall);
  new Feed("/ws/detections", {
    onMessage: (message) => wall.addBoxes(message.data),
    onState: (state) => setLink("detections", state),
  });
  await new EventList(byId("events"), { onState: (state) => setLink("events", state) }).start();
}

start();
