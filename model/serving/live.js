"use strict";
// The live head: frames of the webcam go to the program one after another, always the newest, and the head takes the
// pose and expression of the face in them. Everything is shown as in a mirror.

const LIVE_HEIGHT = 480, LIVE_QUALITY = 0.8;
const TOLD = {
  learning: "look at the camera for a moment", lost: "no face in the picture", face: "the head follows your face",
};
const MOST_FAILURES = 5; // frames in a row that the program may fail at
const RATE_SECONDS = 2; // over which the frames a second are counted
const live = document.getElementById("live"), liveButton = live.querySelector("button");
const liveVideo = live.querySelector("video");
const liveState = live.querySelector("[role=status]"); // read out when it changes
const liveRate = live.querySelector(".rate");
let session = null; // { id, stream, wake: ends the wait for a frame, ends: times of the last answers }

async function startLive() {
  const mine = session = { id: null, stream: null, ends: [], failures: 0 };
  liveButton.setAttribute("aria-pressed", "true");
  liveState.textContent = "starting the camera";
  try {
    mine.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", height: { ideal: LIVE_HEIGHT } } });
    if (session !== mine) return release(mine);
    mine.stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (session === mine) stopLive("The camera has been switched off.");
    });
    liveVideo.srcObject = mine.stream;
    liveVideo.hidden = false;
    await liveVideo.play();
    mine.id = (await fetchJson("/live", { method: "POST" })).id;
    if (session === mine) view.canvas.classList.add("mirrored");
    while (session === mine) await liveFrame(mine);
    release(mine);
  } catch (error) {
    release(mine);
    if (session !== mine) return; // stopped while a frame was under way
    stopLive(mine.stream ? error.message : `The camera cannot be used: ${error.message || error.name}.`);
  }
}

function stopLive(reason = "") {
  session?.wake?.();
  session = null;
  liveButton.setAttribute("aria-pressed", "false");
  liveVideo.srcObject = null;
  liveVideo.hidden = true;
  liveState.textContent = reason;
  liveRate.textContent = "";
  view.canvas.classList.remove("mirrored");
  view.reset();
  if (opened?.mesh) sliders.reset();
}

function release({ id, stream }) {
  stream?.getTracks().forEach((track) => track.stop());
  if (id) fetch(`/live/${id}`, { method: "DELETE", keepalive: true }).catch(() => {}); // it ends by itself soon
}

// One frame: taken when it is new, sent, and its answer shown.
async function liveFrame(mine) {
  await new Promise((done) => {
    mine.wake = done; // a video that is stopped shows no further frame
    liveVideo.requestVideoFrameCallback(done);
  });
  if (session !== mine) return;
  const taken = performance.now();
  const share = Math.min(1, LIVE_HEIGHT / liveVideo.videoHeight);
  const canvas = mine.canvas ??= document.createElement("canvas");
  [canvas.width, canvas.height] = [liveVideo.videoWidth, liveVideo.videoHeight].map((side) => Math.round(share * side));
  canvas.getContext("2d").drawImage(liveVideo, 0, 0, canvas.width, canvas.height);
  const body = await new Promise((done) => canvas.toBlob(done, "image/jpeg", LIVE_QUALITY));
  const answer = await fetchJson(`/live/${mine.id}`, { method: "POST", body }).catch((error) => failedFrame(mine, error));
  if (session !== mine) return;
  if (answer.milliseconds !== undefined) mine.failures = 0;
  showLive(answer);
  if (session !== mine) return;
  const now = performance.now();
  mine.ends = [...mine.ends.filter((end) => now - end < 1000 * RATE_SECONDS), now];
  const seconds = (now - mine.ends[0]) / 1000;
  const rate = seconds > 0.5 ? `${((mine.ends.length - 1) / seconds).toFixed(0)} frames a second, ` : "";
  const text = TOLD[answer.state];
  if (liveState.textContent !== text) liveState.textContent = text;
  liveRate.textContent = answer.state === "face" ? `${rate}${Math.round(now - taken)} ms from frame to head` : "";
}

// A frame that the program failed at, or for which it was busy, shows no face; what it refuses for good ends the session.
function failedFrame(mine, error) {
  mine.failures += 1;
  if (!(error.status === 429 || error.status >= 500) || mine.failures === MOST_FAILURES) throw error;
  return { state: "lost" };
}

function showLive({ state, angles, weights }) {
  if (!opened) return stopLive(); // the head was removed
  if (state !== "face" || !opened.mesh || !view.face) return;
  changes = weights.map((weight, place) => weight - opened.weights[place]);
  view.place({ angles, ...framing(view.face.mesh) });
  redraw();
}

liveButton.addEventListener("click", () => { if (session) stopLive(); else startLive(); });
addEventListener("pagehide", () => { // the next visitor need not wait
  if (!session) return;
  release(session);
  stopLive();
});
if (!navigator.mediaDevices || !HTMLVideoElement.prototype.requestVideoFrameCallback) live.hidden = true;
