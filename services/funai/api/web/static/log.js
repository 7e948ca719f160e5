// The viewer of logs: draws only the rows in sight, searches all, follows, and connects again by itself.

const ROW = 20;
const SPARE_ROWS = 40;
const MOST_ROWS = 200000;
const DROP_ROWS = 50000;
const POLL_MS = 2000;
const STREAM_AGAIN_MS = 20000;
const HIDDEN_MS = 30000;
// An app's log that ends sooner was read to its end: nothing was lost.
const STEADY_MS = 10000;
const STOPPED_MS = 60000;
// What a log that is opened again holds already comes within this.
const HOLD_MS = 500;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** What an error's page says. */
function reasonOf(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(".lead")?.textContent ?? "";
}

/** The rows and what is done with them. */
class View {
  constructor(root) {
    this.root = root;
    this.texts = JSON.parse(root.dataset.texts);
    this.phases = JSON.parse(root.dataset.phases);
    this.part = (name) => root.querySelector(`[data-log="${name}"]`);
    this.view = this.part("view");
    this.space = this.part("space");
    this.box = this.part("rows");
    this.entries = [];
    this.lines = 0;
    this.phase = "";
    this.query = "";
    this.found = [];
    this.at = -1;
    this.follows = true;
    this.isDrawing = false;
    this.part("plain").remove();
    this.view.hidden = false;
    this.listen();
  }

  listen() {
    this.view.addEventListener("scroll", () => {
      this.setFollows(this.isAtEnd());
      this.draw();
    }, { passive: true });
    new ResizeObserver(() => this.settle()).observe(this.view);
    this.part("follow").addEventListener("click", () => {
      this.setFollows(!this.follows);
      this.settle();
    });
    const input = this.part("query");
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.search(input.value), 120);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (this.query !== input.value.toLowerCase()) this.search(input.value);
      else this.go(event.shiftKey ? -1 : 1);
    });
    this.part("next").addEventListener("click", () => this.go(1));
    this.part("previous").addEventListener("click", () => this.go(-1));
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        input.focus();
      }
    });
  }

  isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.view;
    return scrollTop + clientHeight >= scrollHeight - 2 * ROW;
  }

  setFollows(follows) {
    this.follows = follows;
    const button = this.part("follow");
    button.querySelector("span").textContent = follows ? this.texts.pause : this.texts.resume;
    button.querySelector("[data-icon=pause]").toggleAttribute("hidden", !follows);
    button.querySelector("[data-icon=down]").toggleAttribute("hidden", follows);
  }

  clear() {
    this.entries = [];
    this.lines = 0;
    this.phase = "";
    this.search(this.query);
    this.settle();
  }

  /** Whether these lines, and no others, are the ones that are here. */
  shows(texts) {
    return texts.length === this.entries.length && texts.every((text, at) => text === this.entries[at].text);
  }

  push(entry) {
    if (this.query && entry.text.toLowerCase().includes(this.query)) this.found.push(this.entries.length);
    this.entries.push(entry);
  }

  append(lines) {
    for (const line of lines) {
      if (line.phase && line.phase !== this.phase) {
        this.phase = line.phase;
        this.push({ kind: "phase", text: this.phases[line.phase] ?? line.phase });
      }
      this.push({ kind: "", n: line.n, at: line.at, text: line.text });
      this.lines += 1;
    }
    if (this.entries.length > MOST_ROWS) {
      this.entries.splice(0, DROP_ROWS);
      this.search(this.query);
    }
    this.settle();
  }

  gap(from, to) {
    this.push({ kind: "gap", text: fill(this.texts.gap, { from: from + 1, to }) });
    this.settle();
  }

  settle() {
    this.space.style.height = `${this.entries.length * ROW}px`;
    this.part("lines").textContent = fill(this.texts.lines, { n: this.lines.toLocaleString() });
    if (this.follows) this.view.scrollTop = this.view.scrollHeight;
    this.count();
    this.draw();
  }

  search(text) {
    this.query = text.toLowerCase();
    this.found = [];
    this.at = -1;
    if (this.query) {
      this.entries.forEach((entry, index) => {
        if (entry.text.toLowerCase().includes(this.query)) this.found.push(index);
      });
      const top = Math.floor(this.view.scrollTop / ROW);
      const next = this.found.findIndex((index) => index >= top);
      if (this.found.length) this.show(next < 0 ? this.found.length - 1 : next);
    }
    this.count();
    this.draw();
  }

  go(step) {
    const n = this.found.length;
    if (n) this.show((this.at + step + n) % n);
    this.count();
    this.draw();
  }

  show(at) {
    this.at = at;
    this.setFollows(false);
    this.view.scrollTop = Math.max(0, this.found[at] * ROW - this.view.clientHeight / 2);
  }

  count() {
    const n = this.found.length;
    const label = !this.query ? "" : n ? fill(this.texts.found, { at: this.at + 1, n }) : this.texts.none;
    if (this.part("count").textContent !== label) this.part("count").textContent = label;
    this.part("next").disabled = this.part("previous").disabled = !n;
  }

  draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - SPARE_ROWS);
      const last = Math.min(this.entries.length, first + Math.ceil(this.view.clientHeight / ROW) + 2 * SPARE_ROWS);
      const rows = [];
      for (let index = first; index < last; index += 1) rows.push(this.row(index));
      this.box.style.top = `${first * ROW}px`;
      this.box.replaceChildren(...rows);
      // The widest row so far keeps its room, so that the view does not jump sideways.
      const wide = Math.max(this.box.scrollWidth, parseFloat(this.space.style.minWidth) || 0);
      if (wide > this.view.clientWidth) this.space.style.minWidth = `${wide}px`;
    });
  }

  row(index) {
    const entry = this.entries[index];
    const isNow = this.found[this.at] === index;
    const row = element("div", `log-line ${entry.kind}${isNow ? " found" : ""}`);
    row.append(element("span", "log-no", entry.n === undefined ? "" : entry.n + 1));
    const text = element("span", "log-text");
    if (entry.at) row.title = new Date(entry.at).toLocaleString();
    if (this.query) this.mark(text, entry.text);
    else text.textContent = entry.text;
    row.append(text);
    return row;
  }

  mark(target, text) {
    const lower = text.toLowerCase();
    let from = 0;
    for (let at = lower.indexOf(this.query); at >= 0; at = lower.indexOf(this.query, from)) {
      target.append(text.slice(from, at), element("mark", "", text.slice(at, at + this.query.length)));
      from = at + this.query.length;
    }
    target.append(text.slice(from));
  }

  state(name, why = "") {
    const place = this.part("state");
    const text = why ? `${this.texts[name]} ${why}` : this.texts[name];
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("trouble", name === "lost" || name === "signedOut");
    this.root.dataset.state = name;
  }
}

/** A job's log: server-sent events; where these are not to be had, pages asked for again and again. */
class JobLog {
  constructor(view, root) {
    this.view = view;
    this.stream = root.dataset.stream;
    this.pages = root.dataset.pages;
    this.offset = 0;
    this.isDone = false;
    this.failures = 0;
  }

  open() {
    if (this.isDone || this.events) return;
    this.triedAt = Date.now();
    const events = new EventSource(`${this.stream}?offset=${this.offset}`);
    this.events = events;
    events.onopen = () => this.view.state("live");
    events.addEventListener("lines", (event) => {
      this.offset = Number(event.lastEventId);
      this.view.append(JSON.parse(event.data).lines);
    });
    events.addEventListener("gap", (event) => {
      this.offset = Number(event.lastEventId);
      const { from, to } = JSON.parse(event.data);
      this.view.gap(from, to);
    });
    events.addEventListener("end", () => this.end());
    events.onerror = () => {
      this.view.state("lost");
      if (events.readyState === EventSource.CLOSED) {
        this.events = null;
        this.wait(POLL_MS);
      }
    };
  }

  wait(ms) {
    clearTimeout(this.timer);
    if (!this.isDone) this.timer = setTimeout(() => this.poll(), ms);
  }

  async poll() {
    if (this.events || document.hidden) return;
    try {
      const answer = await fetch(`${this.pages}?offset=${this.offset}`);
      if (answer.redirected) {
        this.isDone = true;
        this.view.state("signedOut");
        return;
      }
      if (!answer.ok) throw new Error(answer.status);
      this.take(await answer.json());
      this.failures = 0;
    } catch {
      this.failures += 1;
      this.view.state("lost");
      this.wait(Math.min(15000, POLL_MS * 2 ** this.failures));
      return;
    }
    if (this.isDone) return;
    if (Date.now() - this.triedAt > STREAM_AGAIN_MS) this.open();
    else this.wait(POLL_MS);
  }

  take(page) {
    const { lines } = page;
    if (lines.length && lines[0].n > this.offset) this.view.gap(this.offset, lines[0].n);
    this.offset = page.next;
    this.view.append(lines);
    this.view.state("polling");
    if (page.ended && page.next >= page.total) this.end();
  }

  end() {
    this.isDone = true;
    this.close();
    this.view.state("ended");
  }

  close() {
    clearTimeout(this.timer);
    this.events?.close();
    this.events = null;
  }
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

for (const root of document.querySelectorAll(".log[data-texts]")) {
  const view = new View(root);
  const source = root.dataset.stream ? new JobLog(view, root) : new AppLog(view, root);
  view.state("connecting");
  source.open();
  // A page that nobody sees holds no connection.
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => source.close(), HIDDEN_MS);
    else source.open();
  });
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => event.persisted && source.open());
}
