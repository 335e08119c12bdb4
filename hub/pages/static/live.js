// The line from the hub to a page: `/api/live` as Server-Sent Events, so that no page has to ask again and again. It comes back by itself and goes on from the last message that it
// had, is let go while nobody looks at the page, and says in the corner whether what one sees is live. Once it is not, it says since when, once: nothing is counted aloud.
//
//   window.rackside.live({ topics: "latest,log", site: "hall", appliance: "rack-1" }, { latest: (data) => …, log: (data) => …, begin: () => … });
//
// Beside the events of docs/api.md there are `begin`, each time the line begins, since what happened while there was none may not be told, and `refused`, for whoever may see the page and
// no more. A page that has more to do when the line is lost or found listens for `rackside:line`, and finds in `detail` whether it is live and since when it is not. One that was refused and
// asks by itself says with the function that it got whether it was answered.
"use strict";

window.rackside = window.rackside || {};
window.rackside.live = (asked, on) => {
  // The hub says its time every 10 s: after two and a half of that the path is cut, even if nobody says so.
  const SILENCE = 25000;
  const lineText = document.querySelector(".line-text");
  const lost = document.getElementById("lost");
  let source, last, waiting;
  // When the present line was begun or told something last, and when any did.
  let heard, known = Date.now();
  const LOST = "(not live) ";

  const say = (live) => {
    const is = live ? "live" : "lost";
    if (document.body.dataset.line === is) return;
    document.body.dataset.line = is;
    const since = new Date(known).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    lineText.textContent = live ? "live" : "not live";
    if (lost) {
      if (!live) lost.querySelector("span").textContent = "The hub has not answered since " + since + ". What you see is as it was then, and grey.";
      lost.hidden = live;
    }
    // A tab in the background says it as well.
    const title = document.title.startsWith(LOST) ? document.title.slice(LOST.length) : document.title;
    document.title = live ? title : LOST + title;
    document.dispatchEvent(new CustomEvent("rackside:line", { detail: { live, since } }));
  };
  const alive = () => {
    heard = known = Date.now();
    say(true);
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
    say(false);
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
    say(false);
    begin();
  }, 1000);
  // A browser has few lines to one hub: pages that nobody looks at keep none.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : source || begin()));
  begin();
  return (answered) => (answered ? alive() : say(false));
};
