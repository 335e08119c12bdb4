// Keeps the fleet's page, and a site's, fresh through /api/live, and finds what is typed as it is typed. The server renders everything first; this changes texts, states and
// order. Texts go in as text, never as HTML: agents and operators choose some of them.
"use strict";

(() => {
  const sites = document.getElementById("sites");
  const lost = document.getElementById("lost");
  const lineText = document.querySelector(".line-text");
  const blank = document.getElementById("blank");
  const form = document.querySelector(".filter");
  // The page of one site.
  const only = document.body.dataset.site;
  const order = ["critical", "down", "warning", "unknown", "muted", "well"];
  const rank = (state) => {
    const at = order.indexOf(state);
    return at < 0 ? order.length : at;
  };

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
  const mark = (node, name, value) => {
    if (node.dataset[name] !== String(value)) node.dataset[name] = value;
  };
  const hide = (node, is) => {
    if (node && node.hidden !== is) node.hidden = is;
  };

  const link = (node, alert) => {
    if (!node) return;
    put(node, alert.text);
    if (alert.id) node.href = "/alerts/" + alert.id;
    else node.removeAttribute("href");
  };

  const fill = (node, row) => {
    mark(node, "rack", row.site + "/" + row.appliance);
    for (const name of ["up", "twice", "state", "trouble"]) mark(node, name, row[name]);
    put(node.querySelector("h3 a"), row.appliance);
    node.querySelector("h3 a").href = "/sites/" + row.site + "/" + row.appliance;
    for (const part of node.querySelectorAll("[data-text]")) put(part, row[part.dataset.text]);
    for (const part of node.querySelectorAll("[data-span]")) {
      part.dataset.ms = row[part.dataset.span];
      part.dateTime = new Date(row[part.dataset.span]).toISOString();
    }
    for (const part of node.querySelectorAll("[data-cell]")) {
      const cell = row[part.dataset.cell];
      mark(part, "high", cell.high);
      mark(part, "none", cell.none);
      put(part.querySelector("dd > span"), cell.text);
      put(part.querySelector("dd > small"), cell.note);
    }
    link(node.querySelector(".trouble a"), row.alert);
    put(node.querySelector(".trouble small"), row.alert.more);
    put(node.querySelector(".hand"), row.hand);
    const notes = node.querySelector(".notes");
    const said = [...notes.querySelectorAll("[data-high]")];
    if (said.map((one) => one.textContent).join("\n") !== row.notes.map((one) => one.text).join("\n")) {
      for (const one of said) one.remove();
      for (const one of row.notes.slice().reverse()) {
        const note = document.createElement("span");
        note.dataset.high = one.high;
        note.textContent = one.text;
        notes.prepend(note);
      }
    }
  };

  const head = (node, site) => {
    mark(node, "site", site.site);
    mark(node, "title", site.title);
    mark(node, "own", site.own);
    node.dataset.tags = site.tags.map((tag) => tag + "\n").join("");
    const title = node.querySelector(".site-head h2 a");
    if (title) {
      put(title, site.title);
      title.href = "/sites/" + site.site;
    }
    const lamp = node.querySelector(".lamp");
    mark(lamp, "on", site.air.on);
    put(lamp, site.air.word);
    put(node.querySelector(".air-why"), site.air.why);
    put(node.querySelector(".air-next"), site.air.next);
    link(node.querySelector(".site-alert a"), site.alert);
  };

  const groups = new Map();
  const racks = new Map();
  if (sites) {
    for (const node of sites.children) groups.set(node.dataset.site, node);
    for (const node of sites.querySelectorAll(".rack")) racks.set(node.dataset.rack, node);
  }

  const groupOf = (site) => {
    let node = groups.get(site);
    if (!node) {
      node = blank.content.firstElementChild.cloneNode(true);
      node.querySelector(".racks").replaceChildren();
      head(node, { site, title: site, own: "well", tags: [], air: { on: false, word: "", why: "", next: "" }, alert: { text: "" } });
      groups.set(site, node);
      sites.append(node);
    }
    return node;
  };

  const takeRows = (rows, all) => {
    if (!sites) {
      if (rows.length) location.reload();
      return;
    }
    const seen = new Set();
    for (const row of rows) {
      if (only && row.site !== only) continue;
      const key = row.site + "/" + row.appliance;
      seen.add(key);
      let node = racks.get(key);
      if (!node) {
        node = blank.content.querySelector(".rack").cloneNode(true);
        racks.set(key, node);
        groupOf(row.site).querySelector(".racks").append(node);
      }
      fill(node, row);
    }
    if (all) {
      for (const [key, node] of racks) {
        if (!seen.has(key)) {
          node.remove();
          racks.delete(key);
        }
      }
    }
    settle();
  };

  const takeSites = (heads) => {
    if (!sites) {
      if (heads.length) location.reload();
      return;
    }
    for (const site of heads) if (!only || site.site === only) head(groupOf(site.site), site);
    settle();
  };

  const settle = () => {
    for (const node of groups.values()) {
      let worst = rank(node.dataset.own);
      for (const rack of node.querySelectorAll(".rack")) worst = Math.min(worst, rank(rack.dataset.state));
      mark(node, "state", order[worst] || "well");
    }
    find();
    sum();
    tell();
    sort();
  };

  const says = (trouble, open, total, bare) => {
    if (!trouble) return bare === 1 ? "1 site needs somebody" : bare ? bare + " sites need somebody" : "All is well";
    if (!open) return trouble + " of " + total + " not well, all in hand";
    return open === 1 ? "1 of " + total + " needs somebody" : open + " of " + total + " need somebody";
  };

  const sum = () => {
    if (only) return;
    const all = [...racks.values()];
    const trouble = all.filter((node) => node.dataset.trouble === "true");
    const open = trouble.filter((node) => !node.querySelector(".hand").textContent);
    const count = (state) => all.filter((node) => node.dataset.state === state).length;
    const counts = { total: all.length, sites: groups.size, twice: all.filter((node) => node.dataset.twice === "true").length };
    counts.on_air = sites.querySelectorAll('.lamp[data-on="true"]').length;
    for (const state of order) counts[state] = count(state);
    for (const part of document.querySelectorAll("[data-sum]")) {
      const is = counts[part.dataset.sum];
      put(part, String(is));
      if (part.parentNode.dataset.any !== undefined) mark(part.parentNode, "any", is > 0);
    }
    const bare = [...groups.values()].filter((node) => rank(node.dataset.own) < 4 && !node.querySelector('[data-trouble="true"]'));
    put(document.getElementById("says"), says(trouble.length, open.length, all.length, bare.length));
    const states = [...groups.values()].map((node) => rank(node.dataset.state));
    mark(document.getElementById("sum"), "state", order[Math.min(5, ...states)]);
    const newest = Math.max(0, ...trouble.map((node) => Number(node.querySelector('[data-span="since_ms"]').dataset.ms)));
    document.getElementById("newest-span").dataset.ms = newest;
    hide(document.getElementById("newest"), !newest);
    document.title = trouble.length ? "(" + trouble.length + " not well) Rackside" : "Rackside";
  };

  // What is looked for, as the server does it.
  const find = () => {
    if (!form) return;
    const asked = new FormData(form);
    const text = (asked.get("q") || "").trim().toLowerCase();
    const tag = asked.get("tag") || "";
    const state = asked.get("state") || "";
    const has = (...names) => !text || names.some((name) => name.toLowerCase().includes(text));
    let left = false;
    for (const group of groups.values()) {
      const hasTag = !tag || group.dataset.tags.split("\n").includes(tag);
      const onAir = group.querySelector(".lamp").dataset.on === "true";
      const named = has(group.dataset.site, group.dataset.title);
      let any = false;
      const all = group.querySelectorAll(".rack");
      for (const rack of all) {
        const trouble = rack.dataset.trouble === "true";
        const fits =
          state === "" ? true
          : state === "trouble" ? trouble
          : state === "open" ? trouble && !rack.querySelector(".hand").textContent
          : state === "air" ? onAir
          : rack.dataset.state === state;
        const is = hasTag && fits && (named || has(rack.querySelector("h3").textContent, rack.querySelector(".machine").textContent));
        hide(rack, !is);
        any = any || is;
      }
      const own = rank(group.dataset.own) < 4;
      const stands =
        state === "" ? true
        : state === "trouble" || state === "open" ? own
        : state === "air" ? onAir
        : group.dataset.state === state;
      hide(group, !(any || (!all.length && hasTag && named && stands)));
      left = left || !group.hidden;
    }
    hide(document.getElementById("nothing"), left || !groups.size);
    hide(document.getElementById("clear"), !(text || tag || state));
  };

  if (form) {
    form.querySelector("button").hidden = true;
    const changed = () => {
      find();
      const asked = new URLSearchParams(new FormData(form));
      for (const [name, value] of [...asked]) if (!value) asked.delete(name);
      history.replaceState(null, "", asked.size ? "/?" + asked : "/");
    };
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      changed();
    });
  }

  // The worst comes first, but nothing moves under a hand: not while somebody points at it, holds it or has the keyboard in it.
  let touched = 0;
  if (sites) for (const name of ["pointermove", "pointerdown", "wheel", "touchmove"]) sites.addEventListener(name, () => (touched = Date.now()), { passive: true });
  const sorted = (list, compare) => {
    const nodes = [...list.children];
    const right = nodes.slice().sort(compare);
    if (right.some((node, at) => node !== nodes[at])) list.append(...right);
  };
  const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const sort = () => {
    if (!sites || Date.now() - touched < 4000 || sites.contains(document.activeElement)) return;
    const onAir = (node) => (node.querySelector(".lamp").dataset.on === "true" ? 0 : 1);
    for (const group of groups.values()) {
      sorted(group.querySelector(".racks"), (a, b) => rank(a.dataset.state) - rank(b.dataset.state) || text(a.dataset.rack, b.dataset.rack));
    }
    if (!only) sorted(sites, (a, b) => rank(a.dataset.state) - rank(b.dataset.state) || onAir(a) - onAir(b) || text(a.dataset.title, b.dataset.title));
  };

  const tell = () => {
    const now = Date.now() + skew;
    for (const part of document.querySelectorAll("[data-span], #newest-span")) put(part, span(now - Number(part.dataset.ms)));
    const local = document.getElementById("local");
    if (local) put(local, new Date(now).toLocaleString("en-GB", { timeZone: local.dataset.zone, weekday: "short", hour: "2-digit", minute: "2-digit" }).replace(",", ""));
    if (document.body.dataset.line === "lost") put(lineText, "not live for " + span(Date.now() - heard));
  };

  const line = (live) => {
    document.body.dataset.line = live ? "live" : "lost";
    hide(lost, live);
    if (live) put(lineText, "live");
    tell();
  };

  let source;
  const connect = () => {
    source = new EventSource(only ? "/api/live?site=" + only : "/api/live");
    const on = (name, take) =>
      source.addEventListener(name, (event) => {
        heard = Date.now();
        take(JSON.parse(event.data));
        line(true);
      });
    on("all", (rows) => takeRows(rows, true));
    on("rows", (rows) => takeRows(rows, false));
    on("sites", takeSites);
    for (const name of ["trouble", "history"]) {
      const banner = document.getElementById(name);
      on(name, (why) => {
        hide(banner, !why);
        put(banner.querySelector("span"), why);
      });
    }
    // The hub says its time every few seconds, whether or not anything changed.
    on("time", (time) => (skew = time - heard));
    source.onerror = () => {
      line(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  };

  // Curves are in no live update: they are asked for again now and then, sooner while there are none.
  const curves = async () => {
    const answer = document.hidden ? null : await fetch(only ? "/sites/" + only : "/").catch(() => null);
    if (answer && answer.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const now of page.querySelectorAll(".rack")) {
        const node = racks.get(now.dataset.rack);
        const curve = now.querySelector(".spark");
        if (!node || !curve) continue;
        node.querySelector(".spark")?.remove();
        node.querySelector(".temperature dd > span").after(document.adoptNode(curve));
      }
    }
    setTimeout(curves, 300000);
  };

  if (lost && window.EventSource) {
    connect();
    setInterval(() => {
      // Nothing for two and a half heartbeats: the path is cut, even if nobody says so.
      if (document.body.dataset.line === "live" && Date.now() - heard > 25000) {
        source.close();
        line(false);
        connect();
      }
      tell();
      sort();
    }, 1000);
  }
  if (sites && racks.size) setTimeout(curves, sites.querySelector(".spark") ? 300000 : 15000);
})();
