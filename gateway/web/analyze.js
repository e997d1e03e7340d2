// The dialog that sends a file and shows what was found in it.

import { authorized, describe, fetchJson, token } from "./api.js";
import { bytes, milliseconds, words } from "./format.js";

const POLL = 700;

export class AnalyzeDialog {
  constructor(dialog, opener) {
    this.dialog = dialog;
    this.form = dialog.querySelector("form");
    this.file = dialog.querySelector("#analyze-file");
    this.model = dialog.querySelector("#analyze-model");
    this.drop = dialog.querySelector("#drop");
    this.bar = dialog.querySelector("progress");
    this.stage = dialog.querySelector("#analyze-stage");
    this.startButton = dialog.querySelector("#analyze-start");
    this.cancelButton = dialog.querySelector("#analyze-cancel");
    opener.addEventListener("click", () => {
      dialog.showModal();
      this.offerModels();
    });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    this.file.addEventListener("change", () => this.showFile());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.cancelButton.addEventListener("click", () => this.cancel());
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.drop.addEventListener(name, (event) => {
        event.preventDefault();
        this.drop.classList.toggle("over", name === "dragenter" || name === "dragover");
        if (name === "drop" && event.dataTransfer.files.length) {
          this.file.files = event.dataTransfer.files;
          this.showFile();
        }
      });
    }
  }

  async offerModels() {
    const before = this.model.value;
    const { models } = await fetchJson("/models").catch(() => ({ models: null }));
    if (!models) return;
    this.dialog.querySelector("#models").replaceChildren(...models.map((name) => new Option(name, name)));
    // What was typed while the list was on its way is the person's word.
    if (models.length && !models.includes(before) && this.model.value === before) this.model.value = models[0];
  }

  showFile() {
    const [file] = this.file.files;
    this.dialog.querySelector("#file-name").textContent = file?.name ?? "Choose a video, or drop it here";
    this.dialog.querySelector("#file-size").textContent = file ? bytes(file.size) : "";
  }

  show(name, visible) {
    this.dialog.querySelector(`#analyze-${name}`).hidden = !visible;
  }

  setStage(text, share) {
    this.stage.textContent = text;
    if (share == null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  async run() {
    this.show("problem", false);
    this.show("result", false);
    this.show("progress", true);
    this.show("cancel", true);
    this.startButton.disabled = true;
    this.cancelled = false;
    try {
      this.job = (await this.upload(this.file.files[0])).job;
      this.showResult(await this.wait());
    } catch (error) {
      if (!this.cancelled) {
        this.dialog.querySelector("#analyze-problem").textContent = error.message;
        this.show("problem", true);
      }
    }
    this.job = null;
    this.show("progress", false);
    this.show("cancel", false);
    this.startButton.disabled = false;
  }

  /** XMLHttpRequest, because fetch does not tell how much has been sent. */
  upload(file) {
    return new Promise((resolve, reject) => {
      const form = new FormData();
      form.append("model", this.model.value.trim());
      form.append("async", "true");
      form.append("file", file);
      const request = (this.request = new XMLHttpRequest());
      request.open("POST", "/analyze");
      if (token()) request.setRequestHeader("authorization", authorized().authorization);
      request.responseType = "json";
      request.upload.onprogress = ({ loaded, total }) =>
        this.setStage(`Sending: ${bytes(loaded)} of ${bytes(total)}`, loaded / total);
      request.upload.onload = () => this.setStage("Waiting for a worker", null);
      request.onerror = () => reject(new Error("The connection was lost while the file was sent."));
      request.onabort = () => reject(new Error("Cancelled."));
      request.onload = () =>
        request.status < 300
          ? resolve(request.response)
          : reject(new Error(describe(request.response?.detail) || `The gateway answered ${request.status}.`));
      request.send(form);
    });
  }

  async wait() {
    for (;;) {
      const job = await fetchJson(`/jobs/${this.job}`);
      if (job.state === "done") return job.result;
      if (job.state === "failed") throw new Error(job.error);
      if (job.state === "cancelled") throw new Error("Cancelled.");
      const { published, analysed } = job.progress;
      this.setStage(
        job.state === "queued" ? "Waiting for its turn" : `Analysing: ${analysed} of ${published} frames read so far`,
        published ? analysed / published : null,
      );
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  async cancel() {
    this.cancelled = true;
    this.request?.abort();
    if (this.job) await fetchJson(`/jobs/${this.job}`, { method: "DELETE" }).catch(() => {});
  }

  showResult(result) {
    const holder = this.dialog.querySelector("#analyze-result");
    const tables = [
      table("Tracks", result.tracks),
      table("Crossings", result.counts),
      table("Frames", result.frames),
      table("Latency", Object.fromEntries(Object.entries(result.latency_ms ?? {}).map(([k, v]) => [k, milliseconds(v)]))),
    ];
    const events = document.createElement("p");
    events.textContent = `${result.events.length} events, model ${result.model.name} version ${result.model.version ?? "–"}.`;
    const save = document.createElement("a");
    save.textContent = "Save as JSON";
    save.download = "analysis.json";
    save.href = URL.createObjectURL(new Blob([JSON.stringify(result, null, 2)], { type: "application/json" }));
    const columns = document.createElement("div");
    columns.className = "columns";
    columns.append(...tables.filter(Boolean));
    const problem = document.createElement("p");
    problem.className = "problem";
    problem.textContent = result.error ? `Read only in part: ${result.error}` : "";
    problem.hidden = !result.error;
    holder.replaceChildren(problem, columns, events, save);
    this.show("result", true);
  }
}

function table(title, values) {
  const rows = Object.entries(values ?? {});
  if (!rows.length) return null;
  const element = document.createElement("table");
  element.createCaption().textContent = title;
  for (const [name, value] of rows) {
    const row = element.insertRow();
    row.insertCell().textContent = words(name);
    row.insertCell().textContent = value;
  }
  return element;
}
