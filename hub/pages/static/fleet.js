// Keeps the fleet's page, and a site's, fresh through /api/live, and finds what is typed as it is typed. The server renders everything first; this changes texts, states and
// order. Texts go in as text, never as HTML: agents and operators choose some of them.
"use strict";

(() => {
  const sites = document.getElementById("sites");
  const blank = document.getElementById("blank");
  const form = document.querySelector(".filter");
  // The page of one site.
  const only = document.body.dataset.site;
  const order = ["critical", "down", "warning", "unknown", "look", "muted", "well"];
  const isTrouble = (state) => rank(state) < rank("look");
  // Of more appliances than this, those of sites that are well are folded.
  const FOLDED = 60;
  const rank = (state) => {
    const at = order.indexOf(state);
    return at < 0 ? order.length : at;
  };

  // The hub's clock, not this device's: spans are counted from what the hub said last.
  let skew = Number(document.body.dataset.now) - Date.now();

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

  // What fires, and who has it in hand or was told.
  const alert = (node, of) => {
    if (!node) return;
    link(node.querySelector("a"), of.alert);
    put(node.querySelector("small"), of.alert.more);
    put(node.querySelector(".hand"), of.hand);
    put(node.querySelector(".told"), of.told);
  };

  const fill = (node, row) => {
    mark(node, "rack", row.site + "/" + row.appliance);
    for (const name of ["up", "twice", "state", "trouble"]) mark(node, name, row[name]);
    put(node.querySelector("h3 a"), row.appliance);
    node.querySelector("h3 a").href = "/sites/" + row.site + "/" + row.appliance;
    for (const part of node.querySelectorAll("[data-text]")) put(part, row[part.dataset.text]);
    for (const part of node.querySelectorAll("[data-span]")) {
      const ms = row[part.dataset.span];
      mark(part, "ms", ms);
      if (ms) part.dateTime = new Date(ms).toISOString();
    }
    for (const part of node.querySelectorAll("[data-cell]")) {
      const cell = row[part.dataset.cell];
      mark(part, "high", cell.high);
      mark(part, "none", cell.none);
      put(part.querySelector("dd > span"), cell.text);
      put(part.querySelector("dd > small"), cell.note);
    }
    alert(node.querySelector(".trouble"), row);
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
    mark(node, "next", site.air.next_ms);
    alert(node.querySelector(".site-alert"), site);
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
      const air = { on: false, word: "", why: "", next: "", next_ms: 0 };
      head(node, { site, title: site, own: "well", tags: [], air, alert: { text: "", more: "" }, hand: "", told: "" });
      groups.set(site, node);
      sites.append(node);
    }
    return node;
  };

  const takeRows = (rows, all) => {
    if (!sites) {
      if (rows.some((row) => !row.gone)) location.reload();
      return;
    }
    const seen = new Set();
    for (const row of rows) {
      if (only && row.site !== only) continue;
      const key = row.site + "/" + row.appliance;
      let node = racks.get(key);
      if (row.gone) {
        node?.remove();
        racks.delete(key);
        // Whether a site without appliances has a place here the server knows.
        if (node && !groups.get(row.site)?.querySelector(".rack")) location.reload();
        continue;
      }
      seen.add(key);
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
    for (const site of heads) {
      if (only && site.site !== only) continue;
      if (site.gone && !only && !groups.get(site.site)?.querySelector(".rack")) {
        groups.get(site.site)?.remove();
        groups.delete(site.site);
      } else head(groupOf(site.site), site);
    }
    settle();
  };

  const hub = document.getElementById("hub");
  const takeHub = ([is]) => {
    if (!hub) return;
    for (const name of ["state", "trouble", "starting"]) mark(hub, name, is[name]);
    mark(hub, "ms", is.since_ms);
    alert(hub, is);
    hide(hub, !is.alert.text);
    sum();
  };

  const settle = () => {
    for (const node of groups.values()) {
      let worst = rank(node.dataset.own);
      for (const rack of node.querySelectorAll(".rack")) worst = Math.min(worst, rank(rack.dataset.state));
      mark(node, "state", order[worst] || "well");
    }
    const standing = document.getElementById("standing");
    if (standing) {
      const state = groups.get(only).dataset.state;
      mark(standing, "state", state);
      put(standing.querySelector("span"), state === "look" ? "worth a look" : state);
    }
    find();
    sum();
    tell();
    sort();
  };

  const texts = (node, name) => node.querySelector(name)?.textContent || "";
  const inHand = (node) => texts(node, ".hand") !== "";

  // The same sentence as the server's.
  const says = (of) => {
    const needs = (text) => (of.hub ? text + ", and the hub" : text);
    // What is known to be wrong is said all the same.
    if (of.starting && !of.bad && !of.sites && !of.hub) return of.starting;
    if (of.trouble) {
      if (!of.open) return needs(of.trouble + " of " + of.total + " not well, all in hand");
      return needs(of.open === 1 ? "1 of " + of.total + " needs somebody" : of.open + " of " + of.total + " need somebody");
    }
    if (of.openSites) return needs(of.openSites === 1 ? "1 site needs somebody" : of.openSites + " sites need somebody");
    if (of.sites) return needs(of.sites === 1 ? "1 site not well, in hand" : of.sites + " sites not well, all in hand");
    if (of.hub) return of.hubInHand ? "The hub is not well, and in hand" : "The hub needs somebody";
    if (!of.total) return "No appliance is heard yet";
    if (of.look) return "No alert, but " + of.look + " of " + of.total + " worth a look";
    return of.muted ? "All is well, but for " + of.muted + " muted or off" : "All is well";
  };

  const sum = () => {
    const box = document.getElementById("sum");
    if (only || !box) return;
    const all = [...racks.values()];
    const trouble = all.filter((node) => node.dataset.trouble === "true");
    const counts = { total: all.length, sites: groups.size, twice: all.filter((node) => node.dataset.twice === "true").length };
    counts.on_air = sites.querySelectorAll('.lamp[data-on="true"]').length;
    for (const state of order) counts[state] = 0;
    for (const node of all) counts[node.dataset.state] += 1;
    for (const part of document.querySelectorAll("[data-sum]")) {
      const is = counts[part.dataset.sum];
      put(part, String(is));
      if (part.parentNode.dataset.any !== undefined) mark(part.parentNode, "any", is > 0);
    }
    const bare = [...groups.values()].filter((node) => isTrouble(node.dataset.own) && !node.querySelector('[data-trouble="true"]'));
    const of = {
      total: all.length,
      trouble: trouble.length,
      open: trouble.filter((node) => !inHand(node)).length,
      sites: bare.length,
      openSites: bare.filter((node) => !texts(node, ".site-alert .hand")).length,
      bad: trouble.filter((node) => node.dataset.state !== "unknown").length,
      look: counts.look,
      muted: counts.muted,
      hub: hub.dataset.trouble === "true",
      hubInHand: inHand(hub),
      starting: hub.dataset.starting,
    };
    const worst = Math.min(order.length - 1, rank(hub.dataset.state), ...[...groups.values()].map((node) => rank(node.dataset.state)));
    const isKnown = (!of.starting && of.total) || worst < rank("unknown");
    if (document.body.dataset.line !== "lost") {
      put(document.getElementById("says"), says(of));
      mark(box, "state", isKnown ? order[worst] : "unknown");
    }
    const since = trouble.map((node) => Number(node.querySelector('[data-span="since_ms"]').dataset.ms));
    const newest = Math.max(0, of.hub ? Number(hub.dataset.ms) : 0, ...since);
    document.getElementById("newest-span").dataset.ms = newest;
    hide(document.getElementById("newest"), !newest);
    const count = trouble.length + (of.hub ? 1 : 0);
    document.title = count ? "(" + count + " not well) Rackside" : "Rackside";
    document.dispatchEvent(new Event("rackside:summed"));
  };

  // What is looked for, as the server does it.
  const find = () => {
    if (!form || !sites) return;
    const asked = new FormData(form);
    const text = (asked.get("q") || "").trim().toLowerCase();
    const tag = asked.get("tag") || "";
    const state = asked.get("state") || "";
    const has = (...names) => !text || names.some((name) => name.toLowerCase().includes(text));
    let left = false;
    let shown = 0;
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
          : state === "open" ? trouble && !inHand(rack)
          : state === "air" ? onAir
          : rack.dataset.state === state;
        const is = hasTag && fits && (named || has(rack.querySelector("h3").textContent, rack.querySelector(".machine").textContent));
        hide(rack, !is);
        any = any || is;
        shown += is ? 1 : 0;
      }
      const own = isTrouble(group.dataset.own);
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
    const isLong = shown > FOLDED;
    hide(document.getElementById("fold"), !isLong);
    const folds = isLong && sites.dataset.folds === "true";
    for (const group of groups.values()) mark(group, "folded", folds && rank(group.dataset.state) > rank("look"));
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
    for (const part of document.querySelectorAll("[data-span], #newest-span")) {
      const ms = Number(part.dataset.ms);
      put(part, ms ? span(now - ms) : "");
    }
    const local = document.getElementById("local");
    if (local) put(local, new Date(now).toLocaleString("en-GB", { timeZone: local.dataset.zone, weekday: "short", hour: "2-digit", minute: "2-digit" }).replace(",", ""));
  };

  // Nobody knows whether all is still well: the sum says so as well.
  document.addEventListener("rackside:line", ({ detail: { live, since } }) => {
    if (live) {
      if (sites) settle();
      return;
    }
    put(document.getElementById("says"), "Not known: nothing heard of the hub since " + since);
    put(document.querySelector("#standing span"), "not known");
    const box = document.getElementById("sum") || document.getElementById("standing");
    if (box) mark(box, "state", "unknown");
  });

  // A site's page asks for its other parts again.
  const news = () => document.dispatchEvent(new Event("rackside:news"));
  window.rackside.live(only ? { topics: "rows,alerts,log", site: only } : { topics: "rows" }, {
    all: (rows) => takeRows(rows, true),
    rows: (rows) => takeRows(rows, false),
    sites: takeSites,
    own: takeHub,
    alerts: news,
    alert: news,
    log: news,
    // The hub says its time every few seconds, whether or not anything changed.
    time: (time) => (skew = time - Date.now()),
  });

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

  setInterval(() => {
    tell();
    sort();
  }, 1000);
  if (sites && racks.size) setTimeout(curves, sites.querySelector(".spark") ? 300000 : 15000);
})();
