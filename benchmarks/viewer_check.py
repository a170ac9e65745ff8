"""Renders exports of --mode test in another program (three.js in Chromium) and compares them with the photo.

    npm install three
    python -m benchmarks.viewer_check --results results/raw --three node_modules/three --pictures results/viewer

mesh_lit.glb is rendered with camera and pose from coefficients.json, and compared with crop.png inside its mask.
mesh.glb is rendered under a lamp and turned to both sides, for visual inspection.
"""

import argparse
import base64
import http.server
import io
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image

PAGE = """<!doctype html><script type="importmap">{"imports": {"three": "/three/build/three.module.js"}}</script>
<script type="module">
import * as THREE from "three";
import { GLTFLoader } from "/three/examples/jsm/loaders/GLTFLoader.js";
const report = (name, body) => fetch("/result/" + encodeURIComponent(name), { method: "POST", body });
try {
  const jobs = await (await fetch("/jobs")).json();
  for (const job of jobs) {
    const renderer = new THREE.WebGLRenderer({ preserveDrawingBuffer: true, alpha: true });
    renderer.setSize(job.size, job.size);
    renderer.setClearColor(0, 0);
    const camera = new THREE.PerspectiveCamera(job.fov, 1, 0.1, 100);
    camera.position.z = job.distance;
    const scene = new THREE.Scene();
    const lamp = new THREE.DirectionalLight(0xffffff, 2.5);
    lamp.position.set(-0.5, 0.6, 1);
    scene.add(lamp, new THREE.AmbientLight(0xffffff, 0.6));
    const { scene: face } = await new GLTFLoader().loadAsync(job.glb);
    face.matrixAutoUpdate = false;
    face.matrix.set(...job.matrix);
    scene.add(face);
    renderer.render(scene, camera);
    await report(job.name, renderer.domElement.toDataURL());
    renderer.dispose();
    renderer.forceContextLoss();
  }
  await report("done", "");
} catch (error) { await report("error", String(error.stack || error)); }
</script>"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/raw"))
    parser.add_argument("--three", type=Path, default=Path("node_modules/three"), help="npm's package")
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--pictures", type=Path, help="folder for the renderings")
    parser.add_argument("--seconds", type=float, default=300, help="time limit for all renderings")
    return parser.parse_args()


def jobs_of(folder: Path) -> list[dict]:
    """Rendering jobs of one photo: lit as in the photo, and relit from three sides."""
    content = json.loads((folder / "coefficients.json").read_text())
    camera, size = content["camera"], content["crop_size"]
    view = {
        "size": size,
        "fov": float(np.degrees(2 * np.arctan(size / 2 / camera["focal_length"]))),
        "distance": camera["distance"],
    }
    posed = np.eye(4)
    posed[:3, :3] = 10 * np.array(content["pose"]["rotation"])  # a .glb is in metres
    posed[:3, 3] = content["pose"]["translation"]
    glb = f"/results/{quote(folder.name)}/"
    jobs = [{**view, "glb": f"{glb}mesh_lit.glb", "matrix": posed, "name": f"{folder.name}-photo"}]
    for degrees in (-35, 0, 35):
        sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        turned = np.diag([10.0, 10, 10, 1]) @ [[cosine, 0, sine, 0], [0, 1, 0, 0], [-sine, 0, cosine, 0], [0, 0, 0, 1]]
        for kind in ("mesh", "mesh_lit"):
            name = f"{folder.name}-{kind}{degrees:+d}"
            jobs.append({**view, "size": 2 * size, "glb": f"{glb}{kind}.glb", "matrix": turned, "name": name})
    return [job | {"matrix": job["matrix"].reshape(-1).tolist()} for job in jobs]


def draw(jobs: list[dict], arguments) -> dict[str, np.ndarray]:
    """Renders all jobs in the browser; returns name -> uint8 [H, W, 4]."""
    drawings, finished, errors = {}, threading.Event(), []
    roots = {"three": arguments.three.resolve(), "results": arguments.results.resolve()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            first, _, rest = unquote(self.path).strip("/").partition("/")
            kind = "text/javascript" if self.path.endswith(".js") else "text/html"
            if first in roots:
                body = (roots[first] / rest).read_bytes()
            else:
                body = json.dumps(jobs).encode() if first == "jobs" else PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            name = unquote(self.path).removeprefix("/result/")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            if name == "error":
                errors.append(body.decode())
            if name in ("done", "error"):
                finished.set()
            else:
                with Image.open(io.BytesIO(base64.b64decode(body.split(b",")[1]))) as image:
                    drawings[name] = np.asarray(image.convert("RGBA"))

        def log_message(self, *values):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The browser's child processes keep writing for a moment after it ends.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [arguments.chromium, "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--disable-gpu"]
        command += ["--enable-unsafe-swiftshader", f"--user-data-dir={profile}"]
        page = f"http://127.0.0.1:{server.server_port}/"
        browser = subprocess.Popen([*command, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        in_time = finished.wait(arguments.seconds)
        browser.terminate()
        browser.wait()
    server.shutdown()
    if errors or not in_time:
        raise SystemExit(errors[0] if errors else f"the browser must draw within {arguments.seconds:g} s, got nothing")
    return drawings


def main():
    arguments = parse_arguments()
    folders = sorted(path.parent for path in arguments.results.glob("*/mesh_lit.glb"))
    if not folders:
        raise SystemExit(f"{arguments.results}: must hold what --mode test wrote, got no mesh_lit.glb")
    drawings = draw([job for folder in folders for job in jobs_of(folder)], arguments)
    likeness = []
    for folder in folders:
        with Image.open(folder / "crop.png") as image:
            crop = np.asarray(image).astype(np.float64)
        drawn = drawings[f"{folder.name}-photo"]
        # Only opaque pixels are face; their colours are not changed by the canvas's premultiplied alpha.
        inside = (crop[..., 3] >= 128) & (drawn[..., 3] == 255)
        error = np.mean((crop[..., :3][inside] - drawn[..., :3][inside]) ** 2)
        likeness.append(10 * np.log10(255**2 / error))
        share = inside.sum() / (crop[..., 3] >= 128).sum()
        print(f"{folder.name:24s} {likeness[-1]:6.2f} dB over {share:6.1%} of the mask")
    print(f"{'mean':24s} {np.mean(likeness):6.2f} dB, lowest {min(likeness):.2f} dB")
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for name, pixels in drawings.items():
            Image.fromarray(pixels).save(arguments.pictures / f"{name}.png")


if __name__ == "__main__":
    main()
