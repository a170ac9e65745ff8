"use strict";
// A photo from the webcam. Browsers give it to pages of this computer and to https only; elsewhere, phones have their
// own camera behind a file input.

const camera = document.getElementById("camera"), video = camera.querySelector("video");
const fault = camera.querySelector(".fault"), shoot = document.getElementById("shoot");
let stream = null, starting = null; // `starting` tells a start from one before, whose permission is given late

function stopCamera() {
  starting = null;
  stream?.getTracks().forEach((track) => track.stop());
  stream = video.srcObject = null;
}

async function startCamera() {
  const mine = starting = {};
  fault.textContent = "";
  shoot.disabled = true;
  camera.showModal();
  try {
    const started = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    if (starting !== mine) return started.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = started;
    await video.play();
    if (starting === mine) shoot.disabled = false;
  } catch (error) {
    if (starting === mine) fault.textContent = `The camera cannot be used: ${error.message || error.name}.`;
  }
}

async function takePhoto() {
  shoot.disabled = true; // a second click would take a second photo
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0); // the picture, not its mirror image
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  camera.close();
  give([new File([blob], `camera ${new Date().toLocaleTimeString("en-GB").replaceAll(":", ".")}.png`, { type: "image/png" })]);
}

camera.addEventListener("close", stopCamera);
shoot.addEventListener("click", takePhoto);
document.getElementById("take").addEventListener("click", startCamera);
if (!navigator.mediaDevices) {
  document.getElementById("take").hidden = true;
  document.getElementById("phone").hidden = false;
}
