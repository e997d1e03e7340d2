// A WebSocket of JSON messages that comes back by itself and goes on where it stopped.

import { openSocket } from "./api.js";

const FIRST_WAIT = 400;
const LONGEST_WAIT = 5000;
const SILENCE = 15000; // three missed heartbeats

export class Feed {
  /** `onMessage(message)` for everything that carries data; `onState("live" | "lost")`. */
  constructor(path, { cursor = "", onMessage, onState = () => {} }) {
    this.path = path;
    this.cursor = cursor;
    this.onMessage = onMessage;
    this.onState = onState;
    this.wait = FIRST_WAIT;
    this.stopped = false;
    this.connect();
    this.watchdog = setInterval(() => this.checkSilence(), 2000);
  }

  connect() {
    const socket = (this.socket = openSocket(this.path, { cursor: this.cursor }));
    this.heard = performance.now();
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      const message = JSON.parse(data);
      if (message.type === "error") {
        // a cursor of another log: go on from now
        this.cursor = "";
        return;
      }
      if (message.cursor) this.cursor = message.cursor;
      if (message.type === "hello") {
        this.wait = FIRST_WAIT;
        this.onState("live");
      } else if (message.data) {
        this.onMessage(message);
      }
    };
    socket.onclose = () => {
      if (this.stopped || socket !== this.socket) return;
      this.onState("lost");
      setTimeout(() => !this.stopped && this.connect(), this.wait * (0.8 + 0.4 * Math.random()));
      this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
    };
  }

  checkSilence() {
    if (this.socket.readyState === WebSocket.OPEN && performance.now() - this.heard > SILENCE) this.socket.close();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.watchdog);
    this.socket.close();
  }
}
