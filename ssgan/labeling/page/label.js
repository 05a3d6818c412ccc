"use strict";
// One picture after the other. All that is known is on the server: a reload shows the same.

const $ = id => document.getElementById(id);
const element = (name, text = "", properties = {}) =>
  Object.assign(document.createElement(name), {textContent: text}, properties);
const percent = share => `${Math.round(100 * share)} %`;
let state = null, waits = false, timer = 0, over = false;

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  if (answer.status !== 200 && answer.status !== 409) throw new Error(await answer.text());
  return answer.json();
}

// One request at a time: a key that is held, or pressed twice, answers no second picture unseen.
async function act(path, body) {
  if (waits || over) return;
  waits = true;
  clearTimeout(timer);
  try {
    show(await ask(path, body));
  } catch (error) {
    fail(error);
  } finally {
    waits = false;
  }
}

function fail(error) {
  $("error").textContent = error instanceof TypeError
    ? "The server has ended. All answers are in the file; start ssgan label again, and open its new address."
    : error.message;
  timer = setTimeout(look, 2000);
}

async function look() {
  if (waits) return;
  try {
    const found = await ask("state");
    if (!waits) show(found);
  } catch (error) {
    fail(error);
  }
}

function answer(kind, value = "") {
  const asked = state && state.question;
  if (asked) act("answer", {picture: asked.picture, column: asked.column, kind, value});
}

function picture(kind, row, alt) {
  const image = element("img", "", {alt});
  image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth < 200));
  image.src = `${kind}/${row}`;
  return image;
}

const said = text => text === null ? "" : text.trim() || "not sure";

function show(found) {
  const before = state && state.question, asked = found.question, column = found.column;
  const isOther = !before || !asked || before.picture !== asked.picture || before.column !== asked.column;
  state = found;
  $("error").textContent = found.error || "";
  document.title = `${found.file} – ssgan label`;
  $("file").textContent = found.file;
  $("count").textContent = `${found.pictures.toLocaleString("en")} pictures`;
  if (isOther) showQuestion(asked, column);
  showClasses(found, asked, column);
  showProgress(found, column);
  clearTimeout(timer);
  if (found.pending) timer = setTimeout(look, 1000);
}

function showQuestion(asked, column) {
  closeNew();
  $("shown").hidden = !asked;
  $("others").hidden = !asked;
  $("question").textContent = asked
    ? `${column.name}?` : "Every picture has been asked about.";
  if (!asked) return;
  const copies = asked.copies ? `, and ${asked.copies} identical to it` : "";
  const again = asked.again ? `, answered before: ${said(asked.before)}` : "";
  $("name").textContent = asked.name + copies + again;
  const large = picture("large", asked.picture, `The picture that is asked about, ${asked.name}`);
  large.id = "picture";
  large.addEventListener("error", look);
  $("picture").replaceWith(large);
  $("neighbors").replaceChildren(...asked.neighbors.map(one => {
    const item = element("li");
    const told = said(one.answer);
    item.append(picture("small", one.picture, one.name), element("span", told, {title: told}));
    return item;
  }));
  $("alike").hidden = asked.neighbors.length === 0;
  $("typed").value = "";
  if (column.number) $("typed").focus();
}

function showClasses(found, asked, column) {
  $("number").hidden = !asked || !column.number;
  $("classes").hidden = !asked || column.number;
  $("make").hidden = column.number || column.fixed;
  $("none").hidden = column.number;
  $("none").disabled = !column.takes_none;
  $("undo").disabled = !found.undo;
  if (column.number) {
    $("typed-label").textContent = column.name;
    const dragged = $("dragged");
    if (+dragged.min !== column.low || +dragged.max !== column.high) {
      Object.assign(dragged, {min: column.low, max: column.high, step: (column.high - column.low) / 200});
      dragged.value = (column.low + column.high) / 2;
    }
    return;
  }
  $("classes").replaceChildren(...found.classes.map(one => {
    const button = element("button", "", {type: "button"});
    if (one.key) button.append(element("kbd", one.key));
    button.append(one.name);
    if (asked && asked.before === one.name) button.className = "before";
    button.addEventListener("click", () => answer("class", one.name));
    return button;
  }));
}

function showProgress(found, column) {
  const seen = found.classes.filter(one => one.count > 0);
  $("answers").textContent = found.answers.toLocaleString("en");
  $("seen").textContent = seen.length;
  $("seen").parentElement.hidden = column.number;
  const estimate = found.estimate;
  $("read").hidden = $("gauge").hidden = column.number;
  $("share").textContent = estimate ? percent(estimate.share) : "–";
  $("interval").textContent = estimate ? `${percent(estimate.low)} to ${percent(estimate.high)}` : "";
  $("range").hidden = $("point").hidden = !estimate;
  if (estimate) {
    $("range").style.left = `${100 * estimate.low}%`;
    $("range").style.right = `${100 - 100 * estimate.high}%`;
    $("point").style.left = `${100 * estimate.share}%`;
  }
  $("advice").textContent = found.advice;
  const most = Math.max(1, found.none, found.unsure, ...found.classes.map(one => one.count));
  const rows = column.number ? [] : found.classes.map(one => [one.name, one.count]);
  if (found.none) rows.push(["none of these", found.none]);
  if (found.unsure) rows.push(["not sure", found.unsure]);
  $("bars-title").hidden = rows.length === 0;
  $("bars").replaceChildren(...rows.map(([name, count]) => {
    const item = element("li");
    item.append(
      element("span", name, {className: "what", title: name}),
      element("progress", "", {max: most, value: count, ariaLabel: `${name}: ${count}`}),
      element("span", count, {className: "number"}),
    );
    return item;
  }));
  $("recent-title").hidden = found.recent.length === 0;
  $("recent").replaceChildren(...found.recent.map(recent));
  $("notes").replaceChildren(...found.notes.map(text => element("li", text)));
}

const made = new Map(); // so that pictures do not flicker

function recent(one) {
  if (!made.has(one.picture)) {
    const item = element("li"), button = element("button", "", {type: "button"});
    button.append(picture("small", one.picture, `${one.name}, answer it again`), element("span"));
    button.addEventListener("click", () => act("again", {picture: one.picture}));
    item.append(button);
    made.set(one.picture, item);
  }
  const item = made.get(one.picture);
  item.firstChild.title = `${one.name}: ${one.answer}. Answer it again`;
  item.querySelector("span").textContent = one.answer;
  return item;
}

function openNew() {
  if (!state || !state.question || $("make").hidden) return;
  $("new").hidden = false;
  $("class-name").value = "";
  $("class-name").focus();
}

function closeNew() {
  $("new").hidden = true;
  if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key === "Escape") closeNew();
  const isTyping = event.target instanceof HTMLInputElement;
  const isPressing = event.target instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter");
  if (isTyping || isPressing || !state) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const chosen = state.column.number ? undefined : state.classes.find(one => one.key === key);
  if (chosen) answer("class", chosen.name);
  else if (key === "n") openNew();
  else if (key === "x" && !state.column.number) answer("none");
  else if (key === "?" || key === " ") answer("unsure");
  else if (key === "u" || key === "Backspace") act("undo", {});
  else return;
  event.preventDefault();
});

$("new").addEventListener("submit", event => {
  event.preventDefault();
  answer("new", $("class-name").value);
});
$("number").addEventListener("submit", event => {
  event.preventDefault();
  answer("number", $("typed").value);
});
$("dragged").addEventListener("input", () => { $("typed").value = +(+$("dragged").value).toPrecision(6); });
$("cancel").addEventListener("click", closeNew);
$("make").addEventListener("click", openNew);
$("none").addEventListener("click", () => answer("none"));
$("unsure").addEventListener("click", () => answer("unsure"));
$("undo").addEventListener("click", () => act("undo", {}));
window.addEventListener("focus", look);

// The token stays in a cookie, and not in the history.
history.replaceState(null, "", location.pathname);
look();
