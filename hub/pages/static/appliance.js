// Keeps an appliance's page fresh: the hub tells the latest values, and that something is new (an alert, a probe, a line of the log); then the page is asked for without its charts and the
// parts that differ go in. A part that somebody is in, or has unfolded, keeps its place.
"use strict";

(() => {
  const charts = document.getElementById("charts");
  if (!charts) return;
  const { site, appliance, page: fresh } = charts.dataset;
  // Not oftener than this, however much is new.
  const EVERY = 5000;
  let asked = 0;
  let waits = 0;

  const put = (page) => {
    for (const part of document.querySelectorAll("main [data-fresh]")) {
      const other = page.querySelector(`main [data-fresh="${part.dataset.fresh}"]`);
      if (!other || part.innerHTML === other.innerHTML || part.contains(document.activeElement)) continue;
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      part.replaceChildren(...document.importNode(other, true).childNodes);
      part.hidden = other.hidden;
      [...part.querySelectorAll("details")].forEach((one, at) => (one.open = open[at] ?? one.open));
    }
    const rows = new Map([...page.querySelectorAll("[data-of]")].map((row) => [row.dataset.of, row]));
    for (const box of charts.querySelectorAll(".chart-box")) {
      const row = rows.get(box.dataset.series);
      const place = box.querySelector(".chart-last");
      // Of a counter the chart tells how fast it rises.
      if (!row || row.querySelector('[data-label="Kind"]').textContent === "counter") continue;
      const value = row.querySelector('[data-label="Last value"]');
      const age = row.querySelector('[data-label="Age"]').textContent;
      const old = value.classList.contains("old") && value.textContent !== "–";
      const told = old ? `${value.textContent} ${age} ago` : value.textContent;
      if (place.textContent.replace(/\s+/g, " ") === told) continue;
      place.classList.toggle("old", old);
      place.textContent = value.textContent;
      if (old) {
        const small = document.createElement("small");
        small.textContent = ` ${age} ago`;
        place.append(small);
      }
    }
  };

  const look = async () => {
    if (document.hidden) return;
    asked = Date.now();
    try {
      const answer = await fetch(fresh, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) return location.reload();
      // A hub that is busy for a moment is not lost: it is asked again with the next news.
      if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // That the line is cut the stream of news says.
    }
  };
  const news = () => {
    if (waits) return;
    const wait = Math.max(0, asked + EVERY - Date.now());
    waits = setTimeout(() => {
      waits = 0;
      look();
    }, wait);
  };

  const latest = (told) => {
    for (const one of told.flatMap((of) => of.series)) {
      const place = last.get(one.series);
      if (!place || place.textContent === one.text) continue;
      place.textContent = one.text;
      place.classList.remove("old");
    }
    news();
  };
  const last = new Map([...charts.querySelectorAll(".chart-box")].map((box) => [box.dataset.series, box.querySelector(".chart-last")]));

  window.rackside.live(
    { topics: "rows,alerts,log,latest", site, appliance },
    { latest, rows: news, alert: news, alerts: news, mutes: news, maintenance: news, log: news, begin: news },
  );
  // Ages count on while nothing comes, and a site goes on the air.
  setInterval(news, 30000);
})();
