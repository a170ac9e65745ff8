"use strict";
// The given photos: upload one after another, progress, errors, removal.

const POLL_SECONDS = 0.4, RETRY_SECONDS = 2;
const LOOK_SECONDS = 60; // between two looks for finished photos, which the program removes some day
const list = document.getElementById("photos"), news = document.getElementById("news"), drop = document.getElementById("drop");
const most = Number(document.body.dataset.uploadMb);
const photos = []; // { name, file, id, state, item, facts and files once its head can be shown }
const isOver = (state) => state === "done" || state === "failed";
const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

function add(photo) {
  const item = document.createElement("li");
  const image = element("img", "", { alt: "" });
  const open = element("button", photo.name, { type: "button", class: "open", disabled: "" });
  const remove = element("button", "×", { type: "button", class: "remove", "aria-label": `Remove ${photo.name}` });
  const lines = ["state", "trouble"].map((name) => element("span", "", { class: name }));
  item.append(image, open, ...lines, remove, element("progress", "", { "aria-label": photo.name }));
  if (photo.file) {
    const address = URL.createObjectURL(photo.file);
    for (const end of ["load", "error"]) {
      image.addEventListener(end, () => URL.revokeObjectURL(address), { once: true });
    }
    image.src = address;
  }
  open.addEventListener("click", () => show(photo, true));
  remove.addEventListener("click", () => discard(photo));
  Object.assign(photo, { item });
  photos.push(photo);
  list.append(item);
  prepared().catch(() => {}); // whoever opens a result is told
}

// Shows what is known of a photo.
function update(photo, state, text) {
  const { item } = photo, ended = isOver(state);
  if (photo.state !== state && ended) news.textContent = `${photo.name}: ${text}`;
  photo.state = state;
  item.className = state;
  item.querySelector(".state").textContent = text;
  item.querySelector("progress").hidden = ended;
  item.querySelector(".open").disabled = !photo.files?.length;
  remember();
}

// A reload of the page finds its photos again; they are this tab's alone.
const storage = (() => {
  try {
    return sessionStorage;
  } catch {
    return null; // the user's browser stores nothing for pages: a reload begins anew
  }
})();
function remember() {
  storage?.setItem("photos", JSON.stringify(photos.filter(({ id }) => id).map(({ id, name }) => ({ id, name }))));
}

function discard(photo) {
  const place = photos.indexOf(photo), focused = photo.item.contains(document.activeElement);
  photos.splice(place, 1);
  photo.item.remove();
  remember();
  if (focused) { // the keyboard goes on where it was
    const next = photos[Math.min(place, photos.length - 1)];
    (next ? next.item.querySelector(".remove") : document.getElementById("choose")).focus();
  }
  if (!photo.id) return; // its upload finds out
  if (opened?.id === photo.id) closeResult();
  if (loading?.id === photo.id) loading = null;
  forget(photo.id);
}

// If the program does not hear of it, the photo is removed by its age.
function forget(id) {
  fetch(`/photos/${id}`, { method: "DELETE" }).catch((error) => console.warn(error.message));
}

async function show(photo, focus) {
  const trouble = photo.item.querySelector(".trouble");
  trouble.textContent = "";
  try {
    if (!await openResult(photo)) return;
    for (const { item } of photos) item.removeAttribute("aria-current");
    photo.item.setAttribute("aria-current", "true");
    if (focus) result.querySelector("h2").focus();
  } catch (error) {
    if (!photos.includes(photo)) return;
    if (error.status === 404) lose(photo, error);
    else news.textContent = trouble.textContent = `The head cannot be shown: ${error.message}`;
  }
}

// The program has removed the photo.
function lose(photo, error) {
  photo.files = [];
  update(photo, "failed", error.message);
  if (opened?.id === photo.id) describe(photo);
}

function take(status, photo) {
  if (!photos.includes(photo)) return; // removed while the answer was under way
  const { state, position, stage, error } = status;
  const ahead = position === 1 ? "one photo is before it" : `${position} photos are before it`;
  const text = { waiting: position ? `waiting: ${ahead}` : "waiting", working: stage, done: "done", failed: error }[state];
  const shown = photo.files?.length, ended = isOver(state) && photo.state !== state;
  Object.assign(photo, status, { state: photo.state });
  update(photo, state, text ?? state);
  if (ended && photo.files?.includes("crop.png")) photo.item.querySelector("img").src = `/photos/${photo.id}/crop.png`;
  if (opened?.id === photo.id) {
    if (ended || photo.files.length !== shown) describe(photo);
  } else if (photo.facts && !shown && !opened && !loading) show(photo, false);
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
    update(photo, "uploading", "waiting to be sent");
    uploads = uploads.then(() => upload(photo));
  }
}

// A dropped folder looks like a file until it is read.
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// Why no photo can be sent now, if so: it would be sent in full before it is refused.
async function queueObstacle() {
  try {
    return (await fetchJson("/photos")).places ? "" : "waiting for a place in the queue";
  } catch (error) {
    return error.message; // such as a proxy's, whose program may come back
  }
}

async function upload(photo) {
  const sound = await readable(photo.file);
  if (!sound && photos.includes(photo)) update(photo, "failed", "it cannot be read: it is a folder, or gone");
  while (sound && photos.includes(photo)) {
    const obstacle = await queueObstacle();
    if (!photos.includes(photo)) break;
    if (obstacle) {
      update(photo, "uploading", obstacle);
      await sleep(RETRY_SECONDS);
      continue;
    }
    try {
      update(photo, "uploading", "uploading");
      const query = new URLSearchParams({ name: photo.name });
      const status = await fetchJson(`/photos?${query}`, { method: "POST", body: photo.file });
      take(status, photo);
      if (!photos.includes(photo)) forget(status.id);
      break;
    } catch (error) {
      if (!photos.includes(photo)) break;
      if (error.status !== 429) {
        update(photo, "failed", error.message);
        break;
      }
      update(photo, "uploading", error.message);
      await sleep(RETRY_SECONDS);
    }
  }
  photo.file = null;
}

let looked = 0; // when finished photos were asked for
async function poll() {
  for (;;) {
    const now = performance.now(), look = now - looked > 1000 * LOOK_SECONDS;
    if (look) looked = now;
    const due = ({ id, state, files }) => id && (isOver(state) ? look && files?.length : true);
    for (const photo of photos.filter(due)) {
      try {
        take(await fetchJson(`/photos/${photo.id}`), photo);
      } catch (error) {
        if (!photos.includes(photo)) continue;
        if (error.status === 404) lose(photo, error);
        else if (!isOver(photo.state)) update(photo, photo.state, error.message); // it waits for the program to come back
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
for (const { id, name } of JSON.parse(storage?.getItem("photos") ?? "[]")) {
  const photo = { id, name, file: null };
  add(photo);
  update(photo, "waiting", "");
}
document.addEventListener("visibilitychange", () => { looked = -Infinity; }); // who comes back sees what is there
poll();
