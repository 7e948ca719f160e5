// A job's log, as it is written and after that.

// With the version that this file was asked for: of another one it may not know the ways.
const own = new URL(import.meta.url);
const { showLogs } = await import(new URL(`log_view.js${own.search}`, own));

const POLL_MS = 2000;
const STREAM_AGAIN_MS = 20000;

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

showLogs(JobLog);
