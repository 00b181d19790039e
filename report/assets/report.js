// Draws the report's charts from the data in the page. Text goes into the page as text, never as markup.
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const charts = [];
  const probes = {}; // by id: {probe, trial}
  for (const id of Object.keys(data.trials)) {
    const trial = data.trials[id];
    trial.id = id;
    trial.view = [0, trial.end / 1000];
    for (const p of trial.probes) probes[p.id] = { probe: p, trial: trial };
  }

  const words = {
    symptom: { h: "the symptom is there", n: "no symptom", b: "could not look", u: "does not count" },
    invariant: { h: "holds", n: "does not hold", b: "could not look", u: "does not count" },
  };
  const abnormal = (probe, state) => state === (probe.role === "symptom" ? "h" : "n");

  let colours;
  function readColours() {
    const css = getComputedStyle(root);
    colours = {};
    for (const name of ["paper", "card", "ink", "muted", "line", "grid", "good", "bad", "there", "calm", "blind", "uncounted",
      "band-fault", "band-inject", "band-cured", "band-other", "step"]) colours[name] = css.getPropertyValue("--" + name).trim();
  }
  readColours();
  const font = (size, weight) => (weight || 400) + " " + size + "px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const seconds = (v) => (v === 0 ? "0 s" : v < 0.001 ? "< 1 ms" : v < 0.9995 ? Math.round(v * 1000) + " ms" : v < 99.95 ? v.toFixed(2) + " s" : Math.round(v) + " s");
  const clock = (v) => (Math.abs(v) < 120 ? +v.toFixed(1) + " s" : Math.floor(v / 60) + " m" + (Math.round(v % 60) ? " " + Math.round(v % 60) + " s" : ""));
  const exact = (probe, v) => (v === null ? "no value" : probe.time ? seconds(v) : String(v));

  // top is the end of a probe's value axis, the same for both arms.
  function top(probe) {
    let most = 0;
    for (const arm of Object.values(probe.arms)) for (const v of arm.value) if (v > most) most = v;
    for (const l of probe.limits || []) {
      for (const v of [l.low, l.high]) if (v !== null && (v <= most * 12 || most === 0 || !probe.time)) most = Math.max(most, v);
    }
    return most > 0 ? most * (probe.time ? 1.25 : 1.16) : 1;
  }
  // lane says whether there are looks without a value: they are drawn in a lane of their own, below zero.
  const lane = (probe) => Object.values(probe.arms).some((arm) => arm.value.some((v) => v === null));

  function bands(u, c) {
    const ctx = u.ctx, px = devicePixelRatio, box = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left, 0, box.width, box.top + box.height);
    ctx.clip();
    for (const p of c.trial.phases[c.arm] || []) {
      const x = u.valToPos(p.start / 1000, "x", true), w = u.valToPos(p.end / 1000, "x", true) - x;
      if (x > box.left + box.width || x + w < box.left) continue;
      const kind = p.kind === "fault" ? "band-fault" : p.kind === "inject" ? "band-inject" : p.kind === "soak" && p.cured ? "band-cured" : p.kind === "remedy" || p.kind === "soak" ? "band-other" : "";
      if (kind === "band-inject") hatch(ctx, x, box.top, w, box.height, colours[kind], px);
      else if (kind) {
        ctx.fillStyle = colours[kind];
        ctx.fillRect(x, box.top, w, box.height);
      }
      if (p.kind !== "soak" && p.kind !== "baseline") {
        ctx.fillStyle = colours.line;
        ctx.fillRect(Math.round(x), box.top, px, box.height);
      }
      const sign = p.nth ? (p.cured ? "✓ " : "✗ ") + p.nth : "";
      const text = p.nth && p.short ? sign + " " + p.short : p.short;
      if (!text || !c.named) continue;
      ctx.font = font(11 * px, p.kind === "fault" ? 700 : 400);
      ctx.fillStyle = p.kind === "fault" ? colours.there : colours.muted;
      ctx.textBaseline = "bottom";
      ctx.textAlign = "left";
      const room = Math.min(x + w, box.left + box.width) - Math.max(x, box.left) - 3 * px;
      const fits = fit(ctx, text, room, sign ? 14 : 6) || fit(ctx, sign, room, 2);
      if (fits) ctx.fillText(fits, Math.max(x, box.left) + 2 * px, box.top - 3 * px);
    }
    ctx.restore();
    if (c.probe.steps && c.named) stepBands(u, c);
  }

  // fit cuts a text to the room there is, but not to fewer letters than make sense.
  function fit(ctx, text, room, least) {
    if (ctx.measureText(text).width <= room) return text;
    for (let n = text.length - 1; n >= least; n--) {
      const cut = text.slice(0, n).trimEnd() + "…";
      if (ctx.measureText(cut).width <= room) return cut;
    }
    return "";
  }

  function hatch(ctx, x, y, w, h, colour, px) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, y, w, h);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2 * px;
    ctx.beginPath();
    for (let i = -h; i < w; i += 8 * px) {
      ctx.moveTo(x + i, y + h);
      ctx.lineTo(x + i + h, y);
    }
    ctx.stroke();
    ctx.restore();
  }

  // stepBands shows how long 1, 2, 3 … lines should take, as long as that can be told apart.
  function stepBands(u, c) {
    const ctx = u.ctx, px = devicePixelRatio, box = u.bbox, low = c.probe.steps[0], high = c.probe.steps[1];
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left, box.top, box.width, box.height);
    ctx.clip();
    for (let k = 1; k * high < (k + 1) * low && k * low < u.scales.y.max && k <= 12; k++) {
      const y1 = u.valToPos(k * high, "y", true), y0 = u.valToPos(k * low, "y", true);
      ctx.fillStyle = colours.step;
      ctx.fillRect(box.left, y1, box.width, y0 - y1);
      if (y0 - y1 > 3 * px) {
        ctx.font = font(11 * px);
        ctx.fillStyle = colours.muted;
        ctx.textAlign = "right";
        ctx.textBaseline = "middle";
        ctx.fillText(k + (k === 1 ? " log line" : " log lines"), box.left + box.width - 4 * px, (y0 + y1) / 2);
      }
    }
    ctx.restore();
  }

  function limits(u, c) {
    const ctx = u.ctx, px = devicePixelRatio, box = u.bbox;
    for (const l of c.probe.limits || []) {
      for (const v of new Set([l.low, l.high])) {
        if (v === null || v > u.scales.y.max) continue;
        const y = u.valToPos(v, "y", true);
        ctx.strokeStyle = colours.ink;
        ctx.lineWidth = 1.25 * px;
        ctx.setLineDash([5 * px, 4 * px]);
        ctx.beginPath();
        ctx.moveTo(box.left, y);
        ctx.lineTo(box.left + box.width, y);
        ctx.stroke();
        ctx.setLineDash([]);
        ctx.font = font(11 * px, 600);
        ctx.textAlign = "left";
        ctx.textBaseline = y - box.top > 16 * px ? "bottom" : "top";
        ctx.fillStyle = colours.ink;
        ctx.fillText(l.text, box.left + 4 * px, y + (ctx.textBaseline === "bottom" ? -2 : 3) * px);
      }
    }
  }

  function marks(u, c) {
    const ctx = u.ctx, px = devicePixelRatio, box = u.bbox, look = c.look, probe = c.probe;
    const zero = u.valToPos(0, "y", true), laneY = u.valToPos(u.scales.y.min * 0.5, "y", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left - 6 * px, box.top - 8 * px, box.width + 12 * px, box.height + 16 * px);
    ctx.clip();
    ctx.fillStyle = colours.line;
    ctx.fillRect(box.left, Math.round(zero), box.width, px);
    const size = (c.big ? 4.2 : 3.3) * px;
    const order = look.at.map((_, i) => i).sort((a, b) => rank(probe, look.mark[a]) - rank(probe, look.mark[b]));
    for (const i of order) {
      const x = u.valToPos(look.at[i] / 1000, "x", true), v = look.value[i], state = look.mark[i];
      if (x < box.left - 1 || x > box.left + box.width + 1) continue;
      const y = v === null ? laneY : u.valToPos(v, "y", true);
      const k = look.counts[i];
      if (probe.time && v !== null) { // the wait itself, from when the page was asked for
        const end = Math.min(u.valToPos(look.at[i] / 1000 + v, "x", true), box.left + box.width);
        ctx.fillStyle = state === "u" ? colours.uncounted : abnormal(probe, state) ? colours.there : colours.calm;
        ctx.globalAlpha = 0.55;
        if (end - x > 3 * px) ctx.fillRect(x, y - px, end - x, 2 * px);
        if (state !== "u") ctx.globalAlpha = 1;
        if (k) bricks(ctx, x, zero, y, k, px, c.big);
        ctx.globalAlpha = 1;
      }
      mark(ctx, x, y, abnormal(probe, state) ? "abnormal" : state, size, px);
    }
    if (probe.time) labels(u, c, size);
    ctx.restore();
  }
  const rank = (probe, state) => (state === "u" ? 0 : abnormal(probe, state) ? 2 : 1);

  // bricks stacks one block for each line under a mark: so many lines, so many times that time.
  function bricks(ctx, x, zero, y, k, px, big) {
    const w = (big ? 9 : 6) * px, h = (zero - y) / k;
    for (let i = 0; i < k; i++) ctx.fillRect(x - w / 2, zero - (i + 1) * h + (i === k - 1 ? 0 : px), w, h - 2 * px);
  }

  function mark(ctx, x, y, state, r, px) {
    ctx.lineWidth = 1.5 * px;
    ctx.beginPath();
    switch (state) {
      case "abnormal":
        r *= 1.45;
        ctx.moveTo(x, y - r);
        ctx.lineTo(x + r, y);
        ctx.lineTo(x, y + r);
        ctx.lineTo(x - r, y);
        ctx.closePath();
        ctx.fillStyle = colours.there;
        ctx.fill();
        ctx.lineWidth = px;
        ctx.strokeStyle = colours.card;
        ctx.stroke();
        break;
      case "b":
        ctx.moveTo(x - r, y - r);
        ctx.lineTo(x + r, y + r);
        ctx.moveTo(x + r, y - r);
        ctx.lineTo(x - r, y + r);
        ctx.lineWidth = 2 * px;
        ctx.strokeStyle = colours.blind;
        ctx.stroke();
        break;
      case "u":
        r *= 0.72;
        ctx.rect(x - r, y - r, 2 * r, 2 * r);
        ctx.lineWidth = px;
        ctx.strokeStyle = colours.uncounted;
        ctx.stroke();
        break;
      default:
        ctx.arc(x, y, r * 0.8, 0, 2 * Math.PI);
        ctx.strokeStyle = colours.calm;
        ctx.stroke();
    }
  }

  // labels writes the times of the slowest pages beside them, as many as fit beside each other's bricks.
  function labels(u, c, size) {
    const ctx = u.ctx, px = devicePixelRatio, box = u.bbox, look = c.look;
    const slow = look.at.map((_, i) => i)
      .filter((i) => look.value[i] !== null && look.mark[i] !== "u" && (look.counts[i] || look.value[i] > u.scales.y.max * 0.45))
      .sort((a, b) => look.value[b] - look.value[a]).slice(0, 8);
    const place = (i) => [u.valToPos(look.at[i] / 1000, "x", true), u.valToPos(look.value[i], "y", true)];
    const taken = slow.map((i) => { // what a label must not be written on: left, top, right, bottom
      const [x, y] = place(i), w = size + 2 * px;
      return [x - w, y - w, x + w, look.counts[i] ? u.valToPos(0, "y", true) : y + w];
    });
    for (const i of slow) {
      const k = look.counts[i], v = look.value[i], [at, top] = place(i), gap = size + 6 * px;
      const h = (c.big ? 15 : 13) * px, y = top - 4 * px;
      ctx.font = font((c.big ? 13 : 11) * px, 650);
      const choices = k > 1 && c.big && !c.narrow ? [seconds(v) + " = " + k + " × " + seconds(v / k), seconds(v)] : [seconds(v)];
      for (const [text, left] of choices.flatMap((t) => [[t, at + gap], [t, at - gap - ctx.measureText(t).width]])) {
        const area = [left, y - h, left + ctx.measureText(text).width, y];
        if (area[0] < box.left || area[2] > box.left + box.width || taken.some((b) => area[0] < b[2] && b[0] < area[2] && area[1] < b[3] && b[1] < area[3])) continue;
        taken.push(area);
        ctx.textAlign = "left";
        ctx.textBaseline = "bottom";
        ctx.fillStyle = abnormal(c.probe, look.mark[i]) ? colours.there : colours.ink;
        ctx.fillText(text, left, y);
        break;
      }
    }
  }

  // roomy leaves marks at both ends of a part of the time axis some room.
  const roomy = ([from, to]) => [from - (to - from) * 0.008, to + (to - from) * 0.008];

  function make(host) {
    const found = probes[host.dataset.probe];
    const c = { host: host, probe: found.probe, trial: found.trial, arm: host.dataset.arm, at: -1 };
    c.look = c.probe.arms[c.arm] || { at: [], value: [], state: "", mark: "", text: [], lines: {}, counts: {}, why: {} };
    c.big = Boolean(host.closest(".big"));
    c.named = c.arm === "fault";
    const high = top(c.probe), low = lane(c.probe) ? -high * (c.big ? 0.13 : 0.24) : -high * 0.05;
    const narrow = c.narrow = host.clientWidth < 520;
    const last = host === [...host.closest(".probe").querySelectorAll(".plot")].pop(); // the time axis is the last chart's
    const step = c.probe.steps ? Math.ceil(c.probe.steps[0]) : 0;
    c.plot = new uPlot({
      width: host.clientWidth, height: host.clientHeight,
      padding: [c.named ? 18 : 6, 10, 0, 0],
      legend: { show: false },
      scales: { x: { time: false, range: () => roomy(c.trial.view) }, y: { range: () => [low, high] } },
      axes: [
        { stroke: () => colours.muted, grid: { show: false }, ticks: { stroke: () => colours.line, size: 4 }, font: font(11), size: last ? 26 : 5, gap: 3, space: narrow ? 55 : 75, values: (u, ticks) => ticks.map((v) => (last ? clock(v) : "")) },
        { stroke: () => colours.muted, grid: { stroke: () => colours.grid, width: 1 }, ticks: { show: false }, font: font(11), size: narrow ? 40 : 52, gap: 4, space: c.big ? 28 : 24,
          incrs: step ? [step, 2 * step, 5 * step, 10 * step, 20 * step] : c.probe.time ? undefined : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000],
          values: (u, ticks) => ticks.map((v) => (v < 0 ? null : c.probe.time ? (v === 0 ? "0" : v < 1 && high < 1.5 ? Math.round(v * 1000) + " ms" : +v.toFixed(2) + " s") : v)) },
      ],
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false }, sync: { key: c.trial.id }, bind: { dblclick: () => () => zoom(c.trial, 0, c.trial.end / 1000) } },
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        drawClear: [(u) => bands(u, c)],
        draw: [(u) => { limits(u, c); marks(u, c); }],
        setCursor: [(u) => { if (c.host.matches(":hover")) { c.at = u.cursor.idx === null || u.cursor.idx === undefined || u.cursor.left < 0 ? -1 : u.cursor.idx; tell(c); } }],
        setSelect: [(u) => {
          if (u.select.width > 8) zoom(c.trial, u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    }, [c.look.at.map((t) => t / 1000), c.look.value.slice()], host);
    c.tip = el("div", "tip");
    c.tip.setAttribute("role", "status");
    c.tip.hidden = true;
    host.append(c.tip);
    host.addEventListener("mouseleave", () => { c.at = -1; tell(c); });
    host.addEventListener("blur", () => { c.at = -1; tell(c); });
    host.addEventListener("keydown", (e) => key(c, e));
    charts.push(c);
    return c;
  }

  function phaseOf(c, i) {
    const at = c.look.at[i];
    return (c.trial.phases[c.arm] || []).find((p) => at >= p.start && at < p.end);
  }

  const linesOf = (probe, look, i) => (look.lines[i] || []).map((n) => probe.texts[n]);

  // tell says what the look under the cursor showed.
  function tell(c) {
    const i = c.at, look = c.look;
    c.tip.hidden = i < 0;
    if (i < 0) return;
    const phase = phaseOf(c, i);
    c.tip.replaceChildren();
    const head = el("div");
    head.append(el("b", "", exact(c.probe, look.value[i])), " · " + words[c.probe.role][look.mark[i]]);
    c.tip.append(head, el("div", "quiet", "at " + clock(look.at[i] / 1000) + (phase ? " · " + phase.name.replaceAll("_", " ") : "")));
    const text = c.probe.texts[look.text[i]], why = look.why[i];
    if (text) c.tip.append(el("div", "", text));
    if (look.mark[i] !== look.state[i]) c.tip.append(el("div", "quiet", "with the looks before it: " + words[c.probe.role][look.state[i]]));
    if (why !== undefined) c.tip.append(el("div", "", c.probe.texts[why]));
    const lines = linesOf(c.probe, look, i);
    for (const line of lines.slice(0, 5)) c.tip.append(el("code", "", line));
    if (lines.length > 5) c.tip.append(el("div", "quiet", "and " + (lines.length - 5) + " more lines"));
    const x = c.plot.valToPos(look.at[i] / 1000, "x") + c.plot.over.offsetLeft;
    const room = c.host.clientWidth - c.tip.offsetWidth;
    c.tip.style.left = Math.max(0, Math.min(room, x - c.tip.offsetWidth / 2)) + "px";
  }

  function key(c, e) {
    const n = c.look.at.length;
    if (!n || e.ctrlKey || e.metaKey || e.altKey) return;
    let to = c.at;
    const phase = c.at >= 0 ? phaseOf(c, c.at) : undefined;
    switch (e.key) {
      case "ArrowRight": to = Math.min(n - 1, c.at + 1); break;
      case "ArrowLeft": to = c.at < 0 ? n - 1 : Math.max(0, c.at - 1); break;
      case "Home": to = 0; break;
      case "End": to = n - 1; break;
      case "PageDown":
        for (to = Math.max(0, c.at); to < n - 1 && phaseOf(c, to) === phase; to++);
        break;
      case "PageUp":
        for (to = c.at < 0 ? n - 1 : c.at; to > 0 && phaseOf(c, to) === phase; to--);
        break;
      case "Escape": to = -1; break;
      default: return;
    }
    e.preventDefault();
    c.at = to;
    const at = to >= 0 ? c.look.at[to] / 1000 : 0;
    if (to >= 0 && (at < c.trial.view[0] || at > c.trial.view[1])) zoom(c.trial, 0, c.trial.end / 1000);
    if (to >= 0) c.plot.setCursor({ left: c.plot.valToPos(at, "x"), top: 10 }, false);
    tell(c);
  }

  function zoom(trial, from, to) {
    trial.view = [from, to];
    for (const c of charts) if (c.trial === trial) c.plot.setScale("x", { min: from, max: to });
    for (const b of document.querySelectorAll(".zoom button")) {
      if (b.dataset.trial === trial.id) b.setAttribute("aria-pressed", String(Math.abs(b.dataset.start / 1000 - from) < 0.002 && Math.abs(b.dataset.end / 1000 - to) < 0.002));
    }
  }

  function redraw() {
    readColours();
    for (const c of charts) c.plot.redraw(false, true);
  }

  const resized = new ResizeObserver((all) => {
    for (const r of all) {
      const c = charts.find((o) => o.host === r.target);
      if (c && r.target.clientWidth) c.plot.setSize({ width: r.target.clientWidth, height: r.target.clientHeight });
    }
  });

  // Charts are made when they can be seen: those of a folded trial when it is opened.
  function build() {
    for (const host of document.querySelectorAll(".plot")) {
      if (host.dataset.made || !host.clientWidth) continue;
      host.dataset.made = "yes";
      make(host);
      resized.observe(host);
    }
  }

  function looksTable(details) {
    const found = probes[details.dataset.probe], probe = found.probe;
    const box = el("div", "scroll"), table = el("table", "looks"), head = el("tr"), body = el("tbody");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "every look of " + probe.name);
    for (const h of ["arm", "at", "phase", "state", probe.label || "value", "what was seen"]) {
      const th = el("th", "", h);
      th.scope = "col";
      head.append(th);
    }
    for (const arm of Object.keys(probe.arms).sort().reverse()) {
      const c = { look: probe.arms[arm], trial: found.trial, arm: arm };
      for (let i = 0; i < c.look.at.length; i++) {
        const row = el("tr"), phase = phaseOf(c, i), what = el("td", "", probe.texts[c.look.text[i]] || "");
        if (c.look.why[i] !== undefined) what.append(el("div", "", probe.texts[c.look.why[i]]));
        for (const line of linesOf(probe, c.look, i)) what.append(el("code", "", line));
        const cells = [arm, "+" + (c.look.at[i] / 1000).toFixed(2) + " s", phase ? phase.name : "", words[probe.role][c.look.state[i]], c.look.value[i] === null ? "" : String(c.look.value[i])];
        for (const text of cells) row.append(el("td", "", text));
        row.append(what);
        body.append(row);
      }
    }
    const top = el("thead");
    top.append(head);
    table.append(top, body);
    box.append(table);
    details.append(box);
  }

  async function fullLog(details) {
    const pre = el("pre"), filter = el("input");
    filter.type = "search";
    filter.placeholder = "show only lines with …";
    filter.setAttribute("aria-label", "show only lines with");
    pre.tabIndex = 0;
    details.append(filter, pre);
    let text = "";
    try {
      const packed = Uint8Array.from(atob(data.logs[details.dataset.log]), (ch) => ch.charCodeAt(0));
      text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    } catch (e) {
      text = "This browser cannot unpack the log; it is in the run's folder, in logs/.";
    }
    pre.textContent = text;
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      pre.textContent = wanted ? text.split("\n").filter((l) => l.toLowerCase().includes(wanted)).join("\n") : text;
    });
  }

  document.addEventListener("toggle", (e) => {
    const d = e.target;
    if (!d.open) return;
    if (d.matches("details.trial")) build();
    if (d.dataset.made) return;
    if (d.matches("details.table")) looksTable(d);
    else if (d.matches("details.full")) fullLog(d);
    else return;
    d.dataset.made = "yes";
  }, true);

  document.addEventListener("click", (e) => {
    const zoomed = e.target.closest(".zoom button"), copy = e.target.closest(".copy");
    if (zoomed) zoom(data.trials[zoomed.dataset.trial], zoomed.dataset.start / 1000, zoomed.dataset.end / 1000);
    if (copy) copyText(copy, document.getElementById(copy.dataset.copy));
  });

  async function copyText(button, from) {
    let done = false;
    try {
      await navigator.clipboard.writeText(from.textContent.trim());
      done = true;
    } catch (e) { // not allowed for a file, in some browsers
      getSelection().selectAllChildren(from);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "copied" : "press Ctrl+C";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  }

  function open() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const trial = target && target.closest("details.trial");
    if (trial && !trial.open) {
      trial.open = true;
      trial.scrollIntoView();
    }
  }
  addEventListener("hashchange", open);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { root.classList.add("paper"); redraw(); });
  addEventListener("afterprint", () => { root.classList.remove("paper"); redraw(); });
  build();
  open();
})();
