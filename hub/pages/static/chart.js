// What lives in charts: a cursor over all of them at once (mouse, touch, arrow keys), which asks for the numbers when it is first used and says where they cannot be had, and
// the charts themselves, which move on with the time. The page is whole without it.
"use strict";

(() => {
  const root = document.getElementById("charts");
  if (!root) return;
  let from = Number(root.dataset.from);
  let until = Number(root.dataset.until);
  const zone = root.dataset.zone;
  const boxes = [...root.querySelectorAll(".chart-box")];
  const LEFT = 52;
  const RIGHT = 10;
  const SVG = "http://www.w3.org/2000/svg";
  const numbers = new Map();
  const waiting = new Set();
  // Of these the hub did not give the numbers: they are asked for again by a tap, or after a while.
  const failed = new Map();
  const AGAIN = 10000;

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
      const series = box.dataset.series;
      if (numbers.has(series) || waiting.has(series) || !box.offsetParent) return false;
      if (Date.now() - (failed.get(series)?.at ?? 0) < AGAIN) return false;
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
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(told.detail || `the hub answers ${answer.status}`);
      for (const one of told.series) {
        numbers.set(one.series, one);
        failed.delete(one.series);
      }
    } catch (error) {
      const why = error instanceof TypeError ? "the hub does not answer" : error.message;
      for (const box of some) if (!numbers.has(box.dataset.series)) failed.set(box.dataset.series, { at: Date.now(), why });
    } finally {
      for (const box of some) waiting.delete(box.dataset.series);
      if (here !== null) show();
    }
  };
  const again = (box) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "again";
    button.textContent = "Try again";
    button.addEventListener("click", () => {
      failed.delete(box.dataset.series);
      load();
      show();
    });
    return button;
  };

  let here = null;
  const show = () => {
    const at = from + here * (until - from);
    for (const box of boxes) {
      // Folded away.
      if (!box.offsetParent) continue;
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
      const trouble = failed.get(box.dataset.series);
      if (one) foot.textContent = `${told(at)}: ${value(one)}`;
      else if (!trouble) foot.textContent = `${told(at)} …`;
      else if (foot.dataset.trouble !== trouble.why || !foot.querySelector(".again")) {
        foot.replaceChildren(`No numbers: ${trouble.why}. `, again(box));
        foot.dataset.trouble = trouble.why;
      }
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
  // By touch the cursor stays where the finger was; a tap beside the charts takes it away.
  document.addEventListener("pointerdown", (event) => event.target.closest?.(".chart-box") || here === null || hide());
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
    section.addEventListener("focusout", (event) => section.contains(event.relatedTarget) || hide());
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

  // A range that ends now moves on: what differs is drawn anew, after as long as a column is wide, while nobody has the cursor in it.
  if (root.dataset.live !== "true") return;
  const redraw = async () => {
    if (document.hidden || here !== null) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const drawn = page.getElementById("charts");
      if (!drawn || here !== null) return;
      [from, until] = [Number(drawn.dataset.from), Number(drawn.dataset.until)];
      numbers.clear();
      failed.clear();
      const by = new Map([...drawn.querySelectorAll(".chart-box")].map((box) => [box.dataset.series, box]));
      for (const box of boxes) {
        const other = by.get(box.dataset.series);
        if (!other) continue;
        box.querySelector("svg").replaceWith(document.adoptNode(other.querySelector("svg")));
        const foot = box.querySelector(".chart-foot span");
        foot.textContent = other.querySelector(".chart-foot span").textContent;
        delete foot.dataset.summary;
      }
    } catch {
      // That the line to the hub is cut is told above; the next turn tries again.
    }
  };
  setInterval(redraw, Math.max(30000, (until - from) / 346));
})();
