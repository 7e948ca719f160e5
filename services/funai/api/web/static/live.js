// Keeps the changing parts of a page fresh, and the clocks of steps going.

const root = document.querySelector("[data-live]");
const LIVE_MS = 1500;
const IDLE_MS = 10000;
const WORST_MS = 15000;
const units = JSON.parse(root.dataset.units);
const said = document.getElementById("said");
const known = new Map();
let failures = 0;
let timer = 0;

// A clock's text and fresh form tokens are no news.
const plain = (html) => html.replace(/(data-since="\d+"[^>]*>)[^<]*/g, "$1");

function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const fill = (text, values) => text.replace(/%\((\w)\)s/g, (_, name) => values[name]);
  if (s < 60) return fill(units.s, { s });
  if (s < 3600) return fill(units.m, { m: Math.floor(s / 60), s: s % 60 });
  return fill(units.h, { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
}

function tick() {
  const now = Date.now() + Number(root.dataset.ahead || 0);
  for (const clock of document.querySelectorAll("[data-since]")) {
    const text = duration(now - Number(clock.dataset.since));
    if (clock.textContent !== text) clock.textContent = text;
  }
}

function put(name, html) {
  const place = document.querySelector(`[data-part="${name}"]`);
  if (!place || known.get(name) === plain(html)) return;
  const isFirst = !known.has(name);
  known.set(name, plain(html));
  if (isFirst && plain(place.innerHTML.trim()) === plain(html.trim())) return;
  place.innerHTML = html;
  const news = place.querySelector("[data-say]");
  if (news && said.textContent !== news.textContent) said.textContent = news.textContent;
}

function show(state) {
  root.dataset.ahead = state.now - Date.now();
  if (state.job !== undefined && state.job !== (root.dataset.job || null)) {
    location.reload();
    return;
  }
  for (const [name, html] of Object.entries(state.parts)) put(name, html);
  for (const place of document.querySelectorAll("[data-while]")) {
    place.hidden = (place.dataset.while === "live") !== state.live;
  }
  root.dataset.alive = state.live ? "yes" : "";
  tick();
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch(root.dataset.live, { headers: { Accept: "application/json" } });
    if (answer.redirected) {
      // Signed out meanwhile: the page itself leads to the way in, and back.
      location.reload();
      return;
    }
    if (answer.status === 404) return;
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
    failures = 0;
    root.classList.remove("stale");
  } catch {
    failures += 1;
    if (failures > 2) root.classList.add("stale");
  }
  const usual = root.dataset.alive ? LIVE_MS : Number(root.dataset.idle || IDLE_MS);
  if (root.dataset.alive || root.dataset.idle !== "0") {
    timer = setTimeout(poll, Math.min(WORST_MS, usual * 2 ** Math.min(failures, 4)));
  }
}

document.addEventListener("visibilitychange", poll);
setInterval(tick, 1000);
tick();
timer = setTimeout(poll, LIVE_MS);
