// What lives on an appliance's page: a cursor over all charts at once (mouse, touch, arrow keys), which asks for the numbers when it is first used, and the
// latest values. The page is whole without it.
"use strict";

(() => {
  const root = document.getElementById("charts");
  if (!root) return;
  const from = Number(root.dataset.from);
  const until = Number(root.dataset.until);
  const zone = root.dataset.zone;
  const boxes = [...root.querySelectorAll(".chart-box")];
  const LEFT = 44;
  const RIGHT = 10;
  const SVG = "http://www.w3.org/2000/svg";
  const numbers = new Map();
  const waiting = new Set();

  const clock = (timeZone) => {
    const form = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return new Intl.DateTimeFormat("en-GB", timeZone ? { ...form, timeZone } : form);
  };
  let venue = clock();
  try {
    venue = clock(zone);
  } catch {
    // A zone that this browser does not know: its own clocks.
  }
  const yours = clock();
  const told = (at) => {
    const there = venue.format(at);
    const here = yours.format(at);
    return there === here ? there : `${there} (${here} for you)`;
  };

  // Numbers of the charts that are on the screen, some at once.
  const load = () => {
    const wanted = boxes.filter((box) => {
      if (numbers.has(box.dataset.series) || waiting.has(box.dataset.series)) return false;
      const place = box.getBoundingClientRect();
      return place.bottom > -200 && place.top < innerHeight + 200;
    });
    for (let at = 0; at < wanted.length; at += 20) ask(wanted.slice(at, at + 20));
  };
  const ask = async (some) => {
    const query = new URLSearchParams({ from: String(from / 1000), to: String(until / 1000) });
    for (const box of some) {
      query.append("series", box.dataset.series);
      waiting.add(box.dataset.series);
    }
    try {
      const answer = await fetch(`${root.dataset.source}?${query}`, { headers: { accept: "application/json" } });
      if (!answer.ok) return;
      for (const one of (await answer.json()).series) numbers.set(one.series, one);
      if (here !== null) show();
    } finally {
      for (const box of some) waiting.delete(box.dataset.series);
    }
  };

  let here = null;
  const show = () => {
    const at = from + here * (until - from);
    for (const box of boxes) {
      const svg = box.querySelector("svg");
      const wide = svg.viewBox.baseVal.width;
      const high = svg.viewBox.baseVal.height;
      let line = svg.querySelector(".chart-cursor");
      if (!line) {
        line = document.createElementNS(SVG, "line");
        line.setAttribute("class", "chart-cursor");
        svg.append(line);
      }
      const x = (LEFT + here * (wide - LEFT - RIGHT)).toFixed(1);
      for (const [name, value] of [["x1", x], ["x2", x], ["y1", 0], ["y2", high - 17]]) line.setAttribute(name, value);
      const foot = box.querySelector(".chart-foot span");
      foot.dataset.summary ??= foot.textContent;
      const one = numbers.get(box.dataset.series);
      foot.textContent = one ? `${told(at)}: ${value(one)}` : told(at);
      box.dataset.cursor = "";
    }
  };
  const value = (one) => {
    const x = Math.min(one.width - 1, Math.floor(here * one.width));
    let low = 0;
    let high = one.columns.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (one.columns[middle].x <= x) low = middle;
      else high = middle - 1;
    }
    const column = one.columns[low];
    // Between two that hang together the earlier one still holds.
    const next = one.columns[low + 1];
    const is_known = column && column.x <= x && (column.x === x || next?.joins || (!next && x < one.until));
    if (!is_known) return "no data";
    return column.text;
  };
  const hide = () => {
    here = null;
    for (const box of boxes) {
      box.querySelector(".chart-cursor")?.remove();
      const foot = box.querySelector(".chart-foot span");
      if (foot.dataset.summary !== undefined) foot.textContent = foot.dataset.summary;
      delete box.dataset.cursor;
    }
  };

  let frame = 0;
  const move = (event) => {
    const svg = event.target.closest?.("svg.chart");
    if (!svg) return;
    const place = svg.getBoundingClientRect();
    const wide = svg.viewBox.baseVal.width;
    const x = ((event.clientX - place.left) / place.width) * wide;
    here = Math.min(1, Math.max(0, (x - LEFT) / (wide - LEFT - RIGHT)));
    load();
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => here !== null && show());
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerdown", move);
  root.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !root.contains(document.activeElement)) hide();
  });

  // By keyboard: into the charts with Tab, left and right, with Shift by a tenth, Home, End, Escape.
  for (const section of root.querySelectorAll(".charts")) {
    section.tabIndex = 0;
    section.setAttribute("role", "group");
    section.setAttribute("aria-label", "Charts. Left and right arrows move the time.");
    section.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.1 : 1 / 173;
      const to = {
        ArrowLeft: (here ?? 1) - step,
        ArrowRight: (here ?? 0) + step,
        Home: 0,
        End: 1,
      }[event.key];
      if (event.key === "Escape") hide();
      if (to === undefined) return;
      event.preventDefault();
      here = Math.min(1, Math.max(0, to));
      load();
      show();
      say(section);
    });
    section.addEventListener("blur", hide);
  }
  // A reader hears the first charts of the group.
  const voice = document.createElement("p");
  voice.className = "hide";
  voice.setAttribute("aria-live", "polite");
  root.after(voice);
  const say = (section) => {
    const first = [...section.querySelectorAll(".chart-box")].slice(0, 3);
    const all = first.map((box) => {
      const one = numbers.get(box.dataset.series);
      return one && `${box.querySelector("h3").textContent.trim()} ${value(one)}`;
    });
    voice.textContent = [told(from + here * (until - from)), ...all.filter(Boolean)].join(", ");
  };

  // The latest values, without a reload, while the page is looked at.
  if (root.dataset.live !== "true") return;
  const last = new Map(boxes.map((box) => [box.dataset.series, box.querySelector(".chart-last")]));
  const latest = (told) => {
    for (const one of told.flatMap((of) => of.series)) {
      const place = last.get(one.series);
      if (place && place.textContent !== one.text) place.textContent = one.text;
    }
  };
  window.rackside.live({ topics: "latest", site: root.dataset.site, appliance: root.dataset.appliance }, { latest });
})();
