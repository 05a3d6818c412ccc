// The page of one generator: what is set stands in `values`, and everything shown follows from it.

const page = JSON.parse($("described").textContent);
const [, height, width] = page.shape;
const STEPS = 9, MOST = 64, BUTTONS = 24;  // of a range in the grid; rows; classes as buttons

// Numbers as they are typed, without rests of binary fractions. Nothing is wholly sure.
const number = (value, digits = 6) => String(Number(value.toPrecision(digits)));
const percent = share => `${(Math.floor(1000 * Math.min(share, 0.999)) / 10).toFixed(1)} %`;
const inUnits = (code, unit) => code.low + (unit + 1) / 2 * (code.high - code.low);
const toUnit = (code, value) => (value - code.low) / (code.high - code.low) * 2 - 1;
const isClass = code => code.classes.length > 0;
const shown = (code, value) => isClass(code) ? code.classes[value] : number(inUnits(code, value));

const values = page.codes.map(() => 0);
let seed = "0";

// Where pictures come from: the server of the page, or a worker with the weights in the page, or,
// where a browser refuses one to a page from disk, the page itself.
async function askServer(request) {
  const answer = await fetch("image", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(request),
  });
  if (!answer.ok) throw new Error(await answer.text());
  const {pixels, readings} = await answer.json();
  return {pixels: Uint8ClampedArray.from(atob(pixels), character => character.charCodeAt(0)), readings};
}

async function weights() {
  const text = $("weights").textContent;
  $("weights").remove();
  const packed = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function inWorker(buffer) {
  const answer = `onmessage = ({data}) => {
    const draw = makeNetworks(data.page, data.buffer);
    onmessage = ({data}) => postMessage(draw(data));
    postMessage(null);
  };`;
  const source = new Blob([$("networks").textContent, answer], {type: "text/javascript"});
  return new Promise((resolve, reject) => {
    const worker = new Worker(URL.createObjectURL(source));
    worker.onerror = reject;
    worker.onmessage = () => resolve(request => new Promise((done, failed) => {
      worker.onmessage = ({data}) => done(data);
      worker.onerror = failed;
      worker.postMessage(request);
    }));
    worker.postMessage({page, buffer});
  });
}

async function makeEngine() {
  if (page.remote) return askServer;
  const buffer = await weights();
  try {
    return await inWorker(buffer);
  } catch {
    const draw = makeNetworks(page, buffer);
    return request => new Promise(done => setTimeout(() => done(draw(request))));
  }
}

// One picture at a time: what was asked last comes first, the grid after the large picture.
const queue = {picture: [], asked: [], grid: []};
let engine = null, busy = false;

async function work() {
  if (busy || !engine) return;
  busy = true;
  for (let job; (job = queue.picture.shift() || queue.asked.shift() || queue.grid.shift());) {
    try {
      job.done(await engine(job.request));
    } catch (error) {
      job.failed(error);
    }
  }
  busy = false;
}

makeEngine().then(made => { engine = made; return work(); }, fail);
const draw = (request, lane) => new Promise((done, failed) => {
  queue[lane].push({request, done, failed});
  work();
});

function fail(error) {
  queue.grid.length = 0;
  const said = error.message || error;
  if (!page.remote) {
    $("error").textContent = `The networks in this page cannot be read (${said}). `
      + "The file may be damaged: copy it again, or use a browser of 2023 or newer.";
  } else {
    $("error").textContent = error instanceof TypeError
      ? "The server has ended. Start ssgan view again, and open its new address." : said;
  }
}

function paint(canvas, pixels) {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

// The large picture, and what Q reads back from it.
async function showPicture() {
  queue.picture.length = 0;
  const {pixels, readings} = await draw({c: [...values], seed, index: 0}, "picture");
  paint($("picture"), pixels);
  window.ssgan.first ||= performance.now();
  $("picture").setAttribute("aria-label", `What G draws for ${page.codes.map((code, k) => `${code.name} ${shown(code, values[k])}`).join(", ")}`);
  page.codes.forEach((code, k) => {
    const {value, confidence} = readings[k];
    const none = isClass(code) && value === code.classes.length;
    const read = none ? "none of these" : isClass(code) ? shown(code, value) : number(inUnits(code, value), 3);
    $(`read-${k}`).textContent = confidence == null ? read : `${read}, ${percent(confidence)} sure`;
    $(`read-${k}`).classList.toggle("differs", isClass(code) && value !== values[k]);
  });
}

// One row a value of a code, one column a value of another or another noise.
const steps = code => isClass(code)
  ? code.classes.slice(0, MOST).map((_, i) => i)
  : Array.from({length: STEPS}, (_, i) => 2 * i / (STEPS - 1) - 1);

function showGrid() {
  queue.grid.length = 0;
  const row = Number($("rows").value), column = Number($("columns").value);
  const isNoise = column < 0, columns = isNoise ? Array.from({length: STEPS - 1}, (_, i) => i) : steps(page.codes[column]);
  const cut = [row, column].filter(k => k >= 0 && page.codes[k].classes.length > MOST);
  $("note").textContent = cut.map(k => `${page.codes[k].name}: the first ${MOST} of ${page.codes[k].classes.length} classes.`).join(" ");
  const head = element("tr");
  head.append(element("td"));
  for (const value of columns) {
    head.append(element("th", isNoise ? `noise ${value + 1}` : shown(page.codes[column], value), {scope: "col", dir: "auto"}));
  }
  $("cells").replaceChildren(head);
  for (const value of steps(page.codes[row])) {
    const line = element("tr");
    line.append(element("th", shown(page.codes[row], value), {scope: "row", dir: "auto"}));
    for (const other of columns) {
      const c = [...values];
      c[row] = value;
      if (!isNoise) c[column] = other;
      const canvas = element("canvas", "", {width, height});
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", page.codes.map((code, k) => `${code.name} ${shown(code, c[k])}`).join(", "));
      const cell = element("td");
      if (isNoise) {
        cell.append(canvas);
      } else {
        const button = element("button", "", {type: "button", title: "Set these values above"});
        button.append(canvas);
        button.addEventListener("click", () => set(c));
        cell.append(button);
      }
      line.append(cell);
      draw({c, seed, index: isNoise ? other : 0}, "grid").then(({pixels}) => paint(canvas, pixels), fail);
    }
    $("cells").append(line);
  }
}

let timer = 0;

function show() {
  $("copied").hidden = true;
  page.codes.forEach((code, k) => controls[k](values[k]));
  $("seed").value = seed;
  showPicture().catch(fail);
  clearTimeout(timer);
  timer = setTimeout(showGrid, 150);  // while a slider is dragged the large picture follows alone
}

function set(c) {
  $("error").textContent = "";
  c.forEach((value, k) => { values[k] = value; });
  show();
}

function change(k, value) {
  set(values.map((one, at) => at === k ? value : one));
}

// A knob: buttons or a list of classes, or a slider and a number. Each returns how it is set.
function knobOfClasses(code, k, box) {
  if (code.classes.length > BUTTONS) {
    const list = element("select", "", {id: `code-${k}`});
    code.classes.forEach((name, i) => list.append(element("option", name, {value: i})));
    list.addEventListener("change", () => change(k, Number(list.value)));
    box.append(list);
    return value => { list.value = value; };
  }
  const group = element("div", "", {className: "classes"});
  group.setAttribute("role", "group");
  group.setAttribute("aria-labelledby", `name-${k}`);
  const buttons = code.classes.map((name, i) => {
    const button = element("button", name, {type: "button", dir: "auto"});
    button.addEventListener("click", () => change(k, i));
    return button;
  });
  group.append(...buttons);
  box.append(group);
  return value => buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === value));
}

function knobOfNumbers(code, k, box) {
  const slider = element("input", "", {type: "range", min: -1, max: 1, step: 0.01});
  const typed = element("input", "", {type: "number", step: "any", id: `code-${k}`});
  slider.setAttribute("aria-labelledby", `name-${k}`);
  slider.addEventListener("input", () => change(k, Number(slider.value)));
  typed.addEventListener("change", () => {
    const unit = toUnit(code, typed.valueAsNumber);
    if (Math.abs(unit) <= page.reach + 1e-6) return change(k, unit);
    const ends = [-page.reach, page.reach].map(end => number(inUnits(code, end)));
    $("error").textContent = `${code.name} was trained from ${number(code.low)} to ${number(code.high)} and goes from ${ends.join(" to ")} here.`;
    typed.value = number(inUnits(code, values[k]));
  });
  const line = element("div", "", {className: "line"});
  line.append(slider, typed);
  box.append(line);
  return value => {
    slider.value = value;
    typed.value = number(inUnits(code, value));
  };
}

const controls = page.codes.map((code, k) => {
  const box = element("div", "", {className: "knob"});
  const name = element("label", code.name, {id: `name-${k}`, dir: "auto"});
  name.setAttribute("for", `code-${k}`);
  const heading = element("div", "", {className: "name"});
  heading.append(name, element("small", code.supervised ? "by labels" : "found without labels"));
  box.append(heading);
  $("codes").append(box);
  const line = element("div");
  line.append(element("dt", code.name, {dir: "auto"}), element("dd", "", {id: `read-${k}`, dir: "auto"}));
  $("readings").append(line);
  return (isClass(code) ? knobOfClasses : knobOfNumbers)(code, k, box);
});

// What draws the same picture by Python: every code is named, and the noise is that of the seed.
const quoted = text => /^[\w.,:=+\/@%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
const asCommand = () => ["ssgan sample", quoted(page.source), "-n 1", `--seed ${seed}`,
  ...page.codes.map((code, k) => quoted(`${code.name}=${shown(code, values[k])}`))].join(" ");
const asPython = () => [
  "from ssgan import NamedGenerator", "",
  `generator = NamedGenerator.load(${JSON.stringify(page.source)})`,
  `codes = {${page.codes.map((code, k) => `${JSON.stringify(code.name)}: ${isClass(code) ? JSON.stringify(shown(code, values[k])) : shown(code, values[k])}`).join(", ")}}`,
  `images = generator.sample(codes=codes, n=1, seed=${seed})  # uint8 (1, ${height}, ${width}, ${page.shape[0]})`,
].join("\n");

async function copy(text) {
  $("copied").textContent = text;
  $("copied").hidden = false;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren($("copied"));  // Ctrl-C does the rest
  }
}

$("command").addEventListener("click", () => copy(asCommand()));
$("python").addEventListener("click", () => copy(asPython()));
$("save").addEventListener("click", () => {
  const link = element("a", "", {href: $("picture").toDataURL("image/png"), download: `${page.name}.png`});
  link.click();
});
$("knobs").addEventListener("submit", event => event.preventDefault());
$("seed").addEventListener("change", () => {
  if (/^-?\d+$/.test($("seed").value)) seed = String(BigInt($("seed").value));
  show();
});
$("another").addEventListener("click", () => { seed = String(BigInt(seed) + 1n); show(); });
$("random").addEventListener("click", () => {
  seed = String(Math.floor(Math.random() * 1e6));
  set(page.codes.map(code => isClass(code) ? Math.floor(Math.random() * code.classes.length) : Math.round(200 * Math.random() - 100) / 100));
});

page.codes.forEach((code, k) => {
  $("rows").append(element("option", code.name, {value: k}));
  $("columns").append(element("option", code.name, {value: k}));
});
$("columns").append(element("option", "noise", {value: -1}));
const across = page.codes.findIndex(code => !isClass(code));
$("columns").value = across > 0 ? across : -1;
for (const axis of ["rows", "columns"]) $(axis).addEventListener("change", showGrid);
show();

// For whoever has the console open: await ssgan.draw({c: [7, 0, 0], seed: "0", index: 0}), each c a
// class's index or a number from -1 to 1. `first` is when the first picture was there, in ms; `show`
// draws everything again, by the networks that the server has by then.
window.ssgan = {page, first: 0, draw: request => draw(request, "asked"), show};
