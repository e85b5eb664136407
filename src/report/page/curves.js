// The curves of the page of trainings, and what changes how they are drawn. The build puts it into runs.html.

// ---- along what curves are drawn ----

// Where lines are many, the curve is a mean of them at first, and what it was made of stands behind it.
const noisy = runs.some(r => curve(r, "loss").count > 250);
const state = {along: "step", logX: false, values: "automatic", smooth: noisy ? .2 : 0, from: null, to: null,
  hidden: new Set()};
const shown = () => runs.filter(r => !state.hidden.has(r.index));
const longest = largest(runs.map(r => r.totals.seconds || 0), 0);
const [UNIT, SECONDS] = longest < 300 ? ["s", 1] : longest < 4 * 3600 ? ["min", 60] : ["h", 3600];
const compact = x => Math.abs(x) >= 1e6 ? short(x / 1e6) + "M" : Math.abs(x) >= 1e4 ? short(x / 1e3) + "k" : short(x);
const ALONG = {
  step: {name: "steps", axis: "step", place: x => `step ${grouped(x)}`, text: compact},
  samples: {name: "samples", axis: "samples", place: x => `${grouped(x)} samples`, text: compact},
  epochs: {name: "epochs", axis: "epochs", place: x => `${short(x)} epochs`, text: short},
  seconds: {name: "training time", axis: `training time, ${UNIT}`, place: x => `${short(x)} ${UNIT}`, text: short},
};
// Where a step lies on the axis: between two lines of the log on the straight line through them.
function placeOf(run, step) {
  if (state.along === "step") return step;
  const {steps, values} = run.axes[state.along] || {steps: []}, n = steps.length;
  if (!n) return null;
  let low = -1, high = n - 1; // low -1 is the beginning, where all is zero
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle; else high = middle;
  }
  const x0 = low < 0 ? 0 : steps[low], y0 = low < 0 ? 0 : values[low];
  const y = steps[high] > x0 ? y0 + (step - x0) / (steps[high] - x0) * (values[high] - y0) : values[high];
  return state.along === "seconds" ? y / SECONDS : y;
}
const points = (run, c) => c.steps.map((step, i) => [placeOf(run, step), c.values[i]]).filter(p => p[0] != null);

// The mean of a curve's points around each of them, weighted by exp(-distance / width): one sweep from either end.
function smoothed(c, width) {
  const from = c.mean || c, n = from.steps.length, sum = new Array(n).fill(0), weight = new Array(n).fill(0);
  for (const [first, way] of [[0, 1], [n - 1, -1]]) {
    let s = 0, w = 0, at = from.steps[first];
    for (let i = first; i >= 0 && i < n; i += way) {
      const fade = Math.exp(-Math.abs(from.steps[i] - at) / width), there = from.values[i] != null;
      s = s * fade + (there ? from.values[i] : 0);
      w = w * fade + (there ? 1 : 0);
      at = from.steps[i];
      sum[i] += s - (way < 0 && there ? from.values[i] : 0); // itself counts once
      weight[i] += w - (way < 0 && there ? 1 : 0);
    }
  }
  return {steps: from.steps, values: sum.map((s, i) => weight[i] > 0 ? s / weight[i] : null)};
}
const lastStep = largest(runs.map(r => r.totals.last_step), 1);
const smoothing = () => state.smooth ** 2 * lastStep / 5; // in steps; fine at the slider's beginning

// ---- a chart of all runs ----

// lines: [key, form, name]; form: train, held, average. spec: title, unit, key; y (its ends); log: on a logarithmic axis
// where that shows more; intervals; exact: not smoothed; factor (that values are multiplied by); limit (a value that is
// drawn over the width) and its name. null where there is nothing to draw.
function chart(spec, lines, width) {
  const drawn = linesOf(spec, lines);
  const inside = p => (state.from == null || p[0] >= state.from) && (state.to == null || p[0] <= state.to);
  const seen = drawn.flatMap(d => d.raw).filter(p => p[1] != null && inside(p));
  if (!seen.length) return null;
  const a = ALONG[state.along], {x, logX} = endsX(seen), {y, logY} = endsY(spec, seen);
  const c = new Chart(x, y, {title: spec.title, unit: spec.unit, key: spec.key, xName: a.axis, xText: a.text,
    place: a.place, width, height: width > 600 ? 310 : 270, logX, logY, zoom});
  if (lines.length > 1) c.picture.setAttribute("class", "both");
  if (spec.limit > y[0] && spec.limit < y[1])
    c.add("path", {class: "limit", d: `M${c.left} ${c.atY(spec.limit).toFixed(1)}H${c.right}`},
          svg("title", null, spec.limitName));
  marks(c);
  for (const d of drawn) drawLine(c, d, spec.intervals);
  return c.figure;
}

// What is drawn: of each run each line that has a number.
function linesOf({factor = 1, exact}, lines) {
  const drawn = [], scaled = list => list.map(([x, y]) => [x, y == null ? null : y * factor]);
  for (const run of shown())
    for (const [key, form, name] of lines) {
      const c = curve(run, key);
      if (!c.values.some(v => v != null)) continue;
      const soft = form === "train" && !exact && smoothing() > 0 && c.count > 3;
      drawn.push({run, key, form, raw: scaled(points(run, c)),
        soft: soft && scaled(points(run, smoothed(c, smoothing()))),
        name: ONE ? name : lines.length > 1 ? `${run.name}, ${name}` : run.name});
    }
  return drawn;
}
function endsX(seen) {
  const x = seen.reduce((r, p) => [Math.min(r[0], p[0]), Math.max(r[1], p[0])], [Infinity, -Infinity]);
  const positive = seen.reduce((m, p) => p[0] > 0 && p[0] < m ? p[0] : m, Infinity);
  x[0] = state.from != null ? state.from : Math.min(0, x[0]);
  if (state.to != null) x[1] = state.to;
  const logX = state.logX && positive < x[1];
  if (logX) x[0] = Math.max(x[0], positive);
  if (!(x[1] > x[0])) return {x: logX ? [x[0] / 2, x[0] * 2] : [x[0] - 1, x[0] + 1], logX};
  return {x, logX};
}
function endsY(spec, seen) {
  let least = Infinity, most = -Infinity, above = Infinity; // above: the least that is more than zero
  for (const [, v] of seen) {
    least = Math.min(least, v);
    most = Math.max(most, v);
    if (v > 0) above = Math.min(above, v);
  }
  if (spec.y) return {y: spec.y, logY: false};
  const logY = above < Infinity && (state.values === "logarithmic" ||
    state.values === "automatic" && spec.log && most > 20 * above);
  if (logY) return {y: [above / 1.2, Math.max(most, above * 1.5) * 1.2], logY};
  return {y: least < 0 ? range([least, most], .05) : fromZero([most]), logY};
}
function drawLine(c, d, intervals) {
  const [x0, x1] = c.x, logY = c.options.logY, css = form => `${form} ${d.run.css}`;
  const within = list => list.map(p => logY && p[1] != null && p[1] <= 0 ? [p[0], null] : p)
    .filter(p => p[0] >= x0 && p[0] <= x1);
  const raw = within(d.raw), soft = d.soft && within(d.soft);
  if (intervals) interval(c, d, within);
  c.line(raw, css(soft ? "raw" : d.form));
  if (soft) c.line(soft, css("train"));
  c.name(d.name + (soft ? ", smoothed" : ""), soft || raw, d.run.css);
  if (raw.length === 1 || d.form !== "train" && raw.length < 200)
    for (const [px, py] of raw)
      c.dot(px, py, raw.length > 60 ? 1.8 : 2.8, css(d.form === "train" ? "held" : d.form));
  for (const [px, py] of d.raw)
    if (py == null && px >= x0 && px <= x1)
      c.add("path", {class: "broken", d: `M${c.atX(px) - 4} ${c.top}l8 8m0 -8l-8 8`},
            svg("title", null, `${d.name}: not a finite number at ${c.options.place(px)}`));
}

// 95 % intervals: upright lines or, where they are many, the field between their ends. Those of the moving average would
// lie over the others.
function interval(c, d, within) {
  if (d.form === "average" && curve(d.run, "pc_success").count) return;
  const [low, high] = ["low", "high"].map(end => within(points(d.run, curve(d.run, `${d.key}_95.${end}`))));
  if (low.length !== high.length || !low.length) return;
  const ends = low.map((p, i) => [p, high[i]]).filter(([p, q]) => p[1] != null && q[1] != null);
  if (ends.length > 60 || ends.length > 1 && !ONE)
    c.add("path", {class: `between ${d.run.css}`, d: c.path(ends.map(e => e[1])) +
      c.path(ends.map(e => e[0]).reverse()).replace("M", "L") + "Z"});
  else
    for (const [p, q] of ends)
      c.add("path", {class: `interval ${d.run.css}`,
                     d: `M${c.atX(p[0]).toFixed(1)} ${c.atY(p[1]).toFixed(1)}V${c.atY(q[1]).toFixed(1)}`});
}

// Checkpoints on the axis; where one run was stopped, or went on with other settings, over the height.
function marks(c) {
  const there = x => x != null && x >= c.x[0] && x <= c.x[1];
  for (const run of shown()) {
    for (const {step} of run.checkpoints.slice(-300)) {
      const x = placeOf(run, step);
      if (there(x) && !(c.options.logX && x <= 0))
        c.add("path", {class: `saved ${run.css}`, d: `M${c.atX(x).toFixed(1)} ${c.bottom - 5}l3.5 5h-7z`},
              svg("title", null, `${ONE ? "" : run.name + ": "}checkpoint of step ${grouped(step)}`));
    }
    for (const step of ONE ? new Set([...stops(run), ...run.changes.map(g => g.step)]) : []) {
      const x = placeOf(run, step);
      if (there(x)) c.add("path", {class: "went", d: `M${c.atX(x).toFixed(1)} ${c.top}V${c.bottom}`},
                          svg("title", null, stops(run).includes(step) ? `stopped after step ${grouped(step)}`
                            : `other settings before step ${grouped(step)}`));
    }
  }
}

// ---- all charts ----

const TRAIN = "training", HELD = "held out", AVERAGE = "held out, moving average";
const has = key => runs.some(r => curve(r, key).values.some(v => v != null));
const hasVae = runs.some(r => curve(r, "kld_loss").values.some(v => v));
const KNOWN = ["loss", "l1_loss", "kld_loss", "eval_loss", "ema_eval_loss", "pc_success", "ema_pc_success", "mean_steps",
  "ema_mean_steps", "n_episodes", "ema_n_episodes", "grad_norm", "lr", "update_s", "dataloading_s"];
const others = [...new Set(runs.flatMap(r => Object.keys(r.curves)))]
  .filter(k => !KNOWN.includes(k) && !/_95\.(low|high)$/.test(k));
// A time of a step in ms where that is what it takes.
const inMilliseconds = key => runs.every(r => (lastOf(curve(r, key)) || {value: 0}).value < 1);
const time = (title, key) => inMilliseconds(key) ? [{title, unit: "ms", key, factor: 1000, log: true}, [[key, "train", title]]]
  : [{title, unit: "s", key, log: true}, [[key, "train", title]]];
const clips = [...new Set(runs.map(r => setting(r, "optimizer.grad_clip_norm")))];

const groups = [
  ["Losses", [
    [{title: "L1 loss", key: "l1_loss, eval_loss", log: true}, [["l1_loss", "train", TRAIN], ["eval_loss", "held", HELD],
                                          ["ema_eval_loss", "average", AVERAGE]]],
    hasVae && [{title: "Loss", key: "loss", log: true}, [["loss", "train", TRAIN]]],
    hasVae && [{title: "KL divergence", key: "kld_loss", log: true}, [["kld_loss", "train", TRAIN]]],
    !hasVae && !has("l1_loss") && [{title: "Loss", key: "loss", log: true}, [["loss", "train", TRAIN]]]]],
  ["In simulation", [
    [{title: "Success rate", unit: "%", key: "pc_success", y: [0, 100], intervals: true},
      [["pc_success", "held", "success"], ["ema_pc_success", "average", "moving average"]]],
    [{title: "Length of an episode, mean", unit: "steps", key: "mean_steps"},
      [["mean_steps", "held", "steps"], ["ema_mean_steps", "average", "moving average"]]]]],
  ["Optimiser", [
    [{title: "Norm of the gradient, before clipping", key: "grad_norm", log: true,
      limit: clips.length === 1 ? clips[0] : null, limitName: `clipped at ${clips[0]}`},
     [["grad_norm", "train", "norm"]]],
    [{title: "Learning rate", key: "lr", exact: true}, [["lr", "train", "rate"]]]]],
  ["Time", [time("A step, without waiting", "update_s"), time("Waiting for data, a step", "dataloading_s")]],
  ["Other figures of the log", others.map(key => [{title: key, key}, [[key, "train", key]]])],
];

const keyOf = {
  "Losses": () => key(["train", "on training data"], has("eval_loss") && ["held", "held out"],
    has("ema_eval_loss") && ["average", "held out, the moving average's weights"],
    runs.some(r => r.checkpoints.length) && ["saved", "a checkpoint"],
    runs.some(r => Object.values(r.curves).some(c => c.values.includes(null))) && ["cross", "not a finite number"]),
  "In simulation": () => key(["held", "success"], has("ema_pc_success") && ["average", "the moving average's weights"],
    [ONE ? "interval" : "between", "95 % interval (Wilson's)"]),
};
const places = [];
function sections() {
  for (const [title, charts] of groups) {
    const asked = charts.filter(Boolean).filter(([, lines]) => lines.some(l => has(l[0])));
    if (!asked.length) continue;
    const place = html("div", {class: "wide"});
    places.push([place, asked]);
    section(title, keyOf[title] && keyOf[title](), place);
  }
}
let roomy = true; // a screen, not paper: of an odd number of charts the first takes a whole row
function draw() {
  for (const [place, charts] of places) {
    const odd = roomy && place.clientWidth > 890 && charts.filter(([spec, lines]) => chart(spec, lines, 520)).length % 2;
    const figures = charts.map(([spec, lines], i) => chart(spec, lines, odd && i === 0 ? 1070 : 520)).filter(Boolean);
    if (odd && figures.length) figures[0].classList.add("first");
    place.replaceChildren(...(figures.length ? figures : [note("Nothing of the runs that are shown lies here.")]));
  }
}
let waiting = false;
function redraw() { // once a frame, however fast a slider moves
  if (!waiting) requestAnimationFrame(() => { waiting = false; draw(); });
  waiting = true;
}

let drawnWidth = document.documentElement.clientWidth;
window.addEventListener("resize", () => { // its height changes with every swipe on a telephone
  if (drawnWidth !== document.documentElement.clientWidth) redraw();
  drawnWidth = document.documentElement.clientWidth;
});
for (const [event, screen] of [["beforeprint", false], ["afterprint", true]])
  window.addEventListener(event, () => { roomy = screen; draw(); });

// ---- how curves are drawn ----

// While a run's name is pointed at, the others step back.
function light(run) {
  for (const e of document.querySelectorAll(".wide svg [class*=' r']"))
    e.style.opacity = run && !e.getAttribute("class").endsWith(" " + run.css) ? .08 : "";
}

const controls = {};
function zoom(from, to) {
  const digits = x => x == null ? "" : String(state.along === "step" ? Math.round(x) : Number(x.toPrecision(4)));
  controls.from.value = digits(from);
  controls.to.value = digits(to);
  Object.assign(state, {from, to});
  controls.whole.hidden = from == null && to == null;
  redraw();
}
function tools() {
  const on = (element, event, act) => {
    element.addEventListener(event, () => { act(element); redraw(); });
    return element;
  };
  const select = (options, act) =>
    on(html("select", null, options.map(([value, name]) => html("option", {value}, name))), "change", act);
  const known = Object.entries(ALONG).filter(([k]) => k === "step" || runs.some(r => r.axes[k]));
  const along = select(known.map(([k, a]) => [k, a.name]), e => { state.along = e.value; zoom(null, null); });
  const values = select(["automatic", "linear", "logarithmic"].map(v => [v, v]), e => { state.values = e.value; });
  const logX = on(html("input", {type: "checkbox"}), "change", e => { state.logX = e.checked; });
  const told = html("output"), tell = () => {
    told.textContent = smoothing() > 0 ? `± ${compact(Math.max(1, Math.round(smoothing())))} steps` : "none";
  };
  const smooth = on(html("input", {type: "range", min: 0, max: 100, value: 100 * state.smooth}), "input", e => {
    state.smooth = e.value / 100;
    tell();
  });
  tell();
  const end = name => {
    controls[name] = html("input", {type: "number", "aria-label": name === "from" ? "from" : "up to", min: 0, step: "any",
                                    placeholder: name === "from" ? "start" : "end"});
    const typed = n => controls[n].value === "" ? null : Number(controls[n].value);
    return on(controls[name], "change", () => zoom(typed("from"), typed("to")));
  };
  controls.whole = html("button", {type: "button", hidden: ""}, "show all");
  controls.whole.addEventListener("click", () => zoom(null, null));
  const label = (text, ...inputs) => html("label", null, html("span", null, text), ...inputs);
  const range = html("div", null, html("span", null, "from "), end("from"), html("span", null, " to "), end("to"), " ",
    controls.whole);
  const choose = !ONE && html("fieldset", {class: "runs", "aria-label": "runs that are drawn"}, runs.map(run => {
    const box = on(html("input", {type: "checkbox", checked: ""}), "change", e => {
      if (e.checked) state.hidden.delete(run.index); else state.hidden.add(run.index);
    });
    const name = html("label", {class: run.css}, box, run.name);
    for (const event of ["pointerenter", "focusin"]) name.addEventListener(event, () => light(run));
    for (const event of ["pointerleave", "focusout"]) name.addEventListener(event, () => light(null));
    return name;
  }));
  page.append(html("div", {class: "tools", role: "group", "aria-label": "how curves are drawn"}, label("along", along),
    label("logarithmic", logX), label("values", values), label("smoothing", smooth, told), range, choose));
}
