// Keeps the status page fresh through /api/live. The server renders every row first; this only changes texts, bars and
// counts. Texts go in as text, never as HTML: an appliance chooses some of them.
"use strict";

(() => {
  const racks = document.getElementById("racks");
  const lost = document.getElementById("lost");
  const lineText = document.querySelector(".line-text");
  if (!lost || !window.EventSource) return;

  // The hub's clock, not this device's: spans are counted from what the hub said last.
  let skew = Number(document.body.dataset.now) - Date.now();
  let heard = Date.now();

  const span = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 172800) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };

  const put = (node, text) => {
    if (node && node.textContent !== text) node.textContent = text;
  };

  const fill = (node, row) => {
    node.dataset.rack = row.site + "/" + row.appliance;
    node.dataset.up = row.up;
    node.dataset.twice = row.twice;
    for (const part of node.querySelectorAll("[data-text]")) put(part, row[part.dataset.text]);
    for (const part of node.querySelectorAll("[data-span]")) {
      part.dataset.ms = row[part.dataset.span];
      part.dateTime = new Date(row[part.dataset.span]).toISOString();
    }
    for (const part of node.querySelectorAll("[data-measure]")) {
      const measure = row[part.dataset.measure];
      part.dataset.high = measure.high;
      put(part.querySelector("dd > span"), measure.text);
      part.querySelector("rect").setAttribute("width", measure.bar);
    }
  };

  const known = new Map();
  if (racks) for (const node of racks.children) known.set(node.dataset.rack, node);

  // A new appliance goes where the server would have put it: by site, then by name.
  const place = (key) => {
    const [site, appliance] = key.split("/");
    const after = (node) => {
      const [otherSite, other] = node.dataset.rack.split("/");
      return otherSite > site || (otherSite === site && other > appliance);
    };
    return [...racks.children].find(after) || null;
  };

  const take = (rows, all) => {
    if (!racks) {
      if (rows.length) location.reload();
      return;
    }
    const seen = new Set();
    for (const row of rows) {
      const key = row.site + "/" + row.appliance;
      seen.add(key);
      let node = known.get(key);
      if (!node) {
        node = racks.children[0].cloneNode(true);
        node.dataset.rack = key;
        racks.insertBefore(node, place(key));
        known.set(key, node);
      }
      fill(node, row);
    }
    if (all) {
      if (!rows.length) return location.reload();
      for (const [key, node] of known) {
        if (!seen.has(key)) {
          node.remove();
          known.delete(key);
        }
      }
    }
    sum();
    tell();
  };

  const sum = () => {
    const nodes = [...known.values()];
    const down = nodes.filter((node) => node.dataset.up === "false").length;
    const twice = nodes.filter((node) => node.dataset.twice === "true").length;
    const counts = { total: nodes.length, up: nodes.length - down, down, twice };
    for (const part of document.querySelectorAll("[data-sum]")) {
      const count = counts[part.dataset.sum];
      put(part, String(count));
      if (part.parentNode.dataset.any !== undefined) part.parentNode.dataset.any = count > 0;
    }
    document.title = down ? "(" + down + " down) Rackside" : "Rackside";
  };

  const tell = () => {
    const now = Date.now() + skew;
    for (const part of document.querySelectorAll("[data-span]")) put(part, span(now - Number(part.dataset.ms)));
    if (document.body.dataset.line === "lost") put(lineText, "not live for " + span(Date.now() - heard));
  };

  const line = (live) => {
    document.body.dataset.line = live ? "live" : "lost";
    lost.hidden = live;
    if (live) put(lineText, "live");
    tell();
  };

  let source;
  const connect = () => {
    source = new EventSource("/api/live");
    const on = (all) => (event) => {
      heard = Date.now();
      take(JSON.parse(event.data), all);
      line(true);
    };
    source.addEventListener("all", on(true));
    source.addEventListener("rows", on(false));
    for (const name of ["trouble", "history"]) {
      const banner = document.getElementById(name);
      source.addEventListener(name, (event) => {
        heard = Date.now();
        const why = JSON.parse(event.data);
        banner.hidden = !why;
        put(banner.querySelector("span"), why);
      });
    }
    // The hub says its time every few seconds, whether or not anything changed.
    source.addEventListener("time", (event) => {
      heard = Date.now();
      skew = Number(event.data) - heard;
      line(true);
    });
    source.onerror = () => {
      line(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  };
  connect();

  setInterval(() => {
    // Nothing for two and a half heartbeats: the path is cut, even if nobody says so.
    if (document.body.dataset.line === "live" && Date.now() - heard > 25000) {
      source.close();
      line(false);
      connect();
    }
    tell();
  }, 1000);
})();
