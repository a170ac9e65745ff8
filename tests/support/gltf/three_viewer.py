"""Rigs drawn by three.js in headless Chromium, where both are there: npm install three."""

import base64
import io
import mimetypes
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.helpers import ROOT

THREE = ROOT / "node_modules" / "three"
SIZE = 192
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PAGE = """<!doctype html><script type="importmap">{"imports": {"three": "/three/build/three.module.js"}}</script>
<script type="module">
import * as THREE from "three";
import { GLTFLoader } from "/three/examples/jsm/loaders/GLTFLoader.js";
const size = SIZE, renderer = new THREE.WebGLRenderer({ preserveDrawingBuffer: true, alpha: true, antialias: true });
renderer.setSize(size, size);
renderer.setClearColor(0, 0);
const scene = new THREE.Scene(), lamp = new THREE.DirectionalLight(0xffffff, 2.2), camera =
  new THREE.PerspectiveCamera(20, 1, 0.1, 10);
lamp.position.set(-0.4, 0.5, 1);
scene.add(lamp, new THREE.AmbientLight(0xffffff, 1.0));
const { scene: head } = await new GLTFLoader().loadAsync("/rig.glb");
scene.add(head);
const meshes = [];
head.traverse((node) => { if (node.morphTargetDictionary) meshes.push(node); });
const opened = meshes.map((mesh) => [...mesh.morphTargetInfluences]);
window.names = () => Object.fromEntries(meshes.map((mesh, i) => [mesh.name, Object.fromEntries(
  Object.entries(mesh.morphTargetDictionary).map(([name, k]) => [name, opened[i][k]]))]));
window.draw = (weights, yaw, pitch, turned, distance) => {
  meshes.forEach((mesh, i) => { for (const [name, k] of Object.entries(mesh.morphTargetDictionary))
    mesh.morphTargetInfluences[k] = weights === null ? opened[i][k] : weights[name] ?? 0; });
  for (const [name, [x, y]] of Object.entries(turned)) head.getObjectByName(name).rotation.set(x, y, 0);
  head.rotation.set(pitch, yaw, 0);
  camera.position.z = distance;
  renderer.render(scene, camera);
  for (const name of Object.keys(turned)) head.getObjectByName(name).rotation.set(0, 0, 0);
  return renderer.domElement.toDataURL();
};
window.ready = true;
</script>"""


def chromium(started, *flags: str):
    """A browser of playwright's, with further flags; the test is skipped where there is no Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"needs a Chromium on the PATH ({', '.join(names)})")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return started.chromium.launch(executable_path=executable, args=[*FLAGS, *flags, *as_root])


def wait(page, condition: str, seconds: float = 120) -> None:
    """Waits until a JavaScript expression holds; playwright's own waiting evaluates text, which our pages forbid."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"must come true within {seconds} s: {condition}"
        page.wait_for_timeout(20)


class ThreeViewer:
    """A rig in three.js.

    Args:
      browser: from `chromium`.
      path: the .glb file.
      size: side of the pictures.
    """

    def __init__(self, browser, path: Path, size: int = SIZE):
        if not THREE.is_dir():
            pytest.skip("needs the npm package three in the checkout: npm install three")
        files = {"/": PAGE.replace("SIZE", str(size)).encode(), "/rig.glb": path.read_bytes()}
        self.messages: list[str] = []
        self.page = browser.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))

        def serve(route) -> None:
            address = "/" + route.request.url.split("/", 3)[3]
            body = files.get(address)
            if address.startswith("/three/"):
                body = (THREE / address.removeprefix("/three/")).read_bytes()
            if body is None:
                route.fulfill(status=404, body="")
            else:
                kind = "text/html" if address == "/" else mimetypes.guess_type(address)[0] or "application/octet-stream"
                route.fulfill(body=body, content_type=kind)

        self.page.route("http://rig.test/**", serve)
        self.page.goto("http://rig.test/")
        self.page.wait_for_function("window.ready === true")

    def names(self) -> dict[str, dict[str, float]]:
        """Mesh -> morph target -> weight with which the file opened."""
        return self.page.evaluate("names()")

    def draw(
        self,
        weights: Mapping[str, float] | None = None,
        yaw: float = 0.0,
        pitch: float = 0.0,
        turned: Mapping[str, tuple[float, float]] | None = None,
        distance: float = 0.75,
    ) -> np.ndarray:
        """Draws the rig, uint8 [S, S, 4].

        Args:
          weights: morph target -> weight, 0 for all others; None for those of the file.
          yaw, pitch: of the head, radians.
          turned: node -> its pitch and yaw, radians.
          distance: of the camera, metres.
        """
        url = self.page.evaluate(
            "([weights, yaw, pitch, turned, distance]) => draw(weights, yaw, pitch, turned, distance)",
            [None if weights is None else dict(weights), yaw, pitch, dict(turned or {}), distance],
        )
        with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
            return np.asarray(image.convert("RGBA"))
