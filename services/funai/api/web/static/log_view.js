// The viewer of logs: draws only the rows in sight, searches all, follows, and connects again by itself.

const ROW = 20;
const SPARE_ROWS = 40;
const MOST_ROWS = 200000;
const DROP_ROWS = 50000;
const HIDDEN_MS = 30000;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
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

/** Show every log of the page; each gets its lines from a source of this class. */
export function showLogs(Source) {
  for (const root of document.querySelectorAll(".log[data-texts]")) {
    const view = new View(root);
    const source = new Source(view, root);
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
}
