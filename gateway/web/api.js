// Talks to the gateway: one place for the token and for addresses.

const TOKEN = "rewatch-token";
let asking = null;

export class Problem extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function authorized(headers = {}) {
  return token() ? { ...headers, authorization: `Bearer ${token()}` } : headers;
}

/** The answer's JSON. Throws Problem with the gateway's own words. */
export async function fetchJson(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: authorized(options.headers), cache: "no-store" });
  if (answer.status === 401) {
    await askToken();
    return fetchJson(path, options);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, describe(body.detail) || `${answer.status} ${answer.statusText}`);
  return body;
}

/** FastAPI says `detail` as a text, or as a list of fields at fault. */
export function describe(detail) {
  if (Array.isArray(detail)) return detail.map((one) => `${one.loc?.slice(1).join(".")}: ${one.msg}`).join("; ");
  return detail ?? "";
}

export function openSocket(path, parameters = {}) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, value);
  // a subprotocol, not the address: addresses end up in logs
  return token() ? new WebSocket(url, ["bearer", encoded(token())]) : new WebSocket(url);
}

/** A subprotocol may hold few characters: base64url of the token's UTF-8. */
function encoded(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return `b64.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

export function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.querySelector("form").addEventListener(
      "submit",
      () => {
        sessionStorage.setItem(TOKEN, document.getElementById("token-value").value);
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}
