"use strict";
// The given photos: upload one after another, progress, errors, removal.

const POLL_SECONDS = 0.4, RETRY_SECONDS = 2;
const list = document.getElementById("photos"), news = document.getElementById("news"), drop = document.getElementById("drop");
const most = Number(document.body.dataset.uploadMb);
const photos = []; // { name, file, id, state, item, facts and files once its head can be shown }
const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

function add(photo) {
  const item = document.createElement("li");
  const image = element("img", "", { alt: "" });
  const open = element("button", photo.name, { type: "button", class: "open", disabled: "" });
  const remove = element("button", "×", { type: "button", class: "remove", "aria-label": `Remove ${photo.name}` });
  item.append(image, open, element("span", "", { class: "state" }), remove, element("progress", "", { "aria-label": photo.name }));
  if (photo.file) {
    image.src = URL.createObjectURL(photo.file);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  }
  open.addEventListener("click", () => show(photo, true));
  remove.addEventListener("click", () => discard(photo));
  Object.assign(photo, { item });
  photos.push(photo);
  list.append(item);
  (preparing ??= prepare()).catch(() => {}); // whoever opens a result is told
}

// Shows what is known of a photo.
function update(photo, state, text) {
  const { item } = photo, ended = state === "done" || state === "failed";
  if (photo.state !== state && ended) news.textContent = `${photo.name}: ${text}`;
  photo.state = state;
  item.className = state;
  item.querySelector(".state").textContent = text;
  item.querySelector("progress").hidden = ended;
  item.querySelector(".open").disabled = state === "failed" || !photo.facts;
  remember();
}

// A reload of the page finds its photos again; they are this tab's alone.
function remember() {
  sessionStorage.setItem("photos", JSON.stringify(photos.filter(({ id }) => id).map(({ id, name }) => ({ id, name }))));
}

async function discard(photo) {
  photos.splice(photos.indexOf(photo), 1);
  photo.item.remove();
  remember();
  if (opened?.id && opened.id === photo.id) closeResult();
  if (photo.id) await fetch(`/photos/${photo.id}`, { method: "DELETE" }).catch(() => {});
}

function show(photo, focus) {
  for (const { item } of photos) item.removeAttribute("aria-current");
  photo.item.setAttribute("aria-current", "true");
  openResult(photo).then(() => { if (focus) result.querySelector("h2").focus(); }, (error) => update(photo, "failed", error.message));
}

function take(status, photo) {
  const { state, position, stage, error } = status;
  const ahead = position === 1 ? "one photo is before it" : `${position} photos are before it`;
  const text = { waiting: position ? `waiting: ${ahead}` : "waiting", working: stage, done: "done", failed: error }[state];
  const shown = photo.files?.length, done = state === "done" && photo.state !== "done";
  Object.assign(photo, status, { state: photo.state });
  update(photo, state, text ?? state);
  if (done) photo.item.querySelector("img").src = `/photos/${photo.id}/crop.png`;
  if (opened && opened.id === photo.id) {
    if (done || photo.files.length !== shown) describe(photo);
  } else if (photo.facts && !shown && !opened) show(photo, false);
}

// Uploads wait for one another, and for a place where the queue is full.
let uploads = Promise.resolve();
function give(files) {
  for (const file of files) {
    const photo = { name: file.name || "photo", file };
    add(photo);
    if (file.size > 1e6 * most) {
      update(photo, "failed", `a photo must have at most ${most} MB, got ${(file.size / 1e6).toFixed(1)} MB`);
      continue;
    }
    update(photo, "uploading", "uploading");
    uploads = uploads.then(() => upload(photo));
  }
}

async function upload(photo) {
  while (photos.includes(photo)) {
    try {
      const query = new URLSearchParams({ name: photo.name });
      take(await fetchJson(`/photos?${query}`, { method: "POST", body: photo.file }), photo);
      if (!photos.includes(photo)) fetch(`/photos/${photo.id}`, { method: "DELETE" });
      break;
    } catch (error) {
      if (error.status !== 429) {
        update(photo, "failed", error.status ? error.message : "the program does not answer; has it been stopped?");
        break;
      }
      update(photo, "uploading", error.message);
      await sleep(RETRY_SECONDS);
    }
  }
  photo.file = null;
}

async function poll() {
  for (;;) {
    for (const photo of photos.filter(({ id, state }) => id && state !== "done" && state !== "failed")) {
      try {
        take(await fetchJson(`/photos/${photo.id}`), photo);
      } catch (error) {
        if (error.status) update(photo, "failed", error.message);
        else update(photo, photo.state, "the program does not answer; has it been stopped?");
      }
    }
    await sleep(POLL_SECONDS);
  }
}

for (const input of document.querySelectorAll("#give input[type=file]")) {
  input.addEventListener("change", () => { give(input.files); input.value = ""; });
}
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragenter" || type === "dragover");
    if (type === "drop") give(event.dataTransfer.files);
  });
}
for (const { id, name } of JSON.parse(sessionStorage.getItem("photos") ?? "[]")) {
  const photo = { id, name, file: null };
  add(photo);
  update(photo, "waiting", "");
}
poll();
