"use strict";
// The page: loads what comes into view, keeps the visible faces moving, sorts and filters.

const shared = JSON.parse(document.getElementById("shared").textContent);
const look = { texture: "textured", light: "lit", pose: "turn" };
const cards = [...document.querySelectorAll("article")];
const dialog = document.querySelector("dialog");
const display = document.querySelector("form.display");
const list = document.querySelector("form.list");
const spacer = document.createElement("div"); // in the switches' place while they are in the dialog
spacer.className = "spacer";
let renderer = null, geometry = null;
const enlarged = new FaceView(dialog.querySelector("canvas"), look);
const views = new Map(cards.map((card) => [card, new FaceView(card.querySelector("canvas"), look, () => enlarge(card))]));

// What a card brings along, read when it is first needed.
function payload(card) {
  card.payload ??= JSON.parse(card.querySelector("script").textContent);
  return card.payload;
}

function loadPictures(card) {
  for (const image of card.querySelectorAll("img:not([src])")) {
    image.src = `data:image/webp;base64,${payload(card).pictures[image.dataset.picture]}`;
  }
}

// Decodes a card's face for a view, unless the view is cleared or asked for another face meanwhile.
async function loadFace(card, view) {
  const { mesh, textures } = payload(card);
  view.expects = mesh;
  const decoded = await decodeFace(mesh, shared.mesh.vertices, geometry);
  const images = await decodeTextures(textures);
  if (view.expects !== mesh) {
    Object.values(images).forEach((image) => image.close());
    return;
  }
  view.show(renderer.upload(decoded, mesh, images));
  frames.request();
}

function clearFace(view) {
  view.expects = null;
  if (view.face) renderer.release(view.face);
  view.clear();
}

function open(card) {
  loadPictures(card);
  if (renderer) loadFace(card, views.get(card));
}

function close(card) {
  clearFace(views.get(card));
  card.payload = null;
}

const frames = new FrameLoop(
  () => (dialog.open ? [enlarged] : [...views.values()].filter((view) => view.visible)), () => renderer,
);

// Faces near the window are decoded, those in it drawn.
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) (isIntersecting ? open : close)(target);
}, { rootMargin: "400px" });
const inside = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) views.get(target).visible = isIntersecting;
  frames.request();
});

function enlarge(card) {
  if (!renderer) return;
  dialog.querySelector("h2").textContent = card.dataset.name;
  enlarged.canvas.setAttribute("aria-label", `${card.dataset.name} in 3D`);
  // The same switches, reachable while the dialog is open; the page behind it keeps its layout.
  spacer.style.height = `${display.offsetHeight}px`;
  display.replaceWith(spacer);
  dialog.querySelector("form").after(display);
  dialog.showModal();
  enlarged.canvas.focus();
  loadFace(card, enlarged);
  frames.request();
}

dialog.addEventListener("close", () => {
  clearFace(enlarged);
  spacer.replaceWith(display);
  frames.request();
});

// Of the vertices' colours, the appearance belongs to the photo's view and the albedo to all others; either may be chosen
// anywhere afterwards.
function setPose(pose) {
  display.elements.pose.value = pose;
  if (pose === "photo" && look.texture === "fine") display.elements.texture.value = "appearance";
  if (pose === "turn" && look.texture === "appearance") display.elements.texture.value = "fine";
  for (const view of [enlarged, ...views.values()]) view.reset();
}

function readLook() {
  document.getElementById("texture-help").textContent = display.querySelector("[name=texture]:checked").title;
  for (const name of Object.keys(look)) look[name] = display.elements[name].value;
  for (const view of [enlarged, ...views.values()]) view.stale = true;
  frames.request();
}

display.addEventListener("change", (event) => {
  if (event.target.name === "pose") setPose(event.target.value);
  readLook();
});

// Larger is first, but for the name; what has no number is last.
const ORDER = {
  name: null,
  fine: (card) => Number(card.dataset.fine),
  gain: (card) => card.dataset.fine - card.dataset.coarse,
  points: (card) => Number(card.dataset.points),
};

function arrange() {
  const { text, show, sort, shown } = list.elements;
  const wanted = text.value.trim().toLowerCase();
  const matches = (element) => element.dataset.name.toLowerCase().includes(wanted);
  const key = ORDER[sort.value], names = new Intl.Collator(undefined, { numeric: true });
  const number = (card) => (Number.isFinite(key(card)) ? key(card) : -Infinity);
  const sorted = [...cards].sort((a, b) => (key && number(b) - number(a)) || names.compare(a.dataset.name, b.dataset.name));
  const quality = (card) => (Number.isFinite(ORDER.fine(card)) ? ORDER.fine(card) : -Infinity);
  const worst = new Set([...cards].filter(matches).sort((a, b) => quality(a) - quality(b)).slice(0, 10));
  let count = 0;
  const main = document.querySelector("main");
  for (const card of sorted) {
    card.hidden = !matches(card) || show.value === "failed" || (show.value === "worst" && !worst.has(card));
    count += !card.hidden;
    main.append(card);
  }
  const failed = document.getElementById("failed");
  let failures = 0;
  for (const item of failed?.querySelectorAll("li") ?? []) {
    item.hidden = !matches(item);
    failures += !item.hidden;
  }
  if (failed && show.value === "failed") failed.open = true;
  if (show.value === "failed") count = failures;
  shown.value = `${count} shown`;
  document.getElementById("nothing").hidden = count > 0;
}

// Goes to a card of the chart; one that the filter hides is brought back.
function pick(card) {
  if (card.hidden) {
    list.elements.text.value = "";
    list.elements.show.value = "all";
    arrange();
  }
  card.scrollIntoView({ block: "start" });
  card.querySelector("canvas").focus({ preventScroll: true });
}

async function start() {
  for (const event of ["input", "change"]) list.addEventListener(event, arrange);
  for (const form of [list, display]) form.addEventListener("submit", (event) => event.preventDefault());
  for (const card of cards) card.querySelector(".enlarge").addEventListener("click", () => enlarge(card));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    setPose("photo"); // nothing moves unasked
  }
  readLook();
  drawChart(document.getElementById("chart"), cards, pick);
  arrange();
  try {
    geometry = await decodeShared(shared.mesh);
    renderer = new Renderer(shared.camera, geometry.chart);
  } catch (error) {
    document.getElementById("no-webgl").hidden = cards.length === 0;
    document.body.classList.add("without-webgl");
    console.warn(error.message);
  }
  for (const card of cards) {
    near.observe(card);
    inside.observe(card);
  }
}

start();
