// The dashboard's script: fills what is loaded later, takes the stream of live figures, shows definitions and values.
"use strict";

const body = document.body;
const tip = document.getElementById("tip");
const said = document.getElementById("said");

// On a phone the answer comes first, and the form when it is asked for.
if (matchMedia("(max-width: 760px)").matches) document.querySelectorAll("details.fold").forEach((form) => { form.open = false; });

// --- parts that are loaded after the page, when somebody sees them ---

async function load(part) {
  const waiting = part.waiting = new AbortController();
  try {
    const answer = await fetch(part.dataset.part, { headers: { "X-Requested-With": "fetch" }, signal: waiting.signal });
    if (answer.status === 401) { location.href = "/login"; return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const html = await answer.text();
    // Only what is new is drawn: what stands still keeps its place, its focus and its scrolling.
    // And what somebody has opened to read waits.
    if (html !== part.shown && !part.querySelector("[data-hold][open]")) {
      renew(part, html);
      part.shown = html;
      gather(part);
      part.querySelectorAll("[data-part]").forEach((inner) => seen.observe(inner));
    }
  } catch {
    if (waiting.signal.aborted) return; // it is asked again when it is seen again
    if (part.shown === undefined || !part.dataset.every) failed(part);
  } finally {
    if (part.waiting === waiting) part.waiting = null;
  }
  if (part.dataset.every) setTimeout(() => again(part), part.dataset.every * 1000);
}

// Put newer content into a part. A chart that is still there stays where it is and takes the newer values (charts.js):
// somebody may be working in it.
function renew(part, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const charts = (parent) => [...parent.children].filter((child) => child.matches("figure[data-chart]"));
  const kind = (figure) => figure.querySelector(".drawing").getAttribute("role");
  const older = charts(part), newer = charts(template.content);
  if (older.map(kind).join() !== newer.map(kind).join()) { part.replaceChildren(template.content); return; }
  [...part.childNodes].forEach((node) => { if (!older.includes(node)) node.remove(); });
  let next = 0;
  for (const node of [...template.content.childNodes]) {
    if (newer.includes(node)) takeOver(older[next++], node); else part.insertBefore(node, older[next] ?? null);
  }
}

// What several parts have found is one list, the heaviest first; that there is nothing is said when all have looked.
function gather(part) {
  const whole = part.closest("[data-together]");
  if (!whole) return;
  const list = whole.querySelector("ol"), parts = [...whole.querySelectorAll("[data-part]")];
  const found = [...list.children, ...part.querySelectorAll("li[data-rank]")];
  list.replaceChildren(...found.sort((a, b) => a.dataset.rank - b.dataset.rank));
  part.querySelector("ol")?.remove();
  const silent = parts.every((one) => one.shown !== undefined) && !found.length && !whole.querySelector("[data-said], .problem");
  whole.querySelector(".nothing").hidden = !silent;
}

function takeOver(figure, newer) {
  const place = figure.querySelector(".drawing"), its = newer.querySelector(".drawing");
  place.setAttribute("aria-label", its.getAttribute("aria-label"));
  place.style.minHeight = its.style.minHeight;
  const legend = figure.querySelector(".legend"), newLegend = newer.querySelector(".legend");
  if (legend?.textContent !== newLegend?.textContent) {
    legend?.remove();
    if (newLegend) place.after(newLegend);
  }
  figure.classList.remove("undrawn");
  figure.querySelector("script").replaceWith(newer.querySelector("script"));
  delete figure.dataset.drawing;
}

// What is out of sight is not asked for, and what was asked for and left is no longer waited for: the server ends it.
const seen = new IntersectionObserver((entries) => {
  for (const { target: part, isIntersecting } of entries) {
    part.inSight = isIntersecting;
    if (isIntersecting && !part.asked) {
      part.asked = true;
      load(part);
    } else if (!isIntersecting && part.waiting) {
      part.asked = false;
      part.waiting.abort();
    }
  }
}, { rootMargin: "400px" });
// What is never in sight (the lists that inputs suggest) is for the whole page.
document.querySelectorAll("[data-part]").forEach((part) => { if (part.hidden) load(part); else seen.observe(part); });
// On paper everything is in sight.
addEventListener("beforeprint", () => document.querySelectorAll("[data-part]").forEach((part) => {
  if (!part.asked) { part.asked = true; load(part); }
}));

function failed(part) {
  part.shown = undefined;
  part.textContent = "";
  const note = document.createElement("p");
  note.className = "bad";
  note.textContent = body.dataset.failed + " ";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = body.dataset.again;
  button.onclick = () => load(part);
  note.append(button);
  part.append(note);
}

function again(part) {
  if (!part.isConnected) return;
  if (document.hidden) document.addEventListener("visibilitychange", () => again(part), { once: true });
  else if (!part.inSight) part.asked = false; // asked anew when it is seen
  else load(part);
}

// --- the stream of live figures ---

if (body.dataset.stream) {
  const places = {};
  document.querySelectorAll("[data-live]").forEach((place) => { places[place.dataset.live] = place; });
  let source;
  const open = () => {
    source = new EventSource(body.dataset.stream);
    source.onmessage = (message) => {
      body.classList.remove("lost");
      for (const [key, html] of Object.entries(JSON.parse(message.data))) {
        const place = places[key];
        if (place && place.shown !== html) { place.innerHTML = html; place.shown = html; }
      }
      body.dataset.updates = Number(body.dataset.updates || 0) + 1;
    };
    source.onerror = () => {
      body.classList.add("lost");
      source.close();
      setTimeout(open, 2000);
    };
  };
  open();
  addEventListener("pagehide", () => source.close());
}

// --- one tip for definitions and, in charts.js, for the values of a chart ---

function show(lines, x, y) {
  tip.textContent = "";
  for (const line of lines) {
    const row = document.createElement("div");
    row.textContent = line;
    tip.append(row);
  }
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(6, Math.min(x, document.documentElement.clientWidth - box.width - 6)) + "px";
  tip.style.top = (y + box.height + 6 > innerHeight ? Math.max(6, y - box.height - 28) : y) + "px";
}

function hide() {
  if (!tip) return; // the page to log in has none
  tip.hidden = true;
  document.querySelector("[aria-describedby=tip]")?.removeAttribute("aria-describedby");
}

function define(word) {
  const box = word.getBoundingClientRect();
  show([word.dataset.def], box.left, box.bottom + 4);
  word.setAttribute("aria-describedby", "tip");
}

document.addEventListener("pointerover", (event) => {
  const word = event.target.closest?.("[data-def]");
  if (word) define(word);
});
document.addEventListener("pointerout", (event) => {
  if (event.target.closest?.("[data-def]")) hide();
});
document.addEventListener("focusin", (event) => {
  const word = event.target.closest?.("[data-def]");
  if (word) define(word); else hide();
});
document.addEventListener("focusout", hide);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
addEventListener("scroll", () => {
  // Focus brings a word into view by scrolling: its definition goes along.
  const word = document.activeElement?.closest?.("[data-def]");
  if (word && word.getAttribute("aria-describedby")) define(word); else hide();
}, { passive: true });

// --- buttons ---

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  if (button.id === "menu") {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    body.classList.toggle("menu-open", open);
  } else if (button.dataset.copy) {
    const text = document.getElementById(button.dataset.copy).textContent;
    try { await navigator.clipboard.writeText(text); } catch { copyOldWay(text); }
    said.textContent = body.dataset.copied;
    const name = button.textContent;
    button.textContent = body.dataset.copied;
    setTimeout(() => { button.textContent = name; }, 1500);
  } else if (button.dataset.png) {
    picture(button.closest(".part, .panel").querySelector(".drawing svg"), button.dataset.png);
  }
});

function copyOldWay(text) { // a page that is not on https or loopback has no clipboard
  const area = document.createElement("textarea");
  area.value = text;
  body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// A chart as a PNG: its colours come from the style sheet, so each is written into a copy first.
function picture(chart, name) {
  if (!chart) return;
  const copy = chart.cloneNode(true);
  const from = [chart, ...chart.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((element, k) => {
    const style = getComputedStyle(element);
    for (const property of ["fill", "stroke", "stroke-width", "stroke-dasharray", "fill-opacity", "stroke-opacity", "font-size", "font-family"]) {
      to[k].style.setProperty(property, style.getPropertyValue(property));
    }
  });
  const box = chart.viewBox.baseVal, scale = 2;
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = box.width * scale;
    canvas.height = box.height * scale;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(body).backgroundColor;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  };
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
}
