"use strict";
// One canvas with a face in it: where the face is turned to, and how mouse, touch and keys turn it.

const SWING = 0.6; // radians to each side, as far as the pictures of new views
const SWING_SECONDS = 7; // there and back
const EASE_SECONDS = 0.15;
const FRAME = 0.9; // zoom of a turning face: leaves room for nose and cheeks at the sides
const FACE_REACH = 1.6; // half the diagonal of the box of the largest face (dm); larger meshes are whole heads
const ZOOM_RANGE = [0.5, 6];

// Where a turning mesh is shown: a face about its own origin, a whole head about its middle and smaller.
function framing({ low, high }) {
  const middle = low.map((value, k) => (value + high[k]) / 2);
  const reach = Math.hypot(...high.map((value, k) => value - middle[k]));
  const whole = reach > FACE_REACH;
  return { translation: [0, 0, 0], middle: whole ? middle : [0, 0, 0], zoom: whole ? (FRAME * FACE_REACH) / reach : FRAME };
}

class FaceView {
  // `look` is shared by all views: { texture, light, pose }. `onEnlarge` is called by the Enter key, if given.
  constructor(canvas, look, onEnlarge) {
    this.canvas = canvas;
    this.look = look;
    this.face = null;
    this.visible = false;
    this.held = null; // the pose that the user turned it to
    this.pose = null;
    this.pointers = new Map();
    this.stale = true;
    this.listen(onEnlarge);
  }

  show(face) {
    this.face = face;
    this.pose = this.wanted(0);
    this.stale = true;
  }

  // Gives up the face and the memory of its picture.
  clear() {
    this.face = this.pose = this.held = null;
    this.canvas.width = this.canvas.height = 1;
  }

  // Where the face should be at a time in seconds.
  wanted(time) {
    if (this.held) return this.held;
    const { angles, translation } = this.face.mesh;
    if (this.look.pose === "photo") return { angles, translation, middle: [0, 0, 0], zoom: 1 };
    const yaw = SWING * Math.sin((2 * Math.PI * time) / SWING_SECONDS);
    return { angles: [0, yaw, 0], ...framing(this.face.mesh) };
  }

  // Moves towards the wanted pose, draws if anything changed; `elapsed` seconds since the last frame.
  update(renderer, time, elapsed) {
    if (!this.face) return;
    const share = 1 - Math.exp(-elapsed / EASE_SECONDS), wanted = this.wanted(time);
    const step = (from, to) => (Math.abs(to - from) < 1e-4 ? to : from + share * (to - from));
    const pose = {
      angles: this.pose.angles.map((angle, k) => step(angle, wanted.angles[k])),
      translation: this.pose.translation.map((value, k) => step(value, wanted.translation[k])),
      middle: this.pose.middle.map((value, k) => step(value, wanted.middle[k])),
      zoom: step(this.pose.zoom, wanted.zoom),
    };
    const moved = JSON.stringify(pose) !== JSON.stringify(this.pose);
    const size = Math.round(this.canvas.clientWidth * Math.min(window.devicePixelRatio, 2));
    if (!size || !(moved || this.stale || size !== this.canvas.width)) return;
    if (size !== this.canvas.width) this.canvas.width = this.canvas.height = size;
    this.pose = pose;
    this.stale = !renderer.draw(this.face, this.canvas, pose, this.look);
  }

  reset() {
    this.held = null;
  }

  // Takes a pose at once, as of a head that follows a face.
  place(pose) {
    this.held = this.pose = pose;
    this.stale = true;
  }

  turn(yaw, pitch) {
    if (!this.pose) return;
    const from = this.held ?? this.pose;
    const limited = Math.max(-1.4, Math.min(1.4, from.angles[0] + pitch)); // never upside down
    this.held = { ...from, angles: [limited, from.angles[1] + yaw, from.angles[2]] };
  }

  zoom(factor) {
    if (!this.pose) return;
    const from = this.held ?? this.pose;
    this.held = { ...from, zoom: Math.max(ZOOM_RANGE[0], Math.min(ZOOM_RANGE[1], from.zoom * factor)) };
  }

  listen(onEnlarge) {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("wheel", (event) => {
      // The wheel belongs to the page until the viewer is chosen; a touchpad's pinch arrives as wheel with Ctrl.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turn(-0.15, 0),
      ArrowRight: () => this.turn(0.15, 0),
      ArrowUp: () => this.turn(0, -0.15),
      ArrowDown: () => this.turn(0, 0.15),
      "+": () => this.zoom(1.15),
      "=": () => this.zoom(1.15),
      "-": () => this.zoom(1 / 1.15),
      0: () => this.reset(),
    };
    if (onEnlarge) keys.Enter = onEnlarge;
    canvas.addEventListener("keydown", (event) => {
      const action = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
  }

  // One pointer turns, two zoom by their distance.
  drag(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 1) {
      const scale = Math.PI / this.canvas.clientWidth;
      this.turn((now[0] - last[0]) * scale, (now[1] - last[1]) * scale);
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const distance = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
      this.zoom(distance(now) / distance(last));
    }
    this.pointers.set(event.pointerId, now);
  }
}

// Draws the faces that `shown` lists, frame after frame, and rests when there are none. A view leaves out frames in which
// nothing moved. `renderer` returns the page's.
class FrameLoop {
  constructor(shown, renderer) {
    Object.assign(this, { shown, renderer, frame: 0, before: 0, clock: 0 });
  }

  request() {
    if (!this.frame) this.frame = requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    this.frame = 0;
    const elapsed = Math.min((now - this.before) / 1000, 0.1);
    this.before = now;
    this.clock += elapsed;
    const views = this.shown();
    for (const view of views) view.update(this.renderer(), this.clock, elapsed);
    if (views.length) this.request();
  }
}
