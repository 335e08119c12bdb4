// Beside a time of the venue's clocks, the same on the reader's, where they differ. Nothing is changed where they do not.
"use strict";

window.rackside = window.rackside || {};
window.rackside.times = (root) => {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const format = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const there = (zone) => {
    try {
      return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
    } catch {
      return null;
    }
  };
  for (const time of root.querySelectorAll("time[data-zone]")) {
    const zone = time.dataset.zone;
    if (zone === here || time.nextElementSibling?.className === "yours") continue;
    const at = new Date(time.dateTime);
    const venue = there(zone);
    if (Number.isNaN(at.getTime()) || !venue || venue.format(at) === format.format(at)) continue;
    const yours = document.createElement("span");
    yours.className = "yours";
    yours.textContent = " (" + format.format(at) + " for you)";
    time.after(yours);
  }
};
window.rackside.times(document);
