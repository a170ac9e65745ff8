"use strict";
// The gain of every photo at a glance: a line from its coarse to its fine PSNR, the photos in the order of the fine one.

function drawChart(container, cards, onPick) {
  const rows = cards.map((card) => ({ card, coarse: Number(card.dataset.coarse), fine: Number(card.dataset.fine) }))
    .filter(({ coarse, fine }) => Number.isFinite(coarse) && Number.isFinite(fine))
    .sort((a, b) => a.fine - b.fine);
  if (rows.length < 2) {
    container.closest("figure").hidden = true;
    return;
  }
  const values = rows.flatMap(({ coarse, fine }) => [coarse, fine]);
  const low = 5 * Math.floor(Math.min(...values) / 5), high = 5 * Math.ceil(Math.max(...values) / 5 + 0.01);
  const percent = (value) => (100 * (high - value)) / (high - low);
  for (let value = low; value <= high; value += 5) {
    const line = document.createElement("span");
    line.className = "grid";
    line.style.top = `${percent(value)}%`;
    line.textContent = value;
    container.append(line);
  }
  const columns = document.createElement("div");
  columns.className = rows.length > 50 ? "columns dense" : "columns";
  for (const { card, coarse, fine } of rows) {
    const bar = document.createElement("button");
    bar.type = "button";
    bar.title = `${card.dataset.name}: ${coarse.toFixed(1)} to ${fine.toFixed(1)} dB`;
    bar.setAttribute("aria-label", bar.title);
    const line = document.createElement("i");
    line.style.top = `${percent(Math.max(coarse, fine))}%`;
    line.style.bottom = `${100 - percent(Math.min(coarse, fine))}%`;
    line.className = fine >= coarse ? "better" : "worse";
    bar.append(line);
    bar.addEventListener("click", () => onPick(card));
    columns.append(bar);
  }
  rove(columns);
  container.append(columns);
}

// Makes the bars one stop of the Tab key; arrow keys, Home and End go from one to the next.
function rove(columns) {
  const bars = [...columns.children];
  columns.setAttribute("role", "toolbar");
  columns.setAttribute("aria-label", "Photos by their fine PSNR");
  bars.forEach((bar, place) => { bar.tabIndex = place ? -1 : 0; });
  columns.addEventListener("focusin", ({ target }) => {
    for (const bar of bars) bar.tabIndex = bar === target ? 0 : -1;
  });
  columns.addEventListener("keydown", (event) => {
    const place = bars.indexOf(event.target);
    const next = bars[{ ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: bars.length - 1 }[event.key]];
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    next.focus();
  });
}
