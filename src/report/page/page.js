// Shared by the pages that tact writes: elements, charts, tables. The build puts it into each of them.

// ---- text and elements ----

// html("p", {class: "note"}, "text", element, ...): strings become text nodes, null and false nothing.
function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) if (value != null) element.setAttribute(name, value);
  for (const c of children.flat(Infinity)) if (c != null && c !== false) element.append(c);
  return element;
}
const html = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  made(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const note = (...text) => html("p", {class: "note"}, ...text);

// About three significant digits, with an exponent only where it helps: 0.0312, 3.12, 31.2, 3120.
function number(x) {
  if (x == null) return "–";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return x.toExponential(2);
  return x.toFixed(size >= 100 || size === 0 ? 0 : 2 - Math.floor(Math.log10(size)));
}
const short = x => String(Number(x.toPrecision(3)));
const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
const sign = unit => unit === "deg" ? "°" : unit;
const count = (n, one) => n + " " + one + (n === 1 ? "" : "s");
const share = (a, b) => b > 0 && a != null ? a / b : null;

// ---- charts ----

function range(values, margin) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (v != null) low = Math.min(low, v), high = Math.max(high, v);
  if (low > high) return [0, 1];
  let length = high - low, part = margin;
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (!(length > 1e-9 * size)) length = size || 1, part = 0.5; // what does not move gets a field to be seen in
  return [low - part * length, high + part * length];
}
const largest = (values, least) => values.reduce((a, b) => b > a ? b : a, least);
const fromZero = values => [0, 1.05 * largest(values, 0) || 1];

// Round numbers (1, 2 or 5 times a power of ten apart) within a range, at most `most`.
function ticks([low, high], most) {
  const least = (high - low) / most;
  if (!(least > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 5, 10]) {
    const step = factor * power, first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    if (last - first + 1 > most) continue;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const rounded = v => Number(v.toPrecision(3));
    const tiny = v => v !== 0 && Math.abs(v) < 1e-3 ? rounded(v).toExponential() : String(rounded(v));
    const text = v => digits > 3 || Math.abs(v) >= 1e5 ? tiny(v) : v.toFixed(digits);
    return Array.from({length: last - first + 1}, (_, i) => [(first + i) * step || 0, text((first + i) * step || 0)]);
  }
  return [];
}

// The same for a logarithmic axis: powers of ten, with 2 and 5 times them where these are few.
function logTicks([low, high], most) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), found = [];
  const inside = Math.ceil(Math.log10(low)), every = Math.max(1, Math.ceil((Math.floor(Math.log10(high)) - inside + 1) / most));
  const factors = last - first <= most / 2 ? [1, 2, 5] : [1];
  for (let power = first; power <= last; power++)
    for (const factor of (power - inside) % every === 0 ? factors : []) {
      const v = Number(`${factor}e${power}`);
      if (v >= low && v <= high) found.push([v, v >= 1e-3 && v < 1e5 ? String(v) : v.toExponential(0)]);
    }
  return found.length > 1 ? found : ticks([low, high], most);
}

// options: title, unit (of y), xName ("time ahead"), xUnit, small or width and height; logX, logY; xText(x), how a place
// is written on the axis. Of lines that have a name the pointer, and the arrow keys, read out the numbers: in the
// caption, or with `place(x)`, which makes a text of a place, in a box beside them. zoom(from, to): what dragging calls.
class Chart {
  constructor(x, y, options) {
    const width = options.width || (options.small ? 270 : 360), height = options.height || (options.small ? 140 : 210);
    Object.assign(this, {x, y, options, left: 46, right: width - 12, top: options.unit ? 18 : 8, bottom: height - 34});
    this.scaleX = options.logX ? Math.log10 : v => v;
    this.scaleY = options.logY ? Math.log10 : v => v;
    this.endsX = x.map(this.scaleX);
    this.endsY = y.map(this.scaleY);
    this.named = [];
    this.readout = html("small", {"aria-live": "polite"}, options.key);
    this.picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.title});
    this.figure = html("figure", {class: "chart"}, html("figcaption", null, html("span", null, options.title),
                       this.readout), this.picture);
    this.grid(options);
    this.picture.addEventListener("pointermove", e => this.read(this.placeOf(e)));
    this.picture.addEventListener("pointerleave", () => this.unread());
    this.picture.addEventListener("blur", () => this.unread());
    this.picture.addEventListener("keydown", e => this.step(e));
    if (options.zoom) this.picture.addEventListener("pointerdown", e => this.drag(e));
  }
  atX(v) {
    return this.left + (this.scaleX(v) - this.endsX[0]) / (this.endsX[1] - this.endsX[0]) * (this.right - this.left);
  }
  atY(v) {
    return this.bottom - (this.scaleY(v) - this.endsY[0]) / (this.endsY[1] - this.endsY[0]) * (this.bottom - this.top);
  }
  add(tag, attributes, ...children) { this.picture.append(svg(tag, attributes, ...children)); }
  grid({small, xName, xUnit, unit, logX, logY, xText}) {
    for (const [v, text] of (logY ? logTicks : ticks)(this.y, small ? 4 : 6)) {
      const y = this.atY(v);
      this.add("path", {class: v === 0 ? "zero" : "grid", d: `M${this.left} ${y.toFixed(1)}H${this.right}`});
      this.add("text", {class: "end", x: this.left - 5, y: (y + 3.5).toFixed(1)}, text);
    }
    for (const [v, text] of (logX ? logTicks : ticks)(this.x, small ? 5 : 7)) {
      const x = this.atX(v).toFixed(1);
      this.add("path", {class: "tick", d: `M${x} ${this.bottom}v4`});
      this.add("text", {class: "mid", x, y: this.bottom + 15}, xText ? xText(v) : text);
    }
    this.add("path", {class: "axis", d: `M${this.left} ${this.bottom}H${this.right}`});
    const name = [xName, xUnit].filter(Boolean).join(", ");
    this.add("text", {class: "end", x: this.right, y: this.bottom + 29}, name);
    const long = unit && unit.length > 5;
    if (unit) this.add("text", {class: long ? null : "end", x: long ? 12 : this.left - 5, y: 7}, sign(unit));
  }
  path(points) { // breaks where there is no number
    let d = "", down = false;
    for (const [x, y] of points) {
      if (y != null) d += (down ? "L" : "M") + this.atX(x).toFixed(1) + " " + this.atY(y).toFixed(1);
      down = y != null;
    }
    return d;
  }
  line(points, css, name) {
    this.add("path", {class: css, d: this.path(points)});
    if (name) this.name(name, points, css);
  }
  name(name, points, css) { // these are read out
    this.named.push({name, css, points: points.filter(p => p[1] != null)});
    this.picture.setAttribute("tabindex", "0");
  }
  band(low, high) {
    const both = (p, i) => low[i][1] != null && high[i][1] != null;
    const there = high.filter(both), back = low.filter(both).reverse();
    if (!there.length) return;
    this.add("path", {class: "band", d: this.path(there) + this.path(back).replace("M", "L") + "Z"});
  }
  dot(x, y, radius, css, title) {
    if (y == null) return;
    this.add("circle", {class: css, cx: this.atX(x).toFixed(1), cy: this.atY(y).toFixed(1), r: radius},
             title && svg("title", null, title));
  }
  cross(x, y, title) {
    const [a, b] = [this.atX(x), this.atY(y)];
    this.add("path", {class: "cross", d: `M${a - 3} ${b - 3}l6 6m0 -6l-6 6`}, title && svg("title", null, title));
  }
  bar(x0, x1, y) {
    this.add("path", {class: "bar", d: `M${(this.atX(x0) + .5).toFixed(1)} ${this.bottom}V${this.atY(y).toFixed(1)}` +
      `H${(this.atX(x1) - .5).toFixed(1)}V${this.bottom}Z`});
  }
  upright(x) { this.add("path", {class: "hair", d: `M${this.atX(x).toFixed(1)} ${this.top}V${this.bottom}`}); }
  placeOf(event) {
    const box = this.picture.getBoundingClientRect(), scale = this.picture.viewBox.baseVal.width / box.width;
    const part = ((event.clientX - box.left) * scale - this.left) / (this.right - this.left);
    const at = this.endsX[0] + Math.min(Math.max(part, 0), 1) * (this.endsX[1] - this.endsX[0]);
    return this.options.logX ? 10 ** at : at;
  }
  // The nearest point of every named line that has one about there.
  nearest(at) {
    const apart = p => Math.abs(this.atX(p[0]) - this.atX(at));
    return this.named.filter(l => l.points.length).map(l => {
      let low = 0, high = l.points.length - 1; // the two that the place lies between
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (l.points[middle][0] < at) low = middle; else high = middle;
      }
      return {...l, point: apart(l.points[low]) <= apart(l.points[high]) ? l.points[low] : l.points[high]};
    });
  }
  read(at) {
    let found = this.nearest(at);
    if (!found.length) return;
    this.unread();
    const closest = found.reduce((a, b) => Math.abs(b.point[0] - at) < Math.abs(a.point[0] - at) ? b : a);
    const x = this.options.place ? closest.point[0] : found[0].point[0];
    this.hair = svg("path", {class: "hair", d: `M${this.atX(x)} ${this.top}V${this.bottom}`});
    this.picture.append(this.hair);
    this.shown = x;
    const unit = sign(this.options.unit || "");
    if (!this.options.place) {
      this.readout.textContent = `${short(x)} ${this.options.xUnit || ""}: ` +
        found.map(l => l.name + " " + number(l.point[1])).join(", ") + " " + unit;
      return;
    }
    // A line that ended long before is not read.
    found = found.filter(l => Math.abs(this.atX(l.point[0]) - this.atX(x)) < 0.05 * (this.right - this.left));
    const rows = found.slice(0, 24).map(l => html("div", null, html("i", {class: l.css}), html("span", null, l.name),
      html("b", null, number(l.point[1]))));
    const side = this.atX(x) < (this.left + this.right) / 2 ? "left" : "right";
    const width = this.picture.viewBox.baseVal.width, place = side === "left" ? this.atX(x) : width - this.atX(x);
    const style = `${side}:calc(${(100 * place / width).toFixed(2)}% + 10px)`;
    this.tip = html("div", {class: "tip", role: "status", style},
      html("small", null, this.options.place(x) + (unit && ", in " + unit)), rows);
    this.figure.append(this.tip);
  }
  unread() {
    if (this.hair) this.hair.remove();
    if (this.tip) this.tip.remove();
    this.shown = null;
    this.readout.textContent = this.options.key || "";
  }
  // Arrow keys go from point to point.
  step(event) {
    const ways = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity};
    if (event.key === "Escape") this.unread();
    if (!(event.key in ways) || !this.named.length) return;
    event.preventDefault();
    if (!this.places) {
      const inside = x => x >= this.x[0] && x <= this.x[1];
      this.places = [...new Set(this.named.flatMap(l => l.points.map(p => p[0])))].filter(inside).sort((a, b) => a - b);
    }
    const last = this.places.length - 1, now = this.shown == null ? -1 : this.places.findIndex(x => x >= this.shown);
    const first = this.shown == null && ways[event.key] < 0 ? last + 1 : now;
    if (last >= 0) this.read(this.places[Math.min(Math.max(first + ways[event.key], 0), last)]);
  }
  drag(event) {
    if (event.button !== 0) return;
    const from = this.placeOf(event), box = svg("rect", {class: "chosen", y: this.top, height: this.bottom - this.top});
    this.picture.append(box);
    this.picture.setPointerCapture(event.pointerId);
    const ends = e => [from, this.placeOf(e)].sort((a, b) => a - b), wide = e => {
      const [a, b] = ends(e).map(v => this.atX(v));
      box.setAttribute("x", a);
      box.setAttribute("width", b - a);
      return b - a > 6;
    };
    this.picture.addEventListener("pointermove", wide);
    const stop = e => {
      this.picture.removeEventListener("pointermove", wide);
      box.remove();
      if (e.type === "pointerup" && wide(e)) this.options.zoom(...ends(e));
    };
    this.picture.addEventListener("pointerup", stop, {once: true});
    this.picture.addEventListener("pointercancel", stop, {once: true});
  }
}
const key = (...entries) => html("div", {class: "key"}, entries.filter(Boolean)
  .map(([css, text]) => html("span", null, html("i", {class: css}), text)));
const panels = (...figures) => html("div", {class: "panels"}, figures);

// ---- tables ----

// columns: {name, left, value(row), cell(row) -> what is shown}. A heading sorts by its value. What comes back has
// only(keep), which leaves the rows for which keep(row) is true, in the order that was chosen.
function table(columns, rows, most = Infinity) {
  const body = html("tbody"), more = html("button", {class: "more", type: "button"});
  let shown = rows.slice(), all = false, order = null;
  const cell = (c, row) => html("td", {class: c.left ? "l" : null}, c.cell ? c.cell(row) : number(c.value(row)));
  const fill = () => {
    body.replaceChildren();
    for (const row of all ? shown : shown.slice(0, most)) body.append(html("tr", null, columns.map(c => cell(c, row))));
    more.textContent = `Show all ${shown.length}`;
    more.hidden = all || shown.length <= most;
  };
  const heads = columns.map(c => {
    const head = html("th", {class: c.left ? "l" : null, scope: "col"});
    if (!c.value) return made(head, null, [c.name]);
    const button = html("button", {type: "button"}, c.name);
    button.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      const compare = (a, b) => a == null ? 1 : b == null ? -1 : way * (typeof a === "string" ? a.localeCompare(b) : a - b);
      order = (a, b) => compare(c.value(a), c.value(b));
      shown.sort(order);
      fill();
    });
    return made(head, null, [button]);
  });
  more.addEventListener("click", () => { all = true; fill(); });
  fill();
  const whole = html("div", null, html("div", {class: "scroll"},
    html("table", null, html("thead", null, html("tr", null, heads)), body)), more);
  whole.only = keep => {
    shown = rows.filter(keep);
    if (order) shown.sort(order);
    fill();
  };
  return whole;
}
// A column of a row's own texts, and of its whole numbers.
const words = (name, field) => ({name, left: true, value: row => row[field], cell: row => row[field]});
const whole = (name, field) => ({name, value: row => row[field], cell: row => String(row[field])});
function meter(part) {
  return html("div", {class: part > 1 ? "meter worse" : "meter"},
    part != null && html("i", {style: `width:${(100 * Math.min(part, 1)).toFixed(1)}%`}));
}

// ---- sections ----

const page = document.getElementById("page");
// The top of a page. rows: [name, value], and those without a value are left out.
function heading(kicker, title, rows) {
  page.append(html("div", {class: "kicker"}, kicker), html("h1", null, title),
    html("dl", {class: "facts"}, rows.filter(f => f[1]).map(([name, value]) =>
      html("div", null, html("dt", null, name), html("dd", null, value)))));
}
function section(title, ...content) { page.append(html("section", null, html("h2", null, title), ...content)); }
const card = (title, value, unit, bar, text) => html("div", {class: "card"}, html("div", null, title),
  html("div", {class: "big"}, value, unit && html("small", null, sign(unit))), bar, html("div", {class: "note"}, text));
