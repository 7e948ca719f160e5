// The page of nodes: reads the administration's JSON every few seconds and changes only what changed,
// so that focus, selection and what was typed stay.

const page = document.getElementById("page");
const texts = JSON.parse(page.dataset.texts);
const prefix = page.dataset.prefix;
const lang = document.documentElement.lang;
const REFRESH_MS = 5000;
const WORST_MS = 30000;
const PAGE_SIZE = 50;
const DRAIN_STEP = 20;
const FULL_PERCENT = 15;
const TIGHT_PERCENT = 25;

const nodes = new Map();
const runners = new Map();
let clockAhead = 0;
let failures = 0;
let timer = 0;

class SignedOut extends Error {}
const find = (root, name) => root.querySelector(`[data-at="${name}"]`);
const isTight = (node) => typeof node.diskFreePct === "number" && node.diskFreePct < TIGHT_PERCENT;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const byId = (id) => document.getElementById(id);

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function stamp(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

function say(sentence) {
  put(byId("said"), sentence);
}

async function call(method, path, body) {
  // By its own header the administration knows this page, and answers in its reader's language.
  const options = { method, headers: { Accept: "application/json", "X-Console-Page": "nodes" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(prefix + path, options).catch((error) => {
    throw new Error(texts.unreached, { cause: error });
  });
  const envelope = await answer.json().catch((error) => {
    throw new Error(texts.broken, { cause: error });
  });
  const date = Date.parse(answer.headers.get("Date"));
  if (date) clockAhead = date - Date.now();
  if (answer.status === 401) throw new SignedOut(texts.signedOut);
  if (envelope.code !== 200) throw new Error(refusal(answer, envelope));
  return envelope.data;
}

/** What an answer says that is no success. The edge, which has "error", speaks English alone. */
function refusal(answer, envelope) {
  if (envelope.error) return answer.status === 503 ? texts.down : texts.broken;
  return envelope.message || envelope.detail || answer.statusText;
}

// --- What is shown -----------------------------------------------------------

const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(ms) {
  const seconds = Math.max(0, Math.round((Date.now() + clockAhead - ms) / 1000));
  const [unit, size] = UNITS.find(([, each]) => seconds >= each) ?? UNITS[3];
  return relative.format(-Math.floor(seconds / size), unit);
}

function setTime(element, ms) {
  element.dataset.ms = ms ?? "";
  if (ms === null || ms === undefined) {
    put(element, texts.never);
    return;
  }
  const at = new Date(ms);
  element.dateTime = at.toISOString();
  element.title = at.toLocaleString(lang, { dateStyle: "medium", timeStyle: "long" });
  put(element, ago(ms));
}

function tick() {
  for (const element of page.querySelectorAll("time[data-ms]")) {
    if (element.dataset.ms) put(element, ago(Number(element.dataset.ms)));
  }
}

function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = count > 0 ? Math.min(4, Math.floor(Math.log(count) / Math.log(1000))) : 0;
  const style = { style: "unit", unit: units[step], maximumFractionDigits: step > 2 ? 1 : 0 };
  return new Intl.NumberFormat(lang, style).format(count / 1000 ** step);
}

function setHealth(place, word) {
  if (place.dataset.word === word) return;
  place.dataset.word = word;
  const known = document.querySelector(`template[data-health="${CSS.escape(word)}"]`);
  const template = known ?? document.querySelector('template[data-health=""]');
  place.replaceChildren(template.content.cloneNode(true));
}

function setDisk(root, node) {
  const bar = find(root, "bar");
  const told = typeof node.diskFreePct === "number";
  bar.hidden = !told;
  const percent = told ? Math.round(node.diskFreePct * 10) / 10 : 0;
  const size = typeof node.diskFreeBytes === "number" ? bytes(node.diskFreeBytes) : "";
  const free = fill(texts.free, { percent: percent.toLocaleString(lang), size }).replace(/[,，]?\s*$/, "");
  const sentence = !told ? texts.noDisk : percent < TIGHT_PERCENT ? fill(texts.tight, { free }) : free;
  put(find(root, "disk"), sentence);
  bar.value = 100 - percent;
  bar.setAttribute("aria-label", sentence);
  bar.className = percent < FULL_PERCENT ? "full" : percent < TIGHT_PERCENT ? "tight" : "";
}

function showNode(node) {
  let shown = nodes.get(node.nodeId);
  if (!shown) {
    const root = stamp("node");
    root.dataset.node = node.nodeId;
    byId("nodes").append(root);
    shown = { root, offset: 0 };
    nodes.set(node.nodeId, shown);
  } else if (shown.data.health !== node.health) {
    queueMicrotask(() => say(fill(texts.became, { name: node.name, health: find(shown.root, "health").textContent.trim() })));
  }
  const { root } = shown;
  shown.data = node;
  put(find(root, "name"), node.name);
  setHealth(find(root, "health"), node.health ?? "");
  setTime(find(root, "beat"), node.lastHeartbeatAtMs);
  setDisk(root, node);
  put(find(root, "containers"), (node.containerCount ?? 0).toLocaleString(lang));
  put(find(root, "weight"), (node.weight ?? 0).toLocaleString(lang));
  put(find(root, "agent"), node.agentBaseUrl);
  put(find(root, "gateway"), node.gatewayBaseUrl);
  for (const of of root.querySelectorAll(':scope > .actions [data-at="of"]')) put(of, ` ${node.name}`);
  // A drain that is not over is ended by "enable" too.
  const takesApps = node.enabled && node.health !== "DRAINING";
  root.querySelector('[data-do="disable"]').hidden = !node.enabled;
  root.querySelector('[data-do="enable"]').hidden = takesApps;
}

function showRunner(runner) {
  let row = runners.get(runner.runnerId);
  if (!row) {
    row = stamp("runner");
    byId("runners").append(row);
    runners.set(runner.runnerId, row);
    put(find(row, "name"), runner.runnerId);
  }
  setHealth(find(row, "health"), runner.health ?? "");
  setTime(find(row, "seen"), runner.lastSeenAtMs);
}

function dropOthers(known, ids, rootOf) {
  for (const [id, shown] of known) {
    if (ids.has(id)) continue;
    rootOf(shown).remove();
    known.delete(id);
  }
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const [listed, seen] = await Promise.all([call("GET", "/list"), call("GET", "/runners/list")]);
    dropOthers(nodes, new Set(listed.map((node) => node.nodeId)), (shown) => shown.root);
    dropOthers(runners, new Set(seen.map((runner) => runner.runnerId)), (row) => row);
    listed.forEach(showNode);
    seen.forEach(showRunner);
    byId("no-nodes").hidden = listed.length > 0;
    byId("no-runners").hidden = seen.length > 0;
    put(byId("counts"), fill(texts.counts, { nodes: listed.length, runners: seen.length }));
    put(byId("fresh"), fill(texts.fresh, { time: new Date().toLocaleTimeString(lang) }));
    await Promise.all([...nodes.values()].filter((shown) => shown.root.classList.contains("open")).map(showApps));
    byId("trouble").hidden = true;
    page.classList.remove("stale");
    failures = 0;
  } catch (error) {
    failures += 1;
    const away = fill(texts.away, { why: error.message.replace(/[.。]$/, "") });
    put(byId("trouble").querySelector("div"), error instanceof SignedOut ? error.message : away);
    byId("trouble").hidden = false;
    page.classList.add("stale");
    if (error instanceof SignedOut) return;
  }
  page.removeAttribute("aria-busy");
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.min(WORST_MS, REFRESH_MS * 2 ** Math.min(failures, 3)));
}

// --- Apps of a node -----------------------------------------------------------

async function showApps(shown) {
  const { root, data } = shown;
  const query = (offset) => `/placements?nodeId=${data.nodeId}&offset=${offset}&limit=${PAGE_SIZE}`;
  let found = await call("GET", query(shown.offset));
  if (!found.items.length && shown.offset) {
    shown.offset = Math.floor(Math.max(0, found.total - 1) / PAGE_SIZE) * PAGE_SIZE;
    found = await call("GET", query(shown.offset));
  }
  const body = find(root, "rows");
  const rows = new Map([...body.children].map((row) => [row.dataset.app, row]));
  for (const [index, item] of found.items.entries()) {
    let row = rows.get(item.appId);
    if (!row) {
      row = stamp("app");
      row.dataset.app = item.appId;
      put(find(row, "app"), item.appId);
      find(row, "app").href = `/console/apps/${encodeURIComponent(item.appId)}`;
      put(find(row, "of"), ` ${item.appId}`);
    }
    rows.delete(item.appId);
    setTime(find(row, "active"), item.lastActiveAt);
    // A row that stays where it is keeps its focus.
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  }
  for (const row of rows.values()) row.remove();
  const to = shown.offset + found.items.length;
  put(find(root, "page"), found.total ? fill(texts.page, { from: shown.offset + 1, to, total: found.total }) : texts.noApps);
  root.querySelector('[data-do="previous"]').disabled = shown.offset === 0;
  root.querySelector('[data-do="next"]').disabled = to >= found.total;
  root.querySelector(".apps table").hidden = found.total === 0;
}

function toggleApps(shown, button) {
  const isOpen = shown.root.classList.toggle("open");
  button.setAttribute("aria-expanded", String(isOpen));
  find(shown.root, "apps").hidden = !isOpen;
  if (isOpen) report(showApps(shown));
}

function turnPage(shown, step) {
  shown.offset = Math.max(0, shown.offset + step * PAGE_SIZE);
  report(showApps(shown));
}

// What goes wrong outside of a dialog is said above the nodes until the next refresh.
async function report(promise) {
  try {
    await promise;
  } catch (error) {
    put(byId("trouble").querySelector("div"), error.message);
    byId("trouble").hidden = false;
  }
}

// --- Dialogs -------------------------------------------------------------------

function open(id, name, send) {
  const dialog = byId(id);
  const form = dialog.querySelector("form");
  const fault = dialog.querySelector("[data-fault]");
  const ok = dialog.querySelector("[data-ok]");
  put(dialog.querySelector("[data-name]"), name);
  fault.hidden = true;
  ok.hidden = false;
  ok.disabled = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    fault.hidden = true;
    ok.disabled = true;
    try {
      await send(form, dialog);
      await refresh();
    } catch (error) {
      put(fault, error.message);
      fault.hidden = false;
    }
    ok.disabled = false;
  };
  dialog.querySelector("[data-close]").onclick = () => dialog.close();
  dialog.showModal();
  return dialog;
}

function offerTargets(dialog, sourceId) {
  const select = dialog.querySelector("select");
  const takes = (node) => node.health === "HEALTHY" && !isTight(node);
  const targets = [...nodes.values()].map((shown) => shown.data).filter((node) => node.nodeId !== sourceId && takes(node));
  select.replaceChildren(...targets.map((node) => new Option(node.name, node.nodeId)));
  select.disabled = !targets.length;
  if (!targets.length) {
    const fault = dialog.querySelector("[data-fault]");
    put(fault, texts.noTarget);
    fault.hidden = false;
    dialog.querySelector("[data-ok]").disabled = true;
  }
  return select;
}

const chosen = (select) => ({ id: Number(select.value), name: select.selectedOptions[0].textContent });

async function setEnabled(name, enabled) {
  await call("POST", `/set-enabled?name=${encodeURIComponent(name)}&enabled=${enabled}`, {});
  say(fill(enabled ? texts.enabled : texts.disabled, { name }));
}

function edit(node) {
  const dialog = open("edit", node?.name ?? "", async (form) => {
    const typed = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
    if (node) typed.name = node.name;
    const saved = await call("POST", "/upsert", typed);
    dialog.close();
    say(fill(texts.saved, { name: saved.name }));
  });
  const form = dialog.querySelector("form");
  put(dialog.querySelector("[data-title]"), node ? texts.change : texts.new);
  dialog.querySelector('[data-only="new"]').hidden = Boolean(node);
  for (const name of ["name", "weight", "agentBaseUrl", "gatewayBaseUrl"]) form.elements[name].value = node?.[name] ?? "";
  form.elements[node ? "weight" : "name"].focus();
}

function move(appId, sourceId) {
  const dialog = open("move", appId, async () => {
    const target = chosen(select);
    await call("POST", "/reassign", { appId, targetNodeId: target.id });
    dialog.close();
    say(fill(texts.moved, { app: appId, node: target.name }));
  });
  const select = offerTargets(dialog, sourceId);
}

async function drain(node) {
  const progress = byId("drain").querySelector("[data-progress]");
  const bar = progress.querySelector("progress");
  const sentence = progress.querySelector("[data-sentence]");
  const count = async () => (await call("GET", `/placements?nodeId=${node.nodeId}&limit=1`)).total;
  let isOpen = true;
  const dialog = open("drain", node.name, async () => {
    const target = chosen(select);
    const total = await count();
    let moved = 0;
    let step = 0;
    select.disabled = true;
    bar.hidden = false;
    bar.max = Math.max(1, total);
    do {
      step = (await call("POST", "/drain", { sourceNodeId: node.nodeId, targetNodeId: target.id, limit: DRAIN_STEP })).moved;
      moved += step;
      bar.value = moved;
      put(sentence, fill(texts.progress, { moved, total, node: target.name }));
    } while (step > 0 && moved < total && isOpen);
    const n = await count();
    const end = n === 0 ? texts.drained : step > 0 ? texts.stopped : texts.stayed;
    bar.value = n === 0 ? bar.max : moved;
    put(sentence, fill(end, { moved, total, node: target.name, n }));
    say(sentence.textContent);
    select.disabled = false;
    dialog.querySelector("[data-ok]").hidden = n === 0;
  });
  dialog.onclose = () => (isOpen = false);
  const select = offerTargets(dialog, node.nodeId);
  progress.hidden = false;
  bar.hidden = true;
  put(sentence, "");
  await report(count().then((n) => put(sentence, fill(texts.left, { n }))));
}

// --- What is clicked -------------------------------------------------------------

page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  const root = button?.closest("[data-node]");
  if (!root) return;
  const shown = nodes.get(Number(root.dataset.node));
  const { data } = shown;
  const doing = {
    apps: () => toggleApps(shown, button),
    previous: () => turnPage(shown, -1),
    next: () => turnPage(shown, 1),
    edit: () => edit(data),
    drain: () => drain(data),
    enable: () => report(setEnabled(data.name, true).then(refresh)),
    disable: () => {
      const dialog = open("disable", data.name, async () => {
        await setEnabled(data.name, false);
        dialog.close();
      });
    },
    move: () => move(button.closest("tr").dataset.app, data.nodeId),
  };
  doing[button.dataset.do]();
});

byId("add").addEventListener("click", () => edit(null));
document.addEventListener("visibilitychange", refresh);
setInterval(tick, 1000);
refresh();
