// An app's own log, from its node.

// With the version that this file was asked for: of another one it may not know the ways.
const own = new URL(import.meta.url);
const { showLogs } = await import(new URL(`log_view.js${own.search}`, own));

// A log that ends sooner was read to its end: nothing was lost.
const STEADY_MS = 10000;
const STOPPED_MS = 60000;
// What a log that is opened again holds already comes within this.
const HOLD_MS = 500;

/** What an error's page says. */
function reasonOf(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(".lead")?.textContent ?? "";
}

/** An app's own log: lines of text that go on, until the app ends. */
class AppLog {
  constructor(view, root) {
    this.view = view;
    this.url = root.dataset.text;
    this.failures = 0;
    this.isFirst = true;
  }

  async open() {
    clearTimeout(this.timer);
    if (this.stop) return;
    this.stop = new AbortController();
    const { signal } = this.stop;
    let openedAt = null;
    let state = "lost";
    let why = "";
    try {
      const answer = await fetch(this.url, { signal });
      if (answer.redirected) return this.view.state("signedOut");
      if (answer.status === 404) return this.view.state("missing");
      if (!answer.ok) {
        why = reasonOf(await answer.text());
        throw new Error(answer.status);
      }
      openedAt = Date.now();
      await this.read(answer.body);
      // The engine ends the log of an app that does not run as soon as it is read.
      if (Date.now() - openedAt < STEADY_MS) state = "stopped";
    } catch {
      // Opened again below, like a log that ended.
    }
    if (signal.aborted) return;
    this.stop = null;
    const wasSteady = openedAt !== null && Date.now() - openedAt >= STEADY_MS;
    this.failures = wasSteady ? 0 : this.failures + 1;
    this.view.state(state, why);
    const most = state === "stopped" ? STOPPED_MS : 15000;
    this.timer = setTimeout(() => this.open(), Math.min(most, 1000 * 2 ** this.failures));
  }

  /** Show a log that begins anew: what is shown stays until it is there, and for good if it says the same. */
  async read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let count = 0;
    let fresh = [];
    let rest = "";
    let isHeld = true;
    let isBegun = false;
    const show = () => {
      if (!fresh.length) return;
      if (!isBegun && this.view.shows(fresh)) count = fresh.length;
      else {
        if (!isBegun) this.view.clear();
        this.view.append(fresh.map((text) => ({ n: count++, text })));
      }
      isBegun = true;
      fresh = [];
    };
    const release = () => {
      isHeld = false;
      this.view.state("live");
      show();
    };
    const timer = setTimeout(release, this.isFirst ? 0 : HOLD_MS);
    this.isFirst = false;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const parts = (rest + value).split("\n");
        rest = parts.pop();
        fresh.push(...parts);
        if (!isHeld) show();
      }
    } finally {
      clearTimeout(timer);
    }
    if (rest) fresh.push(rest);
    show();
  }

  close() {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = null;
  }
}

showLogs(AppLog);
