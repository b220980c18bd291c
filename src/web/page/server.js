// Asking the server, and what it refuses.

// A problem as the server tells it (RFC 9457): what is wrong, and the one next step.
export class Problem extends Error {
  constructor({ code, detail, next, status, found, retryAfter }) {
    super(detail);
    Object.assign(this, { code, detail, next, found, status: status ?? 0, retryAfter: retryAfter ?? 0 });
  }

  // Not known to be the server's own word: someone between us and it may have answered, who knows nothing of uploads.
  get foreign() {
    return this.code === `http_${this.status}`;
  }

  // Whether it goes away by itself: a line that is cut, a server that starts again or has no room for now.
  get passes() {
    return this.status === 0 ? this.code === "no_connection"
      : this.foreign || [401, 408, 409, 423, 425, 429].includes(this.status) || this.status >= 500;
  }
}

export function noConnection() {
  const next = "The page goes on by itself when the line is back.";
  return new Problem({ code: "no_connection", detail: "No connection to the server.", next });
}

// The problem in an answer, as the server itself writes it; others write JSON, too.
export function problemOf(status, answer, retryAfter) {
  if (status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  const { code, detail, next, found } = typeof answer?.code === "string" && answer.status === status ? answer : {};
  return new Problem({
    status, next, found, code: code ?? `http_${status}`, detail: detail ?? `The server answered with status ${status}.`,
    retryAfter: Number(retryAfter) || 0,
  });
}

export async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw noConnection();
  }
  const text = await response.text().catch(() => "");
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { answer = null; }
  if (!response.ok) throw problemOf(response.status, answer, response.headers.get("retry-after"));
  return answer;
}

// Waits so many milliseconds, less when the line comes back or somebody signs in, or `wake` is called.
export function patience(ms) {
  let wake;
  const events = [[window, "online"], [document, "signed-in"]];
  const over = new Promise((resolve) => { wake = resolve; });
  const timer = setTimeout(wake, ms);
  for (const [target, name] of events) target.addEventListener(name, wake);
  over.then(() => {
    clearTimeout(timer);
    for (const [target, name] of events) target.removeEventListener(name, wake);
  });
  return { over, wake };
}
