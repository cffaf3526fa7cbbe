// Draws the report from the block of data. Every text becomes a text node: nothing that a model wrote is ever read as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs;
  const comparing = new Set(runs.map((run) => run.command)).size < runs.length;
  const many = runs.length > 1;
  const byId = (id) => document.getElementById(id);

  // ---- Elements and numbers ---------------------------------------------------------------------------------------------

  const kSvg = "http://www.w3.org/2000/svg";

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function svg(name, attributes, ...children) {
    const made = document.createElementNS(kSvg, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const isNumber = (value) => typeof value === "number";
  const group = (value) => value.toLocaleString("en-US");
  const plural = (value, noun) => `${group(value)} ${noun}${value === 1 ? "" : "s"}`;
  const percent = (value) => (isNumber(value) ? (100 * value).toFixed(1) + " %" : "–");

  // The digits that say something; very large and very small numbers with an exponent.
  function number(value) {
    if (!isNumber(value)) return "no number";
    const size = Math.abs(value);
    if (value === 0) return "0";
    if (Number.isInteger(value) && size < 1e7) return group(value);
    return size >= 1e7 ? value.toExponential(2) : String(+value.toPrecision(size < 1e-3 ? 3 : 4));
  }

  function count(value) {
    if (value >= 1e9) return +(value / 1e9).toPrecision(3) + " G";
    if (value >= 1e6) return +(value / 1e6).toPrecision(3) + " M";
    if (value >= 1e4) return +(value / 1e3).toPrecision(3) + " k";
    return group(value);
  }

  function bytes(value) {
    if (!isNumber(value)) return "–";
    if (value >= 1e9) return (value / 1e9).toFixed(2) + " GB";
    return value >= 1e6 ? (value / 1e6).toFixed(2) + " MB" : (value / 1e3).toFixed(1) + " kB";
  }

  function duration(seconds) {
    if (seconds < 60) return +seconds.toPrecision(3) + " s";
    const two = (x) => String(x).padStart(2, "0");
    const all = Math.round(seconds);
    const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
    if (h === 0) return s === 0 ? `${m} min` : `${m}:${two(s)} min`;
    return s > 0 ? `${h}:${two(m)}:${two(s)} h` : m > 0 ? `${h}:${two(m)} h` : `${h} h`;
  }

  // Seconds between marks of a clock, at most six of them.
  function clockStep(longest) {
    const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200];
    return steps.find((step) => longest / step <= 6) || 86400 * Math.ceil(longest / (6 * 86400));
  }

  const kAxes = {
    step: { title: "steps", show: (x) => group(x) },
    tokens: { title: "tokens", show: count },
    seconds: { title: "seconds of training steps", show: duration },
  };

  // ---- Curves of the runs -----------------------------------------------------------------------------------------------

  for (const run of runs) {
    run.curve = new Map();
    for (const part of run.curves) {
      for (const [name, values] of Object.entries(part.values)) run.curve.set(name, { at: part.at, values });
    }
  }

  function named(test) {
    const names = [];
    for (const run of runs) {
      for (const name of run.curve.keys()) if (test(name) && !names.includes(name)) names.push(name);
    }
    return names;
  }

  const kPartNames = { "time/rollout": "sampling", "time/reward": "rewards", "time/learn": "learning", "time/journal": "journal" };
  const rewardName = (name) => name.slice("rewards/".length, -"/mean".length);
  const curve = (name, label, more = {}) => ({ name, label, ...more });

  // What is drawn, in order. A chart without a curve in any run of its section is left out.
  const kCharts = [
    { title: "In training: what each rule gave", note: "Mean over the step's completions.", share: true,
      curves: named((n) => n.startsWith("rewards/") && n.endsWith("/mean")).map((n, i) => curve(n, rewardName(n), { extra: i > 0 })) },
    { title: "On held-out problems", note: "Problems that are not trained on.", bandNote: "The band is pass@1's 95 % interval.", share: true,
      curves: [curve("eval/pass_at_1", "pass@1", { low: "eval/pass_at_1_low", high: "eval/pass_at_1_high" }),
               curve("eval/greedy", "greedy", { extra: true }), curve("eval/majority", "majority", { extra: true }),
               curve("eval/format_rate", "right format", { extra: true })] },
    { title: "Reward", note: "Weighted sum of the rules.", bandNote: "The band is one standard deviation of the completions.",
      curves: [curve("reward", "reward", { spread: "reward_std" })] },
    { title: "Completion length", note: "Mean tokens.", bandNote: "The band reaches from the shortest to the longest.",
      curves: [curve("completions/mean_length", "tokens", { low: "completions/min_length", high: "completions/max_length" })] },
    { title: "Loss", note: "", curves: [curve("loss", "loss")] },
    { title: "Entropy", note: "Nats a token: how undecided the policy is.", curves: [curve("entropy", "entropy")] },
    { title: "Gradient norm", note: "Before clipping.", curves: [curve("grad_norm", "gradient norm")] },
    { title: "Learning rate", note: "", curves: [curve("learning_rate", "learning rate")] },
    { title: "Groups without a difference", note: "Share of prompts whose completions all have the same reward: they teach nothing.",
      curves: [curve("frac_reward_zero_std", "share")], share: true },
    { title: "Cut completions", note: "Share that reached the longest length allowed.", curves: [curve("completions/clipped_ratio", "share")], share: true },
    { title: "Clip ratio", note: "Share of tokens whose ratio leaves the clip range.",
      curves: [curve("clip_ratio/region_mean", "either side"), curve("clip_ratio/low_mean", "low", { extra: true }),
               curve("clip_ratio/high_mean", "high", { extra: true })] },
    { title: "KL divergence to the starting policy", note: "", curves: [curve("kl", "KL")] },
    { title: "Difference between sampler and learner", note: "Largest of the step, of a token's log-prob.",
      curves: [curve("sampling/sampling_logp_difference/max", "largest")] },
    { title: "Routing disagreements", note: "Expert choices that differ between sampler and learner.",
      curves: [curve("routing_disagreements", "slots")] },
    { title: "Time of a step", note: "Seconds, by what they were spent on.", stacked: true,
      curves: named((n) => n.startsWith("time/")).map((n) => curve(n, kPartNames[n] || n.slice(5))) },
    { title: "Time of a step, total", note: "Seconds.", curves: [curve("step_time", "seconds")], unless: "time/learn" },
  ];
  // Drawn with others, or not worth a picture of their own.
  const kUsed = new Set(["eval/mean_length", "num_tokens", "reward_std", "step_time", "completions/min_length", "completions/max_length",
    "sampling/sampling_logp_difference/mean", "eval/pass_at_1_low", "eval/pass_at_1_high"]);
  for (const chart of kCharts) for (const c of chart.curves) kUsed.add(c.name);

  // ---- Colours ----------------------------------------------------------------------------------------------------------

  const kColors = 8;
  const kDashes = [[], [6, 4], [2, 3], [9, 3, 2, 3]];
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (i) => style("--c" + (i % kColors));
  const faded = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
  const dash = (i) => kDashes[i % kDashes.length];

  function swatch(stroke, dashes) {
    return svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" },
      svg("line", { x1: 1, y1: 6, x2: 25, y2: 6, stroke, "stroke-width": 3, "stroke-dasharray": dashes.join(" ") }));
  }

  // ---- Charts -----------------------------------------------------------------------------------------------------------

  const live = [];  // {chart, datasets' makers}
  const hiddenRuns = new Set();
  let axis = "step";

  const xs = (run, at) => at.map((i) => run.lines[axis][i]);
  const points = (run, at, values) => xs(run, at).map((x, i) => ({ x, y: values[i] }));

  // One entry a line that is drawn: a curve of a run.
  function entriesOf(definition, section) {
    const entries = [];
    section.forEach((run) => {
      definition.curves.forEach((c, i) => {
        if (!run.curve.has(c.name)) return;
        // Colours tell runs apart where some are compared, else the curves of one run.
        const place = runs.indexOf(run);
        entries.push({
          run, definition: c, curve: run.curve.get(c.name), hidden: comparing && Boolean(c.extra), alone: section.length === 1,
          color: comparing ? place : i, dash: comparing ? i + Math.floor(place / kColors) : i,
          label: !comparing ? c.label : definition.curves.length > 1 ? `${run.name}: ${c.label}` : run.name,
        });
      });
    });
    return entries;
  }

  function bandOf(entry) {
    const { definition, run, curve: main } = entry;
    const values = (name) => (run.curve.has(name) ? run.curve.get(name).values : null);
    if (definition.spread && values(definition.spread)) {
      const spread = values(definition.spread);
      const shifted = (sign) => main.values.map((v, i) => (isNumber(v) && isNumber(spread[i]) ? v + sign * spread[i] : null));
      return [shifted(-1), shifted(1)];
    }
    const [low, high] = [values(definition.low), values(definition.high)];
    return low && high ? [low, high] : null;
  }

  function datasetsOf(entries, stacked) {
    const datasets = [];
    for (const entry of entries) {
      const hidden = entry.hidden || hiddenRuns.has(entry.run);
      const stroke = color(entry.color);
      const base = { parsing: false, normalized: true, spanGaps: false, hidden, pointHitRadius: 6, clip: 6, entry };
      const few = entry.curve.at.length <= 40;
      datasets.push({ ...base, label: entry.label, data: points(entry.run, entry.curve.at, entry.curve.values), borderColor: stroke,
        backgroundColor: stacked ? faded(stroke, 0.35) : stroke, borderWidth: stacked ? 1 : 2, borderDash: stacked ? [] : dash(entry.dash),
        pointRadius: few && !stacked ? 2.5 : entry.curve.at.length === 1 ? 4 : 0, fill: stacked ? (datasets.length === 0 ? "origin" : "-1") : false });
      const band = stacked || !entry.alone ? null : bandOf(entry);
      if (!band) continue;
      const edge = { ...base, band: true, borderWidth: 0, pointRadius: 0, pointHitRadius: 0, backgroundColor: faded(stroke, 0.16) };
      datasets.push({ ...edge, label: "", data: points(entry.run, entry.curve.at, band[0]), fill: false });
      datasets.push({ ...edge, label: "", data: points(entry.run, entry.curve.at, band[1]), fill: "-1" });
    }
    return datasets;
  }

  function optionsOf(definition, entries) {
    const all = entries.flatMap((e) => e.curve.values).filter(isNumber);
    const longest = Math.max(1, ...entries.map((e) => e.run.lines.seconds[e.curve.at[e.curve.at.length - 1]]));
    const bounded = definition.share && all.every((v) => v >= 0 && v <= 1 + 1e-9);  // means may be rounded up
    const ticks = { color: style("--soft"), maxRotation: 0, autoSkipPadding: 16, font: { size: 12 } };
    const grid = { color: style("--grid"), borderColor: style("--line") };
    return {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: { type: "linear", bounds: "data", min: 0, grid, title: { display: true, text: kAxes[axis].title, color: style("--soft"), font: { size: 12 } },
             ticks: { ...ticks, includeBounds: false, precision: axis === "step" ? 0 : undefined, stepSize: axis === "seconds" ? clockStep(longest) : undefined, callback: (x) => kAxes[axis].show(x) } },
        y: { type: "linear", stacked: Boolean(definition.stacked), beginAtZero: Boolean(definition.stacked), grid,
             ...(bounded ? { min: 0, max: 1 } : {}),
             ticks: { ...ticks, maxTicksLimit: 7, callback: (y) => (bounded ? Math.round(100 * y) + " %" : number(y)) } },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          filter: (item) => !item.dataset.band, boxPadding: 4,
          callbacks: {
            title: (items) => (items.length ? `${kAxes[axis].show(items[0].parsed.x)} ${axis === "seconds" ? "" : kAxes[axis].title}` : ""),
            label: (item) => ` ${item.dataset.label}: ${bounded ? percent(item.parsed.y) : number(item.parsed.y)}`,
          },
        },
      },
    };
  }

  function inWords(entry) {
    const values = entry.curve.values;
    const known = values.map((v, i) => [v, i]).filter(([v]) => isNumber(v));
    if (known.length === 0) return `${entry.label}: no numbers`;
    const step = (i) => group(entry.run.lines.step[entry.curve.at[i]]);
    const [first, last] = [known[0], known[known.length - 1]];
    let least = Infinity, most = -Infinity;
    for (const [v] of known) { least = Math.min(least, v); most = Math.max(most, v); }
    return `${entry.label}: ${number(first[0])} at step ${step(first[1])}, ${number(last[0])} at step ${step(last[1])}, ` +
      `between ${number(least)} and ${number(most)}`;
  }

  // The numbers of a chart: a row a point, a column a curve.
  function tableOf(title, entries) {
    const names = [...new Set(entries.map((e) => e.definition.label))];
    const header = element("tr", {}, ...(many ? [element("th", { scope: "col" }, "run")] : []),
      ...["step", "tokens", "seconds", ...names].map((text) => element("th", { scope: "col", class: "number" }, text)));
    const body = element("tbody");
    for (const run of new Set(entries.map((e) => e.run))) {
      const rows = new Map();
      for (const entry of entries.filter((e) => e.run === run)) {
        entry.curve.at.forEach((line, i) => {
          if (!rows.has(line)) rows.set(line, {});
          rows.get(line)[entry.definition.label] = entry.curve.values[i];
        });
      }
      for (const line of [...rows.keys()].sort((a, b) => a - b)) {
        body.append(element("tr", {}, ...(many ? [element("td", {}, run.name)] : []),
          element("th", { scope: "row", class: "number" }, group(run.lines.step[line])),
          ...[run.lines.tokens[line], run.lines.seconds[line]].map((x) => element("td", { class: "number" }, group(x))),
          ...names.map((name) => element("td", { class: "number" }, name in rows.get(line) ? number(rows.get(line)[name]) : ""))));
      }
    }
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers: ${title}` },
      element("table", {}, element("thead", {}, header), body));
  }

  // One key a curve. Where runs are compared, their colours are in the bar above and a key stands for all of them.
  function legendOf(entries, redraw) {
    const list = element("ul", { class: "legend" });
    for (const definition of new Set(entries.map((e) => e.definition))) {
      const own = entries.filter((e) => e.definition === definition);
      const first = own[0];
      const stroke = comparing && !first.stacked ? "var(--soft)" : `var(--c${first.color % kColors})`;
      const button = element("button", { type: "button", class: "key", "aria-pressed": String(!first.hidden) },
        swatch(stroke, first.stacked ? [] : dash(first.dash)), definition.label);
      button.addEventListener("click", () => {
        for (const entry of own) entry.hidden = !entry.hidden;
        button.setAttribute("aria-pressed", String(!first.hidden));
        redraw();
      });
      list.append(element("li", {}, button));
    }
    return list.childElementCount > 1 ? list : "";
  }

  function draw(definition, entries) {
    const canvas = element("canvas", { role: "img", "aria-label": `${definition.title}. ${entries.map(inWords).join("; ")}.` });
    const item = { definition, entries, canvas, chart: null };
    item.redraw = () => {
      item.chart.data.datasets = datasetsOf(entries, definition.stacked);
      item.chart.options = optionsOf(definition, entries);
      item.chart.update("none");
    };
    const details = element("details", {}, element("summary", {}, "As a table"));
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(tableOf(definition.title, entries));
    });
    if (definition.stacked) for (const entry of entries) entry.stacked = true;
    const notes = [definition.note, entries.some((e) => e.alone && bandOf(e)) ? definition.bandNote : ""].filter(Boolean).join(" ");
    const figure = element("figure", {}, element("figcaption", {}, element("h3", {}, definition.title), element("p", {}, notes)),
      legendOf(entries, item.redraw), element("div", { class: "plot" }, canvas), details);
    return { figure, start: () => {
      item.chart = new Chart(canvas, { type: "line", data: { datasets: datasetsOf(entries, definition.stacked) }, options: optionsOf(definition, entries) });
      live.push(item);
    } };
  }

  // A picture of a line that never leaves its value says less than the sentence does.
  function isConstant(entries) {
    const values = entries.flatMap((e) => e.curve.values);
    return values.every((v) => v === values[0]);
  }

  function timeBars(section) {
    const parts = named((n) => n.startsWith("time/"));
    const rows = section.filter((run) => parts.some((p) => p in run.seconds));
    if (rows.length === 0) return null;
    const head = element("tr", {}, element("th", { scope: "col" }, "run"),
      ...parts.map((p) => element("th", { scope: "col", class: "number" }, kPartNames[p] || p.slice(5))),
      element("th", { scope: "col", class: "number" }, "all steps"));
    const body = element("tbody", {}, ...rows.map((run) => {
      const total = run.seconds.step_time || parts.reduce((sum, p) => sum + (run.seconds[p] || 0), 0);
      return element("tr", {}, element("th", { scope: "row" }, run.name),
        ...parts.map((p) => element("td", { class: "number" }, p in run.seconds ? `${duration(run.seconds[p])} (${percent(run.seconds[p] / total)})` : "–")),
        element("td", { class: "number" }, duration(total)));
    }));
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Time by part" },
      element("table", {}, element("thead", {}, head), body));
  }

  const kSections = { grpo: "GRPO", sft: "Supervised fine-tuning", distill: "Distillation" };

  function drawSection(command, section, several) {
    const box = element("div");
    if (several) box.append(element("h3", {}, kSections[command] || command));
    const grid = element("div", { class: "grid" });
    const starts = [];
    const flat = [];
    for (const definition of kCharts) {
      if (definition.unless && section.some((run) => run.curve.has(definition.unless))) continue;
      if (definition.stacked && section.length > 1) continue;  // below, as one line a run
      const entries = entriesOf(definition, section);
      if (entries.length === 0) continue;
      if (isConstant(entries)) { flat.push([definition.title, entries[0].curve.values[0]]); continue; }
      const drawn = draw(definition, entries);
      grid.append(drawn.figure);
      starts.push(drawn.start);
    }
    if (section.length > 1) {
      const entries = entriesOf({ curves: [curve("step_time", "seconds")] }, section);
      if (entries.length) {
        const drawn = draw({ title: "Time of a step", note: "Seconds." }, entries);
        grid.append(drawn.figure);
        starts.push(drawn.start);
      }
    }
    box.append(grid);
    if (section.length > 1) {
      const bars = timeBars(section);
      if (bars) box.append(element("h3", {}, "Time by part"), bars);
    }
    if (flat.length) {
      box.append(element("div", { class: "flat" }, "The same at every logged step:",
        element("ul", {}, ...flat.map(([title, value]) => element("li", {}, `${title}: ${number(value)}`)))));
    }
    const others = named((n) => !kUsed.has(n)).filter((n) => section.some((run) => run.curve.has(n)));
    if (others.length) box.append(drawOthers(others, section));
    byId("sections").append(box);
    for (const start of starts) start();
  }

  // Everything else that was logged, drawn when it is asked for.
  function drawOthers(names, section) {
    const details = element("details", {}, element("summary", {}, `All other metrics (${names.length})`));
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      const grid = element("div", { class: "grid" });
      details.append(grid);
      for (const name of names) {
        const definition = { title: name, note: "", curves: [curve(name, name)] };
        const drawn = draw(definition, entriesOf(definition, section));
        grid.append(drawn.figure);
        drawn.start();
      }
    });
    return details;
  }

  function redrawAll() { for (const item of live) item.redraw(); }

  // ---- The parts of the page --------------------------------------------------------------------------------------------

  function stateOf(run) {
    const { last_step: last, max_steps: max } = run.state;
    if (max === null) return `${group(last)} steps`;
    return last >= max ? `${group(last)} steps, finished` : `step ${group(last)} of ${group(max)}`;
  }

  function showTop() {
    byId("title").textContent = data.title;
    const run = runs[0];
    const last = (values) => values[values.length - 1];
    const facts = [kSections[run.command] || run.command, stateOf(run), `${count(last(run.lines.tokens))} tokens`,
      `${duration(last(run.lines.seconds))} of training steps`];
    if (run.provenance.seed) facts.push(`seed ${run.provenance.seed}`);
    byId("subtitle").textContent = data.title === run.name ? facts.join(" · ") : `${runs.length} runs`;
    for (const r of runs) {
      const notes = [];
      if (r.state.max_steps !== null && r.state.last_step < r.state.max_steps) notes.push(`${stateOf(r)}: still running, or stopped there`);
      if (r.state.torn_line) notes.push("the last line of metrics.jsonl was incomplete and is left out");
      if (notes.length) byId("notices").append(element("p", { class: "notice" }, `${r.name}: ${notes.join("; ")}`));
    }
    byId("build").textContent = `Written by ${data.build}. A function of the run's files: the same files give the same page.`;
  }

  function interval(policy) {
    const at = (share) => 4 + 120 * Math.min(1, Math.max(0, share));
    const [low, high] = policy.ci95 || [policy.pass_at_1, policy.pass_at_1];
    return svg("svg", { class: "interval", viewBox: "0 0 128 16", role: "img", "aria-label": `${percent(low)} to ${percent(high)} on a scale from 0 to 100 %` },
      svg("line", { class: "track", x1: 4, x2: 124, y1: 8, y2: 8, "stroke-width": 2 }),
      svg("line", { class: "range", x1: at(low), x2: Math.max(at(high), at(low) + 1), y1: 8, y2: 8, "stroke-width": 8 }),
      svg("circle", { class: "mean", cx: at(policy.pass_at_1), cy: 8, r: 3.5 }));
  }

  const kPolicies = { base: "base", grpo: "after GRPO", student: "student", control: "control (rejection sampling)" };
  const bestOf = (policy, prefix) => {
    const found = Object.keys(policy).find((key) => key.startsWith(prefix) && key !== "pass_at_1");
    return found ? `${percent(policy[found])} @${found.slice(prefix.length)}` : "–";
  };

  function showPolicies() {
    const policies = data.policies;
    if (policies.length === 0) { byId("policies").remove(); return; }
    const several = new Set(policies.map((p) => p.run)).size > 1;
    const columns = [
      ["pass@1 (95 % interval)", (p) => percent(p.pass_at_1) + (p.ci95 ? ` (${(100 * p.ci95[0]).toFixed(1)} – ${(100 * p.ci95[1]).toFixed(1)})` : "")],
      ["0 – 100 %", interval],
      ["greedy", (p) => percent(p.greedy)],
      ["maj@n", (p) => (isNumber(p.majority) ? percent(p.majority) : bestOf(p, "maj_at_"))],
      ["pass@n", (p) => bestOf(p, "pass_at_")],
      ["format", (p) => percent(p.format_rate)],
      ["tokens", (p) => (isNumber(p.mean_length) ? p.mean_length.toFixed(1) : "–")],
      ["parameters", (p) => (isNumber(p.parameters) ? count(p.parameters) + (isNumber(p.active_parameters) && p.active_parameters !== p.parameters
        ? ` (${count(p.active_parameters)} active)` : "") : "–")],
      ["file", (p) => bytes(p.bytes)],
    ].filter(([, show]) => policies.some((p) => show(p) !== "–"));
    const head = element("tr", {}, ...(several ? [element("th", { scope: "col" }, "run")] : []), element("th", { scope: "col" }, "policy"),
      ...columns.map(([name]) => element("th", { scope: "col", class: "number" }, name)));
    const body = element("tbody", {}, ...policies.map((p) => element("tr", {}, ...(several ? [element("td", {}, p.run)] : []),
      element("th", { scope: "row" }, kPolicies[p.name] || p.name), ...columns.map(([, show]) => element("td", { class: "number" }, show(p))))));
    byId("policy-table").append(element("thead", {}, head), body);
    if (several) return;
    const first = policies[0];
    const last = policies.filter((p) => p.name !== "control" && p.name !== "student").pop();
    const student = policies.find((p) => p.name === "student");
    const tile = (what, text, note) => byId("headline").append(element("div", { class: "tile" }, element("span", { class: "soft" }, what),
      element("b", {}, text), ...(note ? [element("span", { class: "soft" }, note)] : [])));
    const change = (key) => (first === last ? percent(last[key]) : `${percent(first[key])} → ${percent(last[key])}`);
    tile("pass@1", change("pass_at_1"), last.ci95 ? `95 %: ${percent(last.ci95[0])} – ${percent(last.ci95[1])}` : "");
    if (isNumber(last.greedy)) tile("greedy", change("greedy"), "");
    if (isNumber(last.mean_length) && isNumber(first.mean_length))
      tile("tokens a completion", `${first.mean_length.toFixed(1)} → ${last.mean_length.toFixed(1)}`, "");
    if (student) tile("student, pass@1", percent(student.pass_at_1), isNumber(student.parameters) ? `${count(student.parameters)} parameters` : "");
  }

  function showNumerics() {
    const measured = runs.filter((run) => run.one_numerics);
    if (measured.length === 0) { byId("numerics").remove(); return; }
    const say = (kind, text) => byId("numerics-text").append(element("p", { class: kind }, text));
    const isSame = ({ one_numerics: n }) => n.largest_difference === 0 && n.routing_disagreements === 0;
    const same = measured.filter(isSame);
    const of = (list) => (measured.length > 1 ? `${list.length === measured.length ? "In every run" : list.map((run) => run.name).join(", ")}: ` : "");
    if (same.length > 0) {
      const steps = same.reduce((sum, run) => sum + run.one_numerics.lines, 0);
      say("verdict", `${of(same)}sampling_logp_difference is 0 and routing_disagreements is 0 at all ${group(steps)} logged steps. ` +
        "The log-probs and expert choices that were sampled are, bit for bit, those that were trained on.");
    }
    for (const run of measured.filter((r) => !isSame(r))) {
      const { lines, largest_difference: largest, routing_disagreements: disagreements } = run.one_numerics;
      say("verdict wrong", `${of([run])}over ${group(lines)} logged steps the largest difference between a sampled and a trained log-prob is ` +
        `${number(largest)}, and ${number(disagreements)} routing decisions differ.`);
    }
  }

  function showRunKeys() {
    if (!comparing) return;
    for (const [i, run] of runs.entries()) {
      const button = element("button", { type: "button", class: "key", "aria-pressed": "true" }, swatch(`var(--c${i % kColors})`, dash(Math.floor(i / kColors))), run.name);
      button.addEventListener("click", () => {
        if (!hiddenRuns.delete(run)) hiddenRuns.add(run);
        button.setAttribute("aria-pressed", String(!hiddenRuns.has(run)));
        redrawAll();
      });
      byId("runs").append(button);
    }
  }

  // The text with its tags marked; each piece a text node.
  function withTags(text) {
    const pieces = document.createDocumentFragment();
    for (const piece of text.split(/(<\/?[A-Za-z_][\w-]*>)/)) {
      if (piece === "") continue;
      pieces.append(/^<\/?[A-Za-z_][\w-]*>$/.test(piece) ? element("span", { class: "tag" }, piece) : piece);
    }
    return pieces;
  }

  function completionCard(record) {
    const signed = (value) => (isNumber(value) ? (value > 0 ? "+" : "") + number(value) : "none");
    const chips = element("ul", { class: "chips", "aria-label": "Rewards" },
      ...record.rewards.map((r) => element("li", r.value === 1 ? { class: "full" } : {}, `${r.name} ${isNumber(r.value) ? number(r.value) : "no score"}`)),
      element("li", {}, `reward ${number(record.reward)}`),
      element("li", { class: record.advantage < 0 ? "bad" : record.advantage > 0 ? "good" : "" }, `advantage ${signed(record.advantage)}`),
      element("li", {}, `${group(record.num_tokens)} tokens${record.finish_reason === "length" ? ", cut" : ""}`));
    return element("article", { class: "completion", "aria-label": `${record.which} reward of its group` },
      element("p", { class: "small" }, `${record.which[0].toUpperCase()}${record.which.slice(1)} reward of its group`),
      element("pre", { class: "prompt", "aria-label": "Prompt" }, record.prompt), element("pre", { "aria-label": "Completion" }, withTags(record.completion)),
      element("p", { class: "small" }, "expected ", element("code", {}, record.reference)), chips);
  }

  function showCompletions() {
    const holding = runs.filter((run) => run.completions.length);
    if (holding.length === 0) { byId("completions").remove(); return; }
    byId("completions-text").textContent = "Of some prompts of the step: the completions with the highest, the median and the lowest reward of their group.";
    const box = byId("completions-of");
    const show = (run) => {
      const names = run.completions.length === 3 ? ["Early", "Middle", "Late"] : run.completions.length === 2 ? ["Early", "Late"] : [""];
      box.replaceChildren(element("div", { class: "steps" }, ...run.completions.map((part, i) => element("div", { class: "step" },
        element("h3", {}, `${names[i] ? names[i] + ": s" : "S"}tep ${group(part.step)}`),
        element("p", { class: "small" }, `${plural(part.completions, "completion")} of ${plural(part.prompts, "prompt")}`),
        ...part.records.map(completionCard)))));
    };
    if (holding.length > 1) {
      const select = element("select", {}, ...holding.map((run, i) => element("option", { value: String(i) }, run.name)));
      select.addEventListener("change", () => show(holding[Number(select.value)]));
      byId("completions-text").after(element("label", {}, "Run ", select));
    }
    show(holding[0]);
  }

  const kProvenance = [["seed", "seed"], ["numerics", "numerics fingerprint"], ["model_sha256", "sha256 of the starting model"],
    ["data_sha256", "sha256 of the data"], ["num_ranks", "ranks"], ["program", "begun with"], ["computed_with", "computed with"]];

  function rowsTable(head, rows) {
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": head.join(", ") }, element("table", {},
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, element("th", { scope: "row" }, element("code", {}, row[0])),
        ...row.slice(1).map((text) => element("td", {}, element("code", {}, text))))))));
  }

  function showDifferences() {
    const keys = [...new Set(runs.flatMap((run) => run.config.map((line) => line.key)))];
    const value = (run, key) => { const line = run.config.find((l) => l.key === key); return line ? line.value : "–"; };
    const rows = keys.map((key) => [key, ...runs.map((run) => value(run, key))]).filter((row) => new Set(row.slice(1)).size > 1);
    for (const [key, label] of kProvenance) {
      const row = [label, ...runs.map((run) => run.provenance[key] || "–")];
      if (new Set(row.slice(1)).size > 1 && key !== "seed") rows.push(row);
    }
    byId("config").append(element("div", { class: "part" }, element("h3", {}, "What differs"),
      rows.length ? rowsTable(["key", ...runs.map((run) => run.name)], rows) : element("p", {}, "Nothing.")));
  }

  function showConfig() {
    if (many) showDifferences();
    for (const run of runs) {
      const part = element("div", { class: "part" }, element("h3", {}, many ? run.name : "Provenance"));
      const provenance = kProvenance.filter(([key]) => run.provenance[key]).map(([key, label]) => [label, run.provenance[key]]);
      if (provenance.length) part.append(rowsTable(["what", "value"], provenance));
      const set = run.config.filter((line) => line.origin !== "default");
      const defaults = run.config.filter((line) => line.origin === "default");
      const list = (title, lines, open) => {
        if (lines.length === 0) return;
        const details = element("details", open ? { open: "" } : {}, element("summary", {}, `${title} (${lines.length})`),
          rowsTable(["key", "value", "from"], lines.map((l) => [l.key, l.value, l.origin])));
        part.append(details);
      };
      list(defaults.length ? "Keys that were set" : "Settings", set, !many);
      list("Defaults", defaults, false);
      if (run.config.length === 0) part.append(element("p", { class: "small" }, "Not recorded: no config.toml and no checkpoint yet."));
      byId("config").append(part);
    }
  }

  // ---- Theme, axis, paper -----------------------------------------------------------------------------------------------

  const kThemes = ["system", "light", "dark"];
  let theme = "system";
  function setTheme(name) {
    if (name === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", name);
    byId("theme").textContent = `Theme: ${theme}`;
    redrawAll();
  }
  byId("theme").addEventListener("click", () => {
    theme = kThemes[(kThemes.indexOf(theme) + 1) % kThemes.length];
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  byId("axis").addEventListener("change", (event) => {
    axis = event.target.value;
    redrawAll();
  });
  addEventListener("beforeprint", () => { setTheme("light"); for (const item of live) item.chart.resize(); });
  addEventListener("afterprint", () => { setTheme(theme); for (const item of live) item.chart.resize(); });

  showTop();
  showPolicies();
  showNumerics();
  showRunKeys();
  const commands = [...new Set(runs.map((run) => run.command))];
  for (const command of commands) drawSection(command, runs.filter((run) => run.command === command), commands.length > 1);
  showCompletions();
  showConfig();
})();
