"use strict";
// The result: the head in the report's viewer, its switches and sliders, pictures and downloads.

const DOWNLOADS = {
  "mesh.glb": "GLB", "mesh_lit.glb": "GLB, lit as in the photo", "mesh_obj.zip": "OBJ (zip)", "rig.glb": "Rig (GLB)",
  "coefficients.json": "coefficients.json", "fine.png": "PNG",
};
const PICTURES = { crop: "the aligned photo", coarse: "coarse rendering", fine: "fine rendering", overlay: "laid over the photo" };
const VALUE = { class: "value", "aria-hidden": "true" }; // beside a slider, which tells it by its own aria-valuetext
const result = document.getElementById("result");
const display = result.querySelector("form.display");
const sliders = result.querySelector("form.sliders");
const look = { texture: "textured", light: "lit", pose: "turn" };
const view = new FaceView(result.querySelector("canvas"), look);
let shared = null, renderer = null, geometry = null, moves = [];
let opened = null; // what is shown: { id, name }, and { mesh, positions, weights } if it can be drawn
let loading = null; // what will be shown as soon as it is decoded: { id }

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function fetchJson(address, settings) {
  const answer = await fetch(address, settings).catch(() => {
    throw new Error("the program does not answer; has it been stopped?");
  });
  if (answer.ok) return answer.json();
  const { status } = answer, content = await answer.json().catch(() => null); // a proxy's answer may be in HTML
  throw Object.assign(new Error(content?.error ?? `the server's answer is ${status}`), { status });
}

// What all faces share is loaded once, while the first photo is in work; after a failure, the next call tries again.
let preparing = null;
function prepared() {
  return preparing ??= prepare().catch((error) => {
    preparing = null;
    throw error;
  });
}

async function prepare() {
  shared = await fetchJson("/shared.json");
  try {
    geometry = await decodeShared(shared.mesh);
    moves = await decodeMoves(shared.blend_shapes, shared.mesh.vertices);
    renderer = new Renderer(shared.camera, geometry.chart);
  } catch (error) {
    document.getElementById("no-webgl").hidden = false;
    document.body.classList.add("without-webgl");
    console.warn(error.message);
    return;
  }
  document.getElementById("expression").hidden = !moves.length;
  for (const name of shared.blend_shapes.names) {
    const words = name.replace(/([A-Z])/g, " $1").toLowerCase();
    const label = element("label", "");
    label.append(element("span", words), element("input", "", { type: "range", name, min: 0, max: 1, step: 0.02 }), element("span", "", VALUE));
    document.getElementById("movements").append(label);
  }
}

// Shows a photo's result; the page stays as it is until that is decoded. Returns whether it is shown: another photo may
// have been chosen meanwhile.
async function openResult(photo) {
  const mine = loading = { id: photo.id };
  try {
    await prepared();
    const face = await fetchJson(`/photos/${photo.id}/face.json`);
    const head = renderer ? await decodeHead(face) : null;
    if (loading !== mine) {
      Object.values(head?.images ?? {}).forEach((image) => image.close());
      return false;
    }
    opened = { id: photo.id, name: photo.name };
    result.hidden = false;
    describe(photo);
    if (head) showHead(face, head);
    return true;
  } finally {
    if (loading === mine) loading = null;
  }
}

async function decodeHead({ mesh, textures }) {
  const decoded = await decodeFace(mesh, shared.mesh.vertices, geometry);
  const positions = await decodePositions(mesh, shared.mesh.vertices);
  return { decoded, positions, images: await decodeTextures(textures) };
}

function showHead({ mesh, weights }, { decoded, positions, images }) {
  Object.assign(opened, { mesh, positions, weights });
  if (view.face) renderer.release(view.face);
  view.clear();
  view.show(renderer.upload(decoded, mesh, images));
  sliders.reset();
  frames.request();
}

function closeResult() {
  opened = null;
  result.hidden = true;
  if (view.face) renderer.release(view.face);
  view.clear();
}

// Pictures and downloads appear as their files are written.
function describe({ id, name, facts, files, state }) {
  result.querySelector("h2").textContent = name;
  const remark = facts.remark ? ` The photo ${facts.remark}.` : "", warning = facts.warning ? ` ${facts.warning}` : "";
  result.querySelector(".facts").textContent =
    `PSNR ${facts.psnr_coarse} dB coarse, ${facts.psnr_fine} dB fine; ${facts.seconds} s.${remark}${warning}`;
  const link = (file, text) => element("a", text, { href: `/photos/${id}/${file}`, download: "" });
  const items = Object.entries(DOWNLOADS).filter(([file]) => files.includes(file))
    .map(([file, text]) => [`${id}/${file}`, () => [link(file, text)]]);
  if (renderer) items.push(["this view", () => [viewLink()]]);
  const rest = { working: "other files are being written", failed: "there are no other files" }[state];
  if (rest) items.push([rest, () => [element("span", rest)]]);
  arrange(document.getElementById("downloads"), "li", items);
  const pictures = Object.entries(PICTURES).filter(([file]) => files.includes(`${file}.png`));
  arrange(document.getElementById("pictures"), "figure", pictures.map(([file, text]) => [`${id}/${file}`, () => [
    element("img", "", { src: `/photos/${id}/${file}.png`, alt: `${name}: ${text}` }), element("figcaption", text),
  ]]));
}

// Removes what is not wanted and adds what is missing; the rest stays, with the keyboard's focus, and pictures are not
// fetched again. wanted: [key, () => content] in order.
function arrange(parent, tag, wanted) {
  const keys = wanted.map(([key]) => key);
  for (const child of [...parent.children]) if (!keys.includes(child.dataset.key)) child.remove();
  wanted.forEach(([key, content], place) => {
    if (parent.children[place]?.dataset.key === key) return;
    const child = element(tag, "", { "data-key": key });
    child.append(...content());
    parent.insertBefore(child, parent.children[place] ?? null);
  });
}

function viewLink() {
  const link = element("a", "This view (PNG)", { href: "#", id: "this-view" });
  link.addEventListener("click", saveView);
  return link;
}

function saveView(event) {
  event.preventDefault();
  const { name } = opened;
  if (view.face) view.update(renderer, frames.clock, 0); // out of sight, it is not drawn
  view.canvas.toBlob((blob) => {
    const address = URL.createObjectURL(blob);
    element("a", "", { href: address, download: `${name.replace(/\.[^.]*$/, "")}_view.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
}

const frames = new FrameLoop(() => (view.face && view.visible ? [view] : []), () => renderer);
new IntersectionObserver((entries) => {
  view.visible = entries.at(-1).isIntersecting;
  frames.request();
}).observe(view.canvas);

const inputs = () => [...document.querySelectorAll("#movements input")];
function showValues() {
  for (const input of sliders.querySelectorAll("input")) {
    const unit = input.name === "turned" ? "°" : " %";
    const value = Math.round(input.value * (input.closest("#movements") ? 100 : 1)) + unit;
    input.nextElementSibling.textContent = value;
    input.setAttribute("aria-valuetext", value);
  }
}

// The sliders of single movements follow that of the whole expression. A photo's weights may lie outside a slider's range:
// only what the user moves is changed.
let changes = [];
function follow(name) {
  const { elements } = sliders, { weights } = opened;
  if (name === "strength") {
    const share = elements.strength.value / 100;
    inputs().forEach((input, k) => { input.value = share * weights[k]; });
    changes = weights.map((weight) => (share - 1) * weight);
  } else {
    const place = shared.blend_shapes.names.indexOf(name);
    changes[place] = elements[name].value - weights[place];
  }
}

function redraw() {
  if (!view.face) return;
  const { mesh, positions } = opened, { turned, gain } = sliders.elements;
  const shape = attributesOf(deformed(positions, moves, shared.blend_shapes.scales, changes), geometry);
  const light = turnedLight(mesh.light, turned.value * Math.PI / 180, gain.value / 100);
  renderer.change(view.face, shape.attributes, { ...mesh, low: shape.low, high: shape.high, light });
  view.stale = true;
  frames.request();
}

sliders.addEventListener("input", ({ target }) => {
  if (!opened?.mesh) return;
  if (target.name === "turned" || target.name === "gain") {
    // The photo's own pixels carry their light along; only the others can be lit anew.
    if (look.texture === "textured" || look.light === "unlit") {
      if (look.texture === "textured") display.elements.texture.value = "relit";
      display.elements.light.value = "lit";
      readLook();
    }
  } else {
    follow(target.name);
  }
  showValues();
  redraw();
});
sliders.addEventListener("submit", (event) => event.preventDefault());
sliders.addEventListener("reset", () => setTimeout(() => {
  if (!opened?.mesh) return;
  follow("strength");
  showValues();
  redraw();
}));

function readLook() {
  document.getElementById("texture-help").textContent = display.querySelector("[name=texture]:checked").title;
  for (const name of Object.keys(look)) look[name] = display.elements[name].value;
  view.stale = true;
  frames.request();
}

display.addEventListener("submit", (event) => event.preventDefault());
display.addEventListener("change", ({ target }) => {
  if (target.name === "pose") view.reset();
  readLook();
});
if (matchMedia("(prefers-reduced-motion: reduce)").matches) display.elements.pose.value = "photo"; // nothing moves unasked
readLook();
