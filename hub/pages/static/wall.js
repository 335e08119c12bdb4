// On the wall: the worst of it in words, and the shows that come next, from what fleet.js keeps fresh. The server says the same at first.
"use strict";

document.addEventListener("rackside:summed", () => {
  const SHOWS = 3;
  const text = (node, name) => node?.querySelector(name)?.textContent.trim() || "";
  const put = (node, is) => {
    if (node.textContent !== is) node.textContent = is;
  };

  const worst = document.getElementById("worst");
  const hub = document.getElementById("hub");
  const order = ["critical", "down", "warning", "unknown", "look", "muted", "well"];
  const rank = (state) => (order.indexOf(state) < 0 ? order.length : order.indexOf(state));
  const isTrouble = (state) => rank(state) < rank("look");
  const sites = [...document.querySelectorAll("#sites > .site")];
  const first = sites.reduce((a, b) => (a && rank(a.dataset.state) <= rank(b.dataset.state) ? a : b), null);
  const fill = (place, what, who) => {
    put(worst.querySelector("b"), place);
    put(worst.querySelector("span"), what);
    put(worst.querySelector("small"), who);
  };
  const who = (node) => text(node, ".hand") || text(node, ".told");
  if (first && isTrouble(first.dataset.state) && rank(first.dataset.state) <= rank(hub.dataset.state)) {
    const racks = [...first.querySelectorAll(".rack")];
    const rack = racks.reduce((a, b) => (a && rank(a.dataset.state) <= rank(b.dataset.state) ? a : b), null);
    const alert = first.querySelector(".site-alert");
    if (!rack || rank(first.dataset.own) <= rank(rack.dataset.state)) fill(first.dataset.title, text(alert, "a"), who(alert));
    else {
      const says = text(rack, ".trouble a") || text(rack, '[data-text="why"]') || text(rack, '[data-text="word"]');
      fill(first.dataset.title + " · " + text(rack, "h3"), says, who(rack.querySelector(".trouble")));
    }
  } else if (hub.dataset.trouble === "true") fill("The hub", text(hub, "a"), who(hub));
  else fill("", "", "");

  const coming = sites.filter((site) => Number(site.dataset.next) > 0).sort((a, b) => a.dataset.next - b.dataset.next).slice(0, SHOWS);
  const lines = coming.map((site) => site.dataset.title + "\n" + text(site, ".air-next"));
  const list = document.getElementById("next");
  if (list.dataset.lines === lines.join("\n\n")) return;
  list.dataset.lines = lines.join("\n\n");
  list.replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      const [title, show] = line.split("\n");
      item.append(document.createElement("b"), " ", document.createElement("span"));
      put(item.querySelector("b"), title);
      put(item.querySelector("span"), show);
      return item;
    }),
  );
});
