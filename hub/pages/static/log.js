// Brings what happened since, when the hub tells that there is something, while the newest page is looked at. At the top it goes in at once; whoever has scrolled down reads on undisturbed, and is told how many there are.
"use strict";

(() => {
  const MOST = 500;
  const entries = document.getElementById("entries");
  const note = document.getElementById("fresh");
  const button = note.querySelector("button");
  if (entries.dataset.live !== "true") return;

  const known = new Set([...entries.children].map((row) => row.dataset.entry));
  let waiting = [];

  const put = () => {
    for (const row of waiting) {
      row.classList.add("fresh");
      entries.prepend(row);
      window.rackside.times(row);
    }
    waiting = [];
    note.hidden = true;
    while (entries.children.length > MOST) entries.lastElementChild.remove();
  };
  button.addEventListener("click", () => {
    put();
    scrollTo(0, 0);
  });

  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const rows = [...fresh.querySelectorAll("#entries > [data-entry]")].filter((row) => !known.has(row.dataset.entry));
      // The oldest first, so that each goes above the one before.
      for (const row of rows.reverse()) {
        known.add(row.dataset.entry);
        waiting.push(document.importNode(row, true));
      }
      if (waiting.length) {
        document.querySelector("main > .none")?.remove();
        if (scrollY < 80) put();
        else {
          button.textContent = waiting.length + " new";
          note.hidden = false;
        }
      }
    } catch {
      // The line tells of a hub that does not answer; it brings whoever comes back here again.
    }
  };
  let asked;
  const soon = () => {
    clearTimeout(asked);
    asked = setTimeout(look, 250);
  };
  window.rackside.live({ topics: "log" }, { log: soon, begin: soon });
})();
