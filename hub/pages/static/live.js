// The line from the hub to a page: `/api/live` as Server-Sent Events, so that no page has to ask again and again. It comes back by itself and goes on from the last message that it
// had, is let go while nobody looks at the page, and says in the corner whether what one sees is live.
//
//   window.rackside.live({ topics: "latest,log", site: "hall", appliance: "rack-1" }, { latest: (data) => …, log: (data) => …, begin: () => … });
//
// Beside the events of docs/api.md there are `begin`, each time the line begins, since what happened while there was none may not be told, and `refused`, for whoever may see the page and
// no more.
"use strict";

window.rackside = window.rackside || {};
window.rackside.live = (asked, on) => {
  // The hub says its time every 10 s: after two and a half of that the path is cut, even if nobody says so.
  const SILENCE = 25000;
  const lineText = document.querySelector(".line-text");
  const lost = document.getElementById("lost");
  let source, last, heard, waiting;

  const say = (live, text) => {
    document.body.dataset.line = live ? "live" : "lost";
    if (lost) lost.hidden = live;
    if (lineText.textContent !== text) lineText.textContent = text;
  };
  const alive = () => {
    heard = Date.now();
    say(true, "live");
  };
  const trouble = (id) => (why) => {
    const banner = document.getElementById(id);
    if (!banner) return;
    banner.hidden = !why;
    banner.querySelector("span").textContent = why;
  };
  const troubles = ["trouble", "history", "watch", "starting"].map((id) => [id, trouble(id)]);
  const takes = { ...Object.fromEntries(troubles), time: () => {}, ...on };

  const later = () => {
    clearTimeout(waiting);
    // Not all pages at once, when a hub is started anew.
    waiting = setTimeout(begin, 2000 + 2000 * Math.random());
  };
  const end = () => {
    clearTimeout(waiting);
    source?.close();
    source = undefined;
  };
  const failed = async (which) => {
    if (which !== source) return;
    say(false, "the hub does not answer; what you see is old");
    if (which.readyState !== EventSource.CLOSED) return;
    end();
    const answer = await fetch("/api/me", { cache: "no-store" }).catch(() => null);
    if (answer?.status !== 401) return later();
    // Who has been logged out meanwhile is asked to log in.
    if (last) location.reload();
    else on.refused?.();
  };
  const begin = () => {
    end();
    if (document.hidden) return;
    heard = Date.now();
    const line = (source = new EventSource("/api/live?" + new URLSearchParams(last ? { ...asked, after: last } : asked)));
    line.onopen = () => {
      alive();
      on.begin?.();
    };
    line.onerror = () => failed(line);
    for (const [name, take] of Object.entries(takes)) {
      if (name === "begin" || name === "refused") continue;
      line.addEventListener(name, (event) => {
        if (line !== source) return;
        last = event.lastEventId || last;
        alive();
        take(JSON.parse(event.data));
      });
    }
  };

  setInterval(() => {
    if (!source || Date.now() - heard < SILENCE) return;
    say(false, "the hub does not answer; what you see is old");
    begin();
  }, 1000);
  // A browser has few lines to one hub: pages that nobody looks at keep none.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : source || begin()));
  begin();
};
