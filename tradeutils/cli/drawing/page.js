"use strict";
(() => {
  const div = document.getElementById("chart");
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const times = figure.data[0].x;
  const axes = Object.keys(figure.layout).filter((name) => name.startsWith("yaxis"));
  const scaled = axes.filter((name) => !figure.layout[name].range);
  const legends = Object.keys(figure.layout).filter((name) => name.startsWith("legend"));
  const buttons = [...document.querySelectorAll("button[data-bars]")];
  const columns = ["x", "y", "open", "high", "low", "close"];
  const levels = figure.data.filter((trace) => trace.meta.is === "levels");
  const whole = new Set(["band", "levels", "profile"]); // not cut to the bars seen, and no reason to scale an axis
  const labelled = levels.some((trace) => trace.x.length);
  const marked = figure.data.some((trace) => trace.meta.is === "marks");
  const labelWidth = 118; // pixels
  const labelHeight = 15;
  const markWidth = 11;
  const paints = {
    bullish: "up", support: "up", bearish: "down", resistance: "down", neutral: "text",
    "swing high": "series-2", "swing low": "series-2", profile: "series-0",
  };
  const config = { responsive: true, scrollZoom: true, displayModeBar: false, doubleClick: false };
  let drawn = [Infinity, -Infinity];
  let round = 0;

  // Colours live in the style sheet alone, which follows the reader's light or dark scheme.
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const sheer = (hex, share) => hex + Math.round(255 * share).toString(16).padStart(2, "0");

  function painted(trace) {
    const meta = trace.meta;
    if (meta.is === "candles") {
      const side = (name) => ({ line: { color: color(name), width: 1 }, fillcolor: color(name) });
      return { ...trace, increasing: side("up"), decreasing: side("down") };
    }
    if (meta.is === "bars") {
      const sides = [sheer(color("down"), 0.65), sheer(color("up"), 0.65)];
      return { ...trace, marker: { ...trace.marker, color: meta.rising.map((rising) => sides[rising]) } };
    }
    if (meta.is === "profile") {
      const shades = [sheer(color("series-7"), 0.16), sheer(color("series-0"), 0.26)];
      return { ...trace, marker: { ...trace.marker, color: meta.inside.map((inside) => shades[inside]) } };
    }
    if (meta.is === "marks") return { ...trace, marker: { ...trace.marker, color: color(paints[meta.kind]) } };
    if (meta.is === "levels") return { ...trace, line: { ...trace.line, color: color(paints[meta.kind]) } };
    const own = color(`series-${meta.color}`);
    if (meta.is === "band") return { ...trace, fillcolor: sheer(own, Number(color("shade"))) };
    return { ...trace, line: { ...trace.line, color: own } };
  }

  function paintedLayout() {
    const made = {
      ...figure.layout,
      uirevision: "kept", // names that were clicked away stay away
      paper_bgcolor: color("page"),
      plot_bgcolor: color("page"),
      font: { color: color("quiet"), size: 11, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: {
        bgcolor: color("label"),
        bordercolor: color("axis"),
        font: { color: color("text"), size: 12 },
        namelength: -1,
      },
      shapes: figure.layout.shapes.map((shape) =>
        shape.name === "gap"
          ? { ...shape, fillcolor: color("gap") }
          : { ...shape, line: { ...shape.line, color: sheer(color("quiet"), 0.5) } }),
    };
    for (const name of [...axes, "xaxis"]) {
      made[name] = {
        ...figure.layout[name],
        uirevision: round,
        gridcolor: color("grid"),
        linecolor: color("axis"),
        spikecolor: color("quiet"),
      };
    }
    for (const name of legends) made[name] = { ...figure.layout[name], bgcolor: sheer(color("page"), 0.7) };
    return made;
  }

  // The first row at or after a time.
  function rowAt(list, time) {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Only what is seen, and as much again on either side, is given to plotly: it redraws all that it has.
  function cut(trace, from, to, pixel) {
    if (trace.meta.is === "marks") return thinned(trace, from, to, pixel);
    if (trace.meta.is === "levels") return { ...trace, x: trace.x.map((time, at) => (at % 3 === 1 ? to : time)) };
    if (whole.has(trace.meta.is)) return trace;
    const [first, last] = [rowAt(trace.x, from), rowAt(trace.x, to)];
    const part = { ...trace };
    for (const name of columns) if (trace[name]) part[name] = trace[name].slice(first, last);
    if (trace.meta.rising) part.meta = { ...trace.meta, rising: trace.meta.rising.slice(first, last) };
    return trace.meta.is === "candles" && marked && part.x.length ? told(part) : part;
  }

  // Of marks that would lie on one another the one with the greatest weight, off its bar by some pixels.
  function thinned(trace, from, to, pixel) {
    const { weight, shift } = trace.meta;
    const width = ((to - from) / 3 / div.clientWidth) * markWidth; // a third is seen
    const last = rowAt(trace.x, to);
    const rows = [];
    for (let row = rowAt(trace.x, from); row < last; row += 1) {
      const before = rows[rows.length - 1];
      if (before === undefined || trace.x[row] - trace.x[before] >= width) rows.push(row);
      else if (weight[row] > weight[before]) rows[rows.length - 1] = row;
    }
    return { ...trace, x: rows.map((row) => trace.x[row]), y: rows.map((row) => trace.y[row] + shift * pixel) };
  }

  // What the marks of each bar say, those too that are not drawn for want of room.
  function told(part) {
    const texts = new Map();
    figure.data.forEach((trace, index) => {
      if (trace.meta.is !== "marks" || isHidden(index)) return;
      const last = rowAt(trace.x, part.x[part.x.length - 1] + 1);
      for (let row = rowAt(trace.x, part.x[0]); row < last; row += 1) {
        const said = trace.meta.said[row].map((number) => `<br>${trace.meta.letter} ${trace.meta.texts[number]}`);
        texts.set(trace.x[row], (texts.get(trace.x[row]) || "") + said.join(""));
      }
    });
    return { ...part, text: part.x.map((time) => (texts.get(time) || "").slice("<br>".length)) };
  }

  // What a pixel of the price pane is worth.
  function pixelOf([low, high]) {
    const [bottom, top] = figure.layout.yaxis.domain;
    const { t, b } = figure.layout.margin;
    return (high - low) / ((div.clientHeight - t - b) * (top - bottom));
  }

  // Labels at the right edge; where they would lie on one another that of the stronger level stays.
  function labelsOf([low, high], to) {
    const apart = pixelOf([low, high]) * labelHeight;
    const taken = [];
    const made = [];
    for (const trace of levels) {
      if (isHidden(figure.data.indexOf(trace))) continue;
      trace.meta.labels.forEach(({ label, text }, number) => {
        const [price, since] = [trace.y[3 * number], trace.x[3 * number]];
        const free = taken.every((other) => Math.abs(other - price) >= apart);
        if (!free || price < low || price > high || since > to) return;
        taken.push(price);
        made.push({
          text: label,
          hovertext: text,
          x: 1,
          xref: "paper",
          xanchor: "right",
          xshift: 3,
          y: price,
          yref: "y",
          yanchor: "middle",
          showarrow: false,
          borderpad: 1,
          bgcolor: sheer(color("page"), 0.85),
          font: { color: color(paints[trace.meta.kind]), size: 11 },
          hoverlabel: { bgcolor: color("label"), bordercolor: color("axis"), font: { color: color("text"), size: 12 } },
        });
      });
    }
    return made;
  }

  const isHidden = (index) => (div.data || figure.data)[index].visible === "legendonly";

  function reach(trace, from, to) {
    let [low, high] = [Infinity, -Infinity];
    const [lows, highs] = trace.type === "candlestick" ? [trace.low, trace.high] : [trace.y, trace.y];
    const last = rowAt(trace.x, to);
    for (let row = rowAt(trace.x, from); row < last; row += 1) {
      if (lows[row] !== null && lows[row] < low) low = lows[row];
      if (highs[row] !== null && highs[row] > high) high = highs[row];
    }
    return trace.type === "bar" ? [Math.min(0, low), Math.max(0, high)] : [low, high];
  }

  // Plotly scales a value axis to all there is; a chart is read by what is seen of it.
  function valueRange(name, from, to) {
    let [low, high] = [Infinity, -Infinity];
    figure.data.forEach((trace, index) => {
      if (trace.yaxis !== name.replace("axis", "") || whole.has(trace.meta.is) || isHidden(index)) return;
      const [least, most] = reach(trace, from, to);
      low = Math.min(low, least);
      high = Math.max(high, most);
    });
    if (low > high) return null;
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    const above = marked && name === "yaxis" ? 1.8 * room : room; // there the names of the marks stand
    return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + above];
  }

  function show([from, to]) {
    round += 1;
    const span = to - from;
    drawn = [from - span, to + span];
    const layout = paintedLayout();
    layout.xaxis.range = [from, to];
    for (const name of scaled) {
      const range = valueRange(name, from, to);
      if (range) layout[name].range = range;
    }
    const { range } = layout.yaxis;
    layout.annotations = labelled && range ? labelsOf(range, to) : [];
    const pixel = range ? pixelOf(range) : 0;
    return Plotly.react(div, figure.data.map((trace) => painted(cut(trace, ...drawn, pixel))), layout, config);
  }

  const asTime = (value) => (typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T")}Z`));
  const seen = () => div.layout.xaxis.range.map(asTime);

  function showBars(wanted) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.bars === wanted));
    const bars = wanted === "all" ? times.length : Math.min(Number(wanted), times.length);
    const half = figure.layout.meta.half;
    const [from, to] = [times[times.length - bars] - half, times[times.length - 1] + half];
    return show([from, to + (labelled ? ((to - from) * labelWidth) / Math.max(div.clientWidth, 4 * labelWidth) : 0)]);
  }

  showBars("250").then(() => {
    div.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
      for (const button of buttons) button.setAttribute("aria-pressed", "false");
      show(seen());
    });
    div.on("plotly_restyle", () => show(seen()));
    div.on("plotly_doubleclick", () => showBars("250"));
    for (const button of buttons) button.addEventListener("click", () => showBars(button.dataset.bars));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(seen()));
    document.documentElement.dataset.drawn = "yes";
  });
})();
