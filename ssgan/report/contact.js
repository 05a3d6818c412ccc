"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const SVG = "http://www.w3.org/2000/svg";
const draw = (tag, attributes) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};
const WORDS = {
  PENDING: "waiting", RUNNING: "running", PAUSED: "paused",
  FINISHED: "finished", STOPPED: "stopped early", FAILED: "failed",
};
const ORDER = Object.keys(WORDS);
const state = { at: Math.max(0, data.epochs.length - 1), sort: "metric", down: false, stage: "", open: null };

const epoch = () => data.epochs[state.at] ?? 0;
const spell = value => value === null || value === undefined ? "–"
  : Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.0001) ? value.toPrecision(3) : value.toFixed(4);
// What a trial had reached at an epoch: its newest picture and value until then.
const until = (pairs, limit) => {
  let found = null;
  for (const pair of pairs) if (pair[0] <= limit) found = pair;
  return found;
};
const isOver = trial => ["FINISHED", "STOPPED", "FAILED"].includes(trial.status);
const reached = (trial, at) => {
  const picture = until(trial.shots, at), point = until(trial.curve, at);
  return {
    picture: picture ? picture[1] : null,
    pictureEpoch: picture ? picture[0] : null,
    value: point ? point[1] : null,
    ended: isOver(trial) && trial.epoch < at,
  };
};
const sign = data.mode === "max" ? -1 : 1;
const bestOf = stage => data.trials
  .filter(trial => trial.stage === stage && trial.status !== "FAILED" && trial.metric !== null)
  .sort((a, b) => sign * (a.metric - b.metric))[0];

const best = new Set([bestOf("search"), bestOf("final")].filter(Boolean));
for (const trial of data.trials) {
  trial.shots = Object.entries(trial.pictures).map(([e, uri]) => [Number(e), uri]).sort((a, b) => a[0] - b[0]);
}
const longest = Math.max(1, ...data.trials.map(trial => trial.epoch));
const all = data.trials.flatMap(trial => trial.curve.map(point => point[1]));
const low = Math.min(...all), high = Math.max(...all);
const logarithmic = low > 0 && high / low > 10;
const scale = value => logarithmic ? Math.log(value) : value;
const x = e => 100 * e / longest;
const y = value => high === low ? 50 : 96 - 92 * (scale(value) - scale(low)) / (scale(high) - scale(low));

function spark(trial) {
  const svg = draw("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" });
  svg.append(draw("line", { x1: 0, x2: 100, y1: 99, y2: 99 }));
  const path = trial.curve.map(([e, value], i) => `${i ? "L" : "M"}${x(e).toFixed(2)} ${y(value).toFixed(2)}`);
  if (trial.curve.length === 1) path.push(`h1`);
  svg.append(draw("path", { d: path.join("") }));
  trial.now = draw("line", { y1: 0, y2: 100, class: "now" });
  svg.append(trial.now);
  return svg;
}

function card(trial) {
  const article = make("article", `card ${trial.status}${best.has(trial) ? " best" : ""}`);
  article.dataset.run = trial.run;
  trial.shot = make("button", "shot");
  trial.shot.type = "button";
  trial.shot.addEventListener("click", () => open(trial));
  const text = make("div", "text"), head = make("div", "head");
  head.append(make("h2", "", trial.name));
  if (best.has(trial)) head.append(make("span", "chip is-best", "best"));
  head.append(make("span", `chip ${trial.status}`, WORDS[trial.status]));
  trial.output = make("output", "metric");
  trial.output.title = data.label;
  head.append(trial.output);
  text.append(head);
  if (trial.curve.length) text.append(spark(trial));
  const list = make("dl");
  for (const field of data.fields) {
    if (!(field.key in trial.shown)) continue;
    const name = make("dt", "", field.label);
    name.title = field.key;
    name.dataset.field = field.key;
    list.append(name, make("dd", "", trial.shown[field.key]));
  }
  text.append(list);
  const speed = trial.speed ? ` · ${Math.round(trial.speed).toLocaleString("en")} images/s` : "";
  text.append(make("p", "facts", `seed ${trial.seed} · ${trial.epoch} ${trial.epoch === 1 ? "epoch" : "epochs"}${speed}`));
  for (const line of [trial.reason, ...trial.lineage.map(one => `Exploited ${one}`)]) {
    if (line) text.append(make("p", "reason", line));
  }
  article.append(trial.shot, text);
  return article;
}

function caption(trial, now) {
  const value = now.value === null ? "no value" : spell(now.value);
  return `Samples of trial ${trial.name} after epoch ${now.pictureEpoch}; ${data.label}: ${value}`;
}

function show() {
  const at = epoch();
  $("epoch").textContent = data.epochs.length ? `${at} of ${data.epochs[data.epochs.length - 1]}` : "–";
  $("slider").value = state.at;
  $("slider").setAttribute("aria-valuetext", `epoch ${at}`);
  for (const trial of data.trials) {
    const now = reached(trial, at), shot = trial.shot;
    shot.disabled = !now.picture;
    if (now.picture) {
      let image = shot.querySelector("img");
      if (!image) {
        image = make("img");
        shot.replaceChildren(image);
      }
      if (image.src !== now.picture) image.src = now.picture;
      image.alt = caption(trial, now);
      shot.querySelector(".over")?.remove();
      if (now.ended) shot.append(make("span", "over", `ended after epoch ${trial.epoch}`));
      else if (now.pictureEpoch !== at) shot.append(make("span", "over", `epoch ${now.pictureEpoch}`));
    } else {
      shot.replaceChildren(make("span", "none", trial.shots.length ? "no samples yet at this epoch" : "no samples"));
    }
    shot.classList.toggle("ended", now.ended);
    trial.output.textContent = spell(now.value);
    if (trial.now) {
      const place = x(Math.min(at, trial.epoch));
      trial.now.setAttribute("x1", place);
      trial.now.setAttribute("x2", place);
    }
  }
  if (state.open) enlarge();
}

function sortable(trial) {
  if (state.sort === "metric") return trial.metric;
  if (state.sort === "now") return reached(trial, epoch()).value;
  if (state.sort === "trial") return trial.run;
  if (state.sort === "status") return ORDER.indexOf(trial.status);
  if (state.sort === "epoch") return trial.epoch;
  return trial.values[state.sort] ?? null;
}

function compare(a, b) {
  const one = sortable(a), other = sortable(b);
  if (one === null || other === null) return (one === null) - (other === null);
  const order = typeof one === "number" && typeof other === "number"
    ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
  return state.down ? -order : order;
}

function arrange() {
  const shown = data.trials.filter(trial => !state.stage || trial.stage === state.stage);
  shown.sort((a, b) => compare(a, b) || (a.run < b.run ? -1 : 1));
  const groups = ["final", "search"].map(stage => shown.filter(trial => trial.stage === stage)).filter(group => group.length);
  // Different judges score the stages, so they are never sorted among each other.
  const headed = data.trials.some(trial => trial.stage === "final");
  $("sheet").replaceChildren(...groups.flatMap(group => [
    ...(headed ? [make("h2", "group", group[0].stage === "final" ? "Finals" : "Search")] : []),
    ...group.map(trial => trial.card),
  ]));
  state.shown = groups.flat();
  $("empty").hidden = shown.length > 0;
  $("order").textContent = state.down ? "↓ descending" : "↑ ascending";
  for (const name of document.querySelectorAll("dt[data-field]")) {
    name.classList.toggle("sorted", name.dataset.field === state.sort);
  }
}

function go(to) {
  const next = Math.min(Math.max(0, to), data.epochs.length - 1);
  if (next === state.at || next < 0) return;
  state.at = next;
  show();
  if (state.sort === "now") arrange();
}

function open(trial) {
  state.open = trial;
  enlarge();
  if (!$("large").open) $("large").showModal();
}

function enlarge() {
  const trial = state.open, now = reached(trial, epoch());
  $("large-title").textContent = trial.name;
  const values = data.fields.filter(field => field.key in trial.shown)
    .map(field => `${field.label} ${trial.shown[field.key]}`);
  $("large-text").textContent = [
    `epoch ${now.pictureEpoch ?? epoch()}`, `${data.label} ${spell(now.value)}`, WORDS[trial.status], ...values,
  ].join(" · ");
  $("large-picture").src = now.picture || "";
  $("large-picture").alt = now.picture ? caption(trial, now) : "no samples yet at this epoch";
}

function neighbor(step) {
  const next = state.shown[state.shown.indexOf(state.open) + step];
  if (next) open(next);
}

let timer = null;
function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => go(state.at + 1 < data.epochs.length ? state.at + 1 : 0), 700) : null;
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
}

function about() {
  const counts = ORDER.map(status => [status, data.trials.filter(trial => trial.status === status).length])
    .filter(pair => pair[1]).map(([status, count]) => `${count} ${WORDS[status]}`);
  $("name").textContent = data.name;
  const line = $("about");
  line.append(`${data.trials.length} trials: ${counts.join(", ") || "none yet"}. `);
  line.append(`${data.label[0].toUpperCase()}${data.label.slice(1)}, ${data.mode === "min" ? "less" : "more"} is better`);
  const top = bestOf("final") || bestOf("search");
  if (top) line.append("; best ", make("strong", "", spell(top.metric)), ` by ${top.name}`);
  line.append(`. Begun ${data.created} UTC.`);
  const finals = data.trials.some(trial => trial.stage === "final");
  const notes = [
    finals ? "Finals repeat the best settings with fresh seeds and are scored by another judge, so their numbers do not compare with those of the search." : null,
    data.note,
  ].filter(Boolean);
  $("note").textContent = notes.join(" ");
  $("note").hidden = !notes.length;
  document.querySelector("input[name=stage][value=final]").disabled = !finals;
}

const choices = [
  ["metric", `${data.label} (last)`], ["now", `${data.label} (at this epoch)`],
  ["trial", "trial"], ["status", "status"], ["epoch", "epochs trained"],
  ...data.fields.map(field => [field.key, field.label]),
];
for (const [value, text] of choices) $("sort").append(new Option(text, value));
state.down = data.mode === "max";

$("slider").max = Math.max(0, data.epochs.length - 1);
$("slider").disabled = $("play").disabled = data.epochs.length < 2;
$("slider").addEventListener("input", event => { play(false); go(Number(event.target.value)); });
$("play").addEventListener("click", () => play(timer === null));
$("sort").addEventListener("change", event => {
  state.sort = event.target.value;
  state.down = data.mode === "max" && ["metric", "now"].includes(state.sort);
  arrange();
});
$("order").addEventListener("click", () => { state.down = !state.down; arrange(); });
$("stages").addEventListener("change", event => { state.stage = event.target.value; arrange(); });
$("size").addEventListener("input", event => document.documentElement.style.setProperty("--size", `${event.target.value}px`));
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
$("large").addEventListener("close", () => { const trial = state.open; state.open = null; trial?.shot.focus(); });
$("large").addEventListener("click", event => { if (event.target === $("large")) $("large").close(); });
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const busy = event.target.matches("input, select");
  const dialog = $("large").open;
  if (busy && !dialog) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  if (event.key in steps) {
    play(false);
    go(state.at + steps[event.key]);
  } else if (dialog && event.key === "ArrowDown") neighbor(1);
  else if (dialog && event.key === "ArrowUp") neighbor(-1);
  else if (event.key === " " && !dialog && event.target === document.body) play(timer === null);
  else return;
  event.preventDefault();
});

for (const trial of data.trials) trial.card = card(trial);
about();
arrange();
show();
