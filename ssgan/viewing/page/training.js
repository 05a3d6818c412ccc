// What training says: all of it is on the server, which is asked again and again for what is new.
{
  const EVERY = 2000, SOON = 400, WIDE = 420, HIGH = 220, LEFT = 52, BELOW = 34, RIGHT = 12, ABOVE = 10;
  const described = JSON.parse($("described").textContent);
  let shown = described && described.generator, run = null, tag = null, pictures = null, waits = false;

  const svg = (name, properties = {}) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    return made;
  };
  const fill = (id, texts) => $(id).replaceChildren(...texts.map(text => element("li", text)));
  const short = value => String(Number(value.toPrecision(4)));

  async function look() {
    try {
      const answer = await fetch("state", {headers: tag ? {"If-None-Match": tag} : {}});
      if (answer.status === 200) {
        show(await answer.json());
        tag = answer.headers.get("ETag");
      } else if (answer.status !== 304) {
        throw new Error(await answer.text());
      }
      $("trouble").textContent = "";
    } catch (error) {
      $("trouble").textContent = error instanceof TypeError
        ? "The server has ended. All is in the run; start ssgan view again, and open its new address."
        : error.message;
    }
    setTimeout(look, waits ? SOON : EVERY);
  }

  function show(state) {
    const generator = state.generator, training = state.training;
    // Another run has this one's place now, or there are sliders at last.
    if ((run && run !== state.run) || (generator && !described)) return location.reload();
    run = state.run;
    waits = state.loading && !generator;
    if (generator && generator.name !== shown) {
      shown = generator.name;
      $("subtitle").textContent = generator.subtitle;
      window.ssgan.show();
    }
    $("status").replaceChildren(said(state), element("code", training.status.resume || ""));
    const problem = state.problem ? [`The newest checkpoint is not shown: ${state.problem}`] : [];
    fill("problems", [...problem, ...training.problems]);
    $("problems").hidden = false;
    showPictures(training.pictures);
    $("charts").replaceChildren(...training.charts.map(drawChart));
    showHealth(training.health);
  }

  function said({training: {status}, generator, loading, problem}) {
    const states = {
      training: `Training now: ${status.told}.`,
      over: `Training is over: ${status.told}.`,
      stopped: `No process trains this run: ${status.told}.`,
    };
    const waits = generator || problem ? "" : loading ? " The generator is being loaded."
      : " There is no generator yet: the first checkpoint brings one.";
    return states[status.state] + waits + (status.resume ? " To go on: " : "");
  }

  function showPictures(found) {
    $("drawn").hidden = !found;
    if (!found) return;
    const asked = $("which").value;
    if (!pictures || pictures.names.join() !== found.names.join()) {
      $("which").replaceChildren(...found.names.map(name => element("option", name.replaceAll("_", " "), {value: name})));
      if (found.names.includes(asked)) $("which").value = asked;
    }
    pictures = found;
    showPicture();
  }

  function showPicture() {
    const address = `picture/${pictures.epoch}/${encodeURIComponent($("which").value)}?${pictures.written}`;
    if ($("samples").getAttribute("src") === address) return;
    $("samples").src = $("large").href = address;
    $("samples").alt = `${$("which").selectedOptions[0].textContent} after epoch ${pictures.epoch}`;
    $("epoch").textContent = `after epoch ${pictures.epoch}`;
  }

  // A round step that parts what is between two ends in about `count`.
  function roundStep(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map(one => one * power).find(one => one >= rough * 0.999);
  }

  // The marks of an axis that holds all values, its ends among them.
  function marksOf(values) {
    let low = Math.min(...values), high = Math.max(...values);
    if (low >= 0 && (low < high / 2 || low === high)) low = 0;
    if (low === high) high = low < 0 ? 0 : 1;
    const step = roundStep(low, high, 4), first = Math.floor(low / step + 1e-9);
    const count = Math.ceil(high / step - 1e-9) - first;
    return Array.from({length: count + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  function drawChart({title, curves}) {
    const box = element("section", "", {className: "chart"});
    const points = curves.flatMap(curve => curve.points);
    const last = Math.max(2, ...points.map(point => point[0]));
    const marks = marksOf(points.map(point => point[1])), low = marks[0], high = marks[marks.length - 1];
    const x = epoch => LEFT + (epoch - 1) / (last - 1) * (WIDE - LEFT - RIGHT);
    const y = value => HIGH - BELOW - (value - low) / (high - low) * (HIGH - BELOW - ABOVE);
    const said = curves.map(({name, points}) => {
      const [first, end] = [points[0], points[points.length - 1]];
      return `${name} from ${short(first[1])} at epoch ${first[0]} to ${short(end[1])} at epoch ${end[0]}`;
    });
    const drawing = svg("svg", {viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}: ${said.join("; ")}`});
    const write = (text, properties) => {
      const made = svg("text", properties);
      made.textContent = text;
      drawing.append(made);
    };
    for (const value of marks) {
      drawing.append(svg("line", {class: "rule", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value)}));
      write(short(value), {x: LEFT - 8, y: y(value) + 4, "text-anchor": "end"});
    }
    const step = Math.ceil(roundStep(1, last, 6));
    for (let epoch = last < 6 ? 1 : step; epoch <= last; epoch += step) {
      write(String(epoch), {x: x(epoch), y: HIGH - BELOW + 17, "text-anchor": "middle"});
    }
    write("epoch", {x: WIDE - RIGHT, y: HIGH - 2, "text-anchor": "end"});
    const legend = element("ul", "", {className: "legend"});
    curves.forEach(({name, points}, i) => {
      const line = svg("g", {class: i >= 8 ? "dashed" : ""});
      const color = `curve-${i % 8}`;
      line.append(svg("polyline", {class: color, points: points.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" ")}));
      if (points.length <= 20) {
        for (const [epoch, value] of points) {
          const dot = svg("circle", {class: color, cx: x(epoch), cy: y(value), r: 2.5});
          const told = svg("title");
          told.textContent = `${name}, epoch ${epoch}: ${short(value)}`;
          dot.append(told);
          line.append(dot);
        }
      }
      drawing.append(line);
      const entry = element("li", "", {className: i >= 8 ? "dashed" : ""});
      const sample = svg("svg", {viewBox: "0 0 22 8", "aria-hidden": "true"});
      sample.append(svg("line", {class: color, x1: 0, x2: 22, y1: 4, y2: 4}));
      entry.append(sample, name, element("span", short(points[points.length - 1][1])));
      legend.append(entry);
    });
    box.append(element("h3", title), drawing, legend);
    return box;
  }

  function showHealth(found) {
    $("codes-health").hidden = !found;
    if (!found) return;
    $("measured").textContent = `after epoch ${found.epoch}`;
    fill("alarms", found.alarms);
    fill("notes", found.notes);
    const head = element("tr");
    head.append(element("th", "code", {scope: "col"}));
    for (const {title, meaning} of found.columns) head.append(element("th", title, {scope: "col", title: meaning}));
    const rows = found.rows.map(([code, cells]) => {
      const row = element("tr");
      row.append(element("th", code, {scope: "row"}), ...cells.map(cell => element("td", cell || "–")));
      return row;
    });
    $("health").replaceChildren(...found.rows.length ? [head, ...rows] : []);
  }

  $("which").addEventListener("change", showPicture);
  look();
}
