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
    const own = color(`series-${meta.color}`);
    if (meta.is === "band") return { ...trace, fillcolor: sheer(own, Number(color("shade"))) };
    return { ...trace, line: { ...trace.line, color: own } };
  }

  function paintedLayout() {
    const clear = "rgba(0,0,0,0)";
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
    for (const name of legends) made[name] = { ...figure.layout[name], bgcolor: clear };
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
  function cut(trace, from, to) {
    if (trace.meta.is === "band") return trace;
    const [first, last] = [rowAt(trace.x, from), rowAt(trace.x, to)];
    const part = { ...trace };
    for (const name of columns) if (trace[name]) part[name] = trace[name].slice(first, last);
    if (trace.meta.rising) part.meta = { ...trace.meta, rising: trace.meta.rising.slice(first, last) };
    return part;
  }

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
      const hidden = div.data && div.data[index].visible === "legendonly";
      if (trace.yaxis !== name.replace("axis", "") || trace.meta.is === "band" || hidden) return;
      const [least, most] = reach(trace, from, to);
      low = Math.min(low, least);
      high = Math.max(high, most);
    });
    if (low > high) return null;
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
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
    return Plotly.react(div, figure.data.map((trace) => painted(cut(trace, ...drawn))), layout, config);
  }

  const asTime = (value) => (typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T")}Z`));
  const seen = () => div.layout.xaxis.range.map(asTime);

  function showBars(wanted) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.bars === wanted));
    const bars = wanted === "all" ? times.length : Math.min(Number(wanted), times.length);
    const half = figure.layout.meta.half;
    return show([times[times.length - bars] - half, times[times.length - 1] + half]);
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
