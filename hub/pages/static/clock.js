// What time it is for who looks, with the name of their time zone, in the head of each page. Without a script the head has the hub's time, in UTC.
"use strict";

(() => {
  const places = document.querySelectorAll("[data-clock]");
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const forms = {
    head: new Intl.DateTimeFormat("en-GB", { ...time, timeZoneName: "short" }),
    time: new Intl.DateTimeFormat("en-GB", time),
    day: new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" }),
  };
  const tell = () => {
    const now = new Date();
    for (const place of places) {
      const text = forms[place.dataset.clock].format(now);
      if (place.textContent !== text) place.textContent = text;
      if (place.tagName === "TIME") place.dateTime = now.toISOString();
    }
    setTimeout(tell, 60000 - (Date.now() % 60000));
  };
  tell();
})();
