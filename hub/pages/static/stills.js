// Stills of streams: lets each age count on, and asks now and then for newer pictures. What agents chose goes in as text, never as HTML.
"use strict";

(() => {
  const part = document.querySelector("[data-stills]");
  if (!part) return;
  const every = 15000;
  // The hub's clock, not this device's.
  let skew = Number(document.body.dataset.now) - Date.now();

  const span = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 172800) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };

  const count = () => {
    for (const time of part.querySelectorAll("time[data-ms]")) {
      const text = span(Date.now() + skew - Number(time.dataset.ms));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const ask = async () => {
    if (document.hidden) return;
    let told;
    try {
      const answer = await fetch(part.dataset.stills, { headers: { accept: "application/json" }, cache: "no-store" });
      if (!answer.ok) return;
      told = await answer.json();
    } catch {
      // The age goes on: that says it.
      return;
    }
    skew = Date.parse(told.time) - Date.now();
    for (const figure of part.querySelectorAll("[data-probe]")) {
      const still = told.stills.find((one) => one.probe === figure.dataset.probe);
      // Older than a day: it is not there any more.
      figure.parentNode.hidden = !still;
      const time = figure.querySelector("time");
      const taken = still && Date.parse(still.taken_at);
      if (!still || String(taken) === time.dataset.ms) continue;
      figure.querySelector("img").src = still.url;
      figure.querySelector("a").href = still.url;
      time.dataset.ms = taken;
      time.dateTime = still.taken_at;
    }
    count();
  };

  setInterval(count, 1000);
  setInterval(ask, every);
  document.addEventListener("visibilitychange", ask);
})();
