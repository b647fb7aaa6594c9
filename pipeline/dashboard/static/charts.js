// Charts: draws the descriptions that the page brings, and lets people work in them. The library comes when a chart does.
"use strict";

let library;
const charts = new WeakMap(); // a figure to what people do in it, which outlives each drawing
const drawings = new WeakMap(); // a figure to its last drawing

// Draw what the figure brings, now or anew: zoom, crosshair and hidden lines stay where they are.
async function drawChart(figure) {
  const brought = JSON.parse(figure.querySelector("script").textContent);
  const place = figure.querySelector(".drawing");
  library ??= import(body.dataset.library);
  await library;
  const stage = document.createElement("div");
  stage.setAttribute("aria-hidden", "true"); // its place has the name, and says the values
  const room = () => Math.max(brought.least, Math.floor(place.clientWidth));
  const { view } = await vegaEmbed(stage, { ...brought.spec, width: brought.wide ?? room() }, {
    // No expression of a description becomes code: the page allows none.
    ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: false, mode: "vega-lite",
  });
  if (!figure.isConnected) { view.finalize(); return; }
  if (!charts.has(figure)) {
    charts.set(figure, work(figure, place));
    new ResizeObserver(() => charts.get(figure).fit()).observe(place);
  }
  const chart = charts.get(figure);
  await chart.take(view, brought, brought.wide === undefined ? room : () => view.width());
  place.replaceChildren(stage, ...place.querySelectorAll(".brush"));
  if (brought.wide !== undefined) fixNames(place, stage, view);
  chart.drawn();
  figure.dataset.drawn = "1";
}

// Of a drawing that scrolls sideways the names of its rows stay: a copy of them, above the drawing.
function fixNames(place, stage, view) {
  const names = document.createElement("div");
  names.className = "names";
  names.setAttribute("aria-hidden", "true");
  const front = document.createElement("div");
  front.style.width = `${Math.ceil(view.origin()[0] + view.padding().left)}px`;
  front.append(stage.querySelector("svg").cloneNode(true));
  names.append(front);
  place.prepend(names);
}

// What people do in one chart, by pointer, keys and legend. All that it does is set parameters of the view of the day.
function work(figure, place) {
  let view, room, places, known, names, links, whole;
  const hidden = new Set(); // by name: the order of lines may change
  let zoomed = null; // the names of the first and the last place that are seen
  let pointed = null; // where the crosshair is: {at: a place's name, or x: of the pointer; tip: where the values stand}
  const lined = place.getAttribute("role") === "application";
  const back = figure.querySelector(".whole");
  const name = (key) => names[Number(key.slice(1)) - 1];
  const hiddenKeys = () => names.map((_, k) => `s${k + 1}`).filter((key) => hidden.has(name(key)));
  const left = () => place.querySelector("[aria-hidden]:not(.names) svg").getBoundingClientRect().left + view.origin()[0] + view.padding().left;
  const scale = () => view.scale("x");
  const at = (x) => Math.max(0, Math.min(places.length - 1, Math.round(scale().invert(x - left()))));
  const words = (k) => [places[k], ...known.filter((row) => row.x === k && !hidden.has(name(row.s)))
    .map((row) => names.length > 1 ? `${name(row.s)}: ${row.said}` : row.said)];

  // A newer view: it is set as people have left the one before.
  async function take(newer, brought, width) {
    view?.finalize();
    view = newer;
    room = width;
    known = brought.spec.data.values;
    ({ names, links } = brought);
    figure.querySelectorAll(".legend button").forEach((button) => {
      button.setAttribute("aria-pressed", String(!hidden.has(name(button.dataset.series))));
    });
    if (names.length > 1) view.signal("hidden", hiddenKeys());
    if (lined) {
      places = view.signal("places");
      whole = [view.signal("from_"), view.signal("to_")];
      const [from, to] = (zoomed ?? []).map((place) => places.indexOf(place));
      // Of a period that goes on moving: as much of what was chosen as there still is.
      if (zoomed && to > Math.max(from, 0)) view.signal("from_", Math.max(from, 0)).signal("to_", to); else zoomed = null;
      named();
    } else {
      view.addEventListener("pointermove", (event, item) => { // bars, cells, bands: what each says
        const tip = item?.datum?.tip ?? item?.items?.[0]?.datum?.tip;
        if (tip) show([tip], event.clientX + 14, event.clientY + 14); else hide();
      });
    }
    await view.runAsync();
  }
  function fit() { if (room() !== view.width()) view.width(room()).runAsync(); }
  // The newer view stands in its place: the values that are being read are the new ones.
  function drawn() {
    if (!pointed || !places.length) return;
    const k = pointed.x === undefined ? places.indexOf(pointed.at) : at(pointed.x);
    if (k < 0) leave(); else point(k, ...pointed.tip, pointed.x);
  }
  function point(k, x, y, pointer) {
    pointed = { at: places[k], x: pointer, tip: [x, y] };
    view.signal("at", k).runAsync();
    show(words(k), x, y);
  }
  async function zoom(from, to) {
    if (to - from < 1) return;
    await view.signal("from_", Math.max(whole[0], from)).signal("to_", Math.min(whole[1], to)).runAsync();
    const ends = [view.signal("from_"), view.signal("to_")];
    zoomed = ends[0] <= whole[0] && ends[1] >= whole[1] ? null : ends.map((end) => places[Math.round(end)]);
    named();
  }
  function named() { // the button says what is seen instead of all
    back.hidden = !zoomed;
    back.title = zoomed?.join(" – ") ?? "";
  }
  function leave() { pointed = null; view.signal("at", null).runAsync(); hide(); }

  figure.addEventListener("click", (event) => {
    const button = event.target.closest?.(".legend button");
    if (!button) return;
    const which = name(button.dataset.series);
    if (!hidden.delete(which)) hidden.add(which);
    button.setAttribute("aria-pressed", String(!hidden.has(which)));
    view.signal("hidden", hiddenKeys()).runAsync();
  });
  if (!lined) {
    place.addEventListener("pointerleave", hide);
    return { take, fit, drawn: () => {} };
  }
  back.addEventListener("click", () => { zoom(...whole); place.focus(); });
  place.addEventListener("dblclick", () => zoom(...whole));

  const brush = document.createElement("div");
  brush.className = "brush";
  let start = null;
  place.addEventListener("pointerdown", (event) => { if (event.button === 0) start = event.clientX; });
  place.addEventListener("pointermove", (event) => {
    if (start !== null && Math.abs(event.clientX - start) > 8) {
      if (!brush.isConnected) { place.append(brush); place.setPointerCapture(event.pointerId); }
      const box = place.getBoundingClientRect();
      brush.style.left = Math.min(start, event.clientX) - box.left + "px";
      brush.style.width = Math.abs(event.clientX - start) + "px";
    }
    if (places.length) point(at(event.clientX), event.clientX + 14, event.clientY + 14, event.clientX);
  });
  place.addEventListener("pointerup", (event) => {
    if (brush.isConnected) {
      const ends = [at(start), at(event.clientX)].sort((a, b) => a - b);
      brush.remove();
      zoom(...ends);
    } else if (start !== null && links[at(event.clientX)]) {
      location.href = links[at(event.clientX)];
    }
    start = null;
  });
  place.addEventListener("pointercancel", () => { brush.remove(); start = null; });
  place.addEventListener("pointerleave", () => { if (!brush.isConnected) leave(); });
  place.addEventListener("blur", leave);
  place.addEventListener("keydown", async (event) => {
    const now = view.signal("at"), from = view.signal("from_"), to = view.signal("to_"), last = places.length - 1;
    const keys = ["ArrowRight", "ArrowLeft", "Home", "End", "+", "-", "0"];
    if (keys.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) event.preventDefault(); else if (!["Enter", "Escape"].includes(event.key)) return;
    const next = { ArrowRight: now === null ? Math.ceil(from) : now + 1, ArrowLeft: now === null ? Math.floor(to) : now - 1, Home: 0, End: last }[event.key];
    if (next !== undefined && places.length) {
      const k = Math.max(0, Math.min(last, next));
      if (k < from || k > to) await zoom(k < from ? k : k - (to - from), k < from ? k + (to - from) : k);
      const box = place.getBoundingClientRect();
      point(k, left() + scale()(k) + 14, box.top + 14);
      said.textContent = words(k).join(", ");
    } else if (event.key === "Enter" && now !== null && links[now]) {
      location.href = links[now];
    } else if (event.key === "+" || event.key === "-") {
      const middle = now ?? (from + to) / 2, half = (to - from) * (event.key === "+" ? 0.25 : 1);
      zoom(Math.round(middle - half), Math.round(middle + half));
    } else if (event.key === "0" || event.key === "Escape") {
      if (event.key === "Escape") leave(); else zoom(...whole);
    }
  });
  return { take, fit, drawn };
}

function drawAll(root) {
  root.querySelectorAll?.("figure[data-chart]:not([data-drawing])").forEach((figure) => {
    figure.dataset.drawing = "1";
    // One drawing after the other, in the order in which they came.
    drawings.set(figure, (drawings.get(figure) ?? Promise.resolve()).then(() => drawChart(figure)).catch((error) => {
      console.error(error);
      figure.classList.add("undrawn");
      figure.querySelector(".drawing").textContent = body.dataset.undrawn;
    }));
  });
}
new MutationObserver((changes) => {
  if (changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === 1 && !node.closest(".drawing")))) drawAll(document);
}).observe(body, { childList: true, subtree: true });
drawAll(document);
