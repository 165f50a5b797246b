"use strict";
(() => {
  const div = document.getElementById("chart");
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const candles = figure.data[0];
  const valueAxes = Object.keys(figure.layout).filter((name) => name.startsWith("yaxis"));
  const scaled = valueAxes.filter((name) => !figure.layout[name].fixedrange);
  const buttons = [...document.querySelectorAll("button[data-bars]")];

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
      const scale = [[0, sheer(color("down"), 0.65)], [1, sheer(color("up"), 0.65)]];
      return { ...trace, marker: { ...trace.marker, colorscale: scale, showscale: false } };
    }
    const own = color(`series-${meta.color}`);
    const shade = sheer(own, Number(color("shade")));
    return { ...trace, line: { ...trace.line, color: own }, ...(trace.fill ? { fillcolor: shade } : {}) };
  }

  function paintedLayout(layout) {
    const made = {
      ...layout,
      paper_bgcolor: color("page"),
      plot_bgcolor: color("page"),
      font: { color: color("quiet"), size: 11, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { bgcolor: color("label"), bordercolor: color("axis"), font: { color: color("text"), size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("axis"), activecolor: color("quiet"), orientation: "v" },
      shapes: layout.shapes.map((shape) =>
        shape.name === "gap"
          ? { ...shape, fillcolor: color("gap") }
          : { ...shape, line: { ...shape.line, color: color("axis") } }),
    };
    for (const name of [...valueAxes, "xaxis"]) {
      made[name] = { ...layout[name], gridcolor: color("grid"), linecolor: color("axis"), spikecolor: color("quiet") };
    }
    return made;
  }

  // The first row at or after a time, and so the rows that are seen between two.
  function rowAt(times, time) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
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
  function valueRanges(from, to) {
    const ranges = {};
    for (const name of scaled) {
      const id = name.replace("axis", "");
      let [low, high] = [Infinity, -Infinity];
      figure.data.forEach((trace, index) => {
        const shown = div.data ? div.data[index].visible : true;
        if (trace.yaxis !== id || shown === "legendonly") return;
        const [a, b] = reach(trace, from, to);
        low = Math.min(low, a);
        high = Math.max(high, b);
      });
      if (low > high) continue;
      const room = (high - low || Math.abs(high) || 1) * 0.06;
      ranges[name] = [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
    }
    return ranges;
  }

  const asTime = (value) => (typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T")}Z`));

  function seen() {
    return div.layout.xaxis.range.map(asTime);
  }

  function rescale() {
    const update = {};
    for (const [name, range] of Object.entries(valueRanges(...seen()))) update[`${name}.range`] = range;
    return Plotly.relayout(div, update);
  }

  function showBars(count) {
    const times = candles.x;
    const bars = count === "all" ? times.length : Math.min(Number(count), times.length);
    const step = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 60000;
    const range = [times[times.length - bars] - step / 2, times[times.length - 1] + step / 2];
    const update = { "xaxis.range": range };
    for (const [name, values] of Object.entries(valueRanges(...range))) update[`${name}.range`] = values;
    return Plotly.relayout(div, update);
  }

  function press(count) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.bars === count));
  }

  const layout = figure.layout;
  for (const [name, range] of Object.entries(valueRanges(...layout.xaxis.range))) layout[name].range = range;
  const config = {
    responsive: true,
    scrollZoom: true,
    displaylogo: false,
    doubleClick: "reset",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  Plotly.newPlot(div, figure.data.map(painted), paintedLayout(layout), config).then(() => {
    div.on("plotly_relayout", (change) => {
      if (Object.keys(change).some((key) => key.startsWith("xaxis"))) {
        if (!Object.keys(change).some((key) => key.startsWith("yaxis") && key.endsWith("range"))) {
          press("");
          rescale();
        }
      }
    });
    div.on("plotly_restyle", rescale);
    for (const button of buttons) {
      button.addEventListener("click", () => showBars(button.dataset.bars).then(() => press(button.dataset.bars)));
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      const range = seen();
      const next = paintedLayout(layout);
      next.xaxis.range = range;
      for (const [name, values] of Object.entries(valueRanges(...range))) next[name].range = values;
      Plotly.react(div, figure.data.map(painted), next, config);
    });
    document.documentElement.dataset.drawn = "yes";
  });
})();
