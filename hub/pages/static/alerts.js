// Keeps /alerts, and the page of an alert, fresh: asks for the page again when the hub tells of something, and puts in what differs. A line whose form is open, or has the focus, stays as it is
// until that is over; the server rendered all of it before, and renders all of it again.
"use strict";

(() => {
  // How long things last is told by the minute.
  const EVERY = 60000;
  // Whoever came by a message's link has this page alone, and is told of nothing.
  const UNTOLD = 4000;
  let tag = "";

  const busy = (node) => node.querySelector("details[open]") || node.contains(document.activeElement);

  const lines = (fresh) => {
    for (const list of document.querySelectorAll("[data-list]")) {
      const other = fresh.querySelector('[data-list="' + list.dataset.list + '"]');
      if (!other) continue;
      const wanted = [...other.children].map((node) => {
        const known = document.querySelector('[data-list] > [data-alert="' + node.dataset.alert + '"]');
        const keep = known && (busy(known) || known.dataset.html === node.outerHTML);
        if (keep) return known;
        const made = document.importNode(node, true);
        made.dataset.html = node.outerHTML;
        window.rackside.times(made);
        return made;
      });
      // One that is being filled in stays where it is, though it would be elsewhere by now.
      const staying = [...list.children].filter((node) => busy(node) && !wanted.includes(node));
      wanted.push(...staying);
      const same = wanted.length === list.children.length && wanted.every((node, at) => node === list.children[at]);
      if (same) continue;
      for (const node of [...list.children]) if (!wanted.includes(node)) node.remove();
      wanted.forEach((node, at) => {
        if (list.children[at] !== node && !(busy(node) && list.contains(node))) list.insertBefore(node, list.children[at] || null);
      });
    }
  };

  const parts = (fresh) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.querySelector('[data-live="' + part.dataset.live + '"]');
      if (!other || busy(part) || (part.dataset.html || "") === other.innerHTML) continue;
      const before = part.dataset.html === undefined && part.textContent === other.textContent;
      part.dataset.html = other.innerHTML;
      if (before) continue;
      part.replaceChildren(...[...document.importNode(other, true).childNodes]);
      window.rackside.times(part);
    }
  };

  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.redirected) return location.reload();
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(answer.status);
        tag = answer.headers.get("etag") || "";
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        lines(fresh);
        parts(fresh);
      }
      if (untold) answered(true);
    } catch {
      // Else the line tells of it.
      if (untold) answered(false);
    }
  };

  // What the page was made of, so that only what differs is put in.
  for (const node of document.querySelectorAll("[data-alert]")) node.dataset.html = "";
  let asked, untold;
  const soon = () => {
    clearTimeout(asked);
    asked = setTimeout(look, 250);
  };
  setInterval(look, EVERY);
  const refused = () => {
    if (!untold) untold = setInterval(look, UNTOLD);
    look();
  };
  const answered = window.rackside.live({ topics: "alerts" }, { alerts: soon, alert: soon, mutes: soon, maintenance: soon, begin: soon, refused });

  // Beside the tab key: j and k from alert to alert, a and m open its forms.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const links = [...document.querySelectorAll("[data-alert] h3 a")];
    const line = document.activeElement?.closest("[data-alert]");
    const at = links.findIndex((link) => line && line.contains(link));
    if (event.key === "j") links[Math.min(at + 1, links.length - 1)]?.focus();
    else if (event.key === "k") links[Math.max(at - 1, 0)]?.focus();
    else if ((event.key === "a" || event.key === "m") && line) {
      const word = event.key === "a" ? "Acknowledge" : "Mute";
      const form = [...line.querySelectorAll("details")].find((one) => one.firstElementChild.textContent === word);
      if (!form) return;
      form.open = true;
      form.querySelector("input:not([type=hidden]), button")?.focus();
      event.preventDefault();
    }
  });
})();
