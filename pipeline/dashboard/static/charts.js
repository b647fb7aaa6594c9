// Charts: draws the descriptions that the page brings, and lets people work in them. The library comes when a chart does.
"use strict";

let library;
const drawnBefore = new Map(); // by title: what stands until its newer one is drawn

async function drawChart(figure) {
  const { spec, names, links, wide, least } = JSON.parse(figure.querySelector("script").textContent);
  const place = figure.querySelector(".drawing");
  const before = drawnBefore.get(spec.description);
  if (before && !before.isConnected) place.replaceChildren(before);
  library ??= import(body.dataset.library);
  await library;
  const stage = document.createElement("div");
  stage.setAttribute("aria-hidden", "true"); // its place has the name, and says the values
  const room = () => Math.max(least, Math.floor(place.clientWidth));
  const { view } = await vegaEmbed(stage, { ...spec, width: wide ?? room() }, {
    // No expression of a description becomes code: the page allows none.
    ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: false, mode: "vega-lite",
  });
  if (!figure.isConnected) { view.finalize(); return; }
  place.replaceChildren(stage);
  drawnBefore.set(spec.description, stage);
  if (wide === undefined) new ResizeObserver(() => { if (room() !== view.width()) view.width(room()).runAsync(); }).observe(place);
  work(figure, place, view, spec.data.values, names, links);
  figure.dataset.drawn = "1";
}

// Pointer, keys and legend of one chart. All that they do is set its parameters.
function work(figure, place, view, known, names, links) {
  const hidden = new Set();
  figure.querySelectorAll(".legend button").forEach((button) => button.addEventListener("click", () => {
    const key = button.dataset.series;
    if (!hidden.delete(key)) hidden.add(key);
    button.setAttribute("aria-pressed", String(!hidden.has(key)));
    view.signal("hidden", [...hidden]).runAsync();
  }));
  if (place.getAttribute("role") !== "application") { // bars, cells, brushs: what each says
    view.addEventListener("pointermove", (event, item) => {
      const tip = item?.datum?.tip ?? item?.items?.[0]?.datum?.tip;
      if (tip) show([tip], event.clientX + 14, event.clientY + 14); else hide();
    });
    place.addEventListener("pointerleave", hide);
    return;
  }
  const places = view.signal("places");
  const whole = [view.signal("from_"), view.signal("to_")];
  const left = () => place.querySelector("svg").getBoundingClientRect().left + view.origin()[0] + view.padding().left;
  const scale = () => view.scale("x");
  const at = (x) => Math.max(0, Math.min(places.length - 1, Math.round(scale().invert(x - left()))));
  const words = (k) => [places[k], ...known.filter((row) => row.x === k && !hidden.has(row.s))
    .map((row) => names.length > 1 ? `${names[Number(row.s.slice(1)) - 1]}: ${row.said}` : row.said)];
  const back = figure.querySelector(".whole");

  function point(k, x, y) {
    view.signal("at", k).runAsync();
    show(words(k), x, y);
  }
  async function zoom(from, to) {
    if (to - from < 1) return;
    await view.signal("from_", Math.max(whole[0], from)).signal("to_", Math.min(whole[1], to)).runAsync();
    back.hidden = view.signal("from_") <= whole[0] && view.signal("to_") >= whole[1];
  }
  function leave() { view.signal("at", null).runAsync(); hide(); }
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
    if (places.length) point(at(event.clientX), event.clientX + 14, event.clientY + 14);
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
}

function drawAll(root) {
  root.querySelectorAll?.("figure[data-chart]:not([data-drawing])").forEach((figure) => {
    figure.dataset.drawing = "1";
    drawChart(figure).catch((error) => { 
      console.error(error);
      figure.classList.add("undrawn");
      figure.querySelector(".drawing").textContent = body.dataset.undrawn;
    });
  });
}
new MutationObserver((changes) => {
  if (changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === 1 && !node.closest(".drawing")))) drawAll(document);
}).observe(body, { childList: true, subtree: true });
drawAll(document);
