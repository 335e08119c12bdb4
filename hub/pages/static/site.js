// Keeps the parts of a site's page fresh that fleet.js does not: alerts, the log, mutes, shows, whom to ring. When there is news of the site, and now and then, the page is
// asked for again and what differs is put in; a part that somebody has the focus in stays as it is.
"use strict";

(() => {
  const SOON = 500;
  const NOW_AND_THEN = 60000;
  let waiting = 0;

  const look = async () => {
    clearTimeout(waiting);
    waiting = 0;
    const answer = document.hidden ? null : await fetch(location.pathname, { cache: "no-store" }).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-part]")) {
        const other = fresh.querySelector('[data-part="' + part.dataset.part + '"]');
        if (!other || part.contains(document.activeElement)) continue;
        const is = other.innerHTML;
        if (part.dataset.html === undefined ? part.textContent === other.textContent : part.dataset.html === is) {
          part.hidden = other.hidden;
          continue;
        }
        part.dataset.html = is;
        part.replaceChildren(...document.importNode(other, true).childNodes);
        part.hidden = other.hidden;
        window.rackside.times(part);
      }
    }
    if (!waiting) waiting = setTimeout(look, NOW_AND_THEN);
  };

  let isSoon = false;
  document.addEventListener("rackside:news", () => {
    if (isSoon) return;
    isSoon = true;
    setTimeout(() => {
      isSoon = false;
      look();
    }, SOON);
  });
  waiting = setTimeout(look, NOW_AND_THEN);
})();
