"use strict";
// Draws faces with WebGL 2. A browser allows only some sixteen contexts, so there is one for the whole page, on a canvas
// that is never shown: every visible face is drawn there in turn and copied into its own 2D canvas.

// Camera and light are those of the program: lib/geometry/camera.py, and the quadratic forms of face_data.py, h^T M h.
// Light is computed at the vertices and colours are interpolated as they are displayed, as the program's renderer does.
// Textures are read at every pixel.
const VERTEX_SHADER = `#version 300 es
  layout(location = 0) in vec3 position;  // 0..1 within the box
  layout(location = 1) in vec3 normal;
  layout(location = 2) in vec3 colour;
  layout(location = 3) in vec2 uv;
  uniform vec3 low, extent, translation;
  uniform mat3 rotation;
  uniform mat4 light[3];
  uniform float top;        // what a full byte stands for
  uniform vec4 lens;        // 2 x focal ratio x zoom, distance, near, far
  uniform bool lit, bare;
  uniform vec3 studio;
  out vec3 shaded, arriving;
  out vec2 place;
  void main() {
    vec3 world = rotation * (low + extent * position) + translation;
    vec3 direction = normalize(rotation * normal);
    vec4 h = vec4(direction, 1.0);
    vec3 shading = vec3(dot(h, light[0] * h), dot(h, light[1] * h), dot(h, light[2] * h));
    arriving = lit ? shading : vec3(1.0);
    shaded = colour * top * arriving;
    place = uv;
    if (bare) shaded = vec3(0.15 + 0.8 * max(dot(direction, studio), 0.0));
    float depth = lens.y - world.z, near = lens.z, far = lens.w;
    gl_Position = vec4(world.xy * lens.x, (depth * (far + near) - 2.0 * far * near) / (far - near), depth);
  }`;

const FRAGMENT_SHADER = `#version 300 es
  precision highp float;
  in vec3 shaded, arriving;
  in vec2 place;
  uniform bool textured;
  uniform sampler2D skin;
  out vec4 pixel;
  const float INSIDE = 0.25;  // share of the light inside
  void main() {
    // The inside of the mesh shows beside the teeth, below the neck, and behind a face that is open there: in shadow.
    vec3 colour = clamp(textured ? texture(skin, place).rgb * arriving : shaded, 0.0, 1.0);
    pixel = vec4(gl_FrontFacing ? colour : INSIDE * colour, 1.0);
  }`;

// Direction of the light on the bare shape, as in the program's picture of it.
const STUDIO_LIGHT = [-0.35, 0.4, 0.85].map((value) => value / Math.hypot(0.35, 0.4, 0.85));

class Renderer {
  // Throws an Error where there is no WebGL 2.
  constructor(camera, chart) {
    this.camera = camera;
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = 1; // grows to the largest face
    const gl = this.canvas.getContext("webgl2", { antialias: true, alpha: true, depth: true });
    if (!gl) throw new Error("WebGL 2 must be available, got none");
    this.gl = gl;
    this.indexCount = chart.triangles.length;
    this.lost = false;
    this.setUp(chart);
    // A context may be taken away, as on a phone that slept; what was in it is made again when it returns.
    this.canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.lost = true; });
    this.canvas.addEventListener("webglcontextrestored", () => { this.setUp(chart); this.lost = false; });
  }

  setUp(chart) {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.uniforms = {};
    const names = ["low", "extent", "translation", "rotation", "light", "top", "lens", "lit", "bare", "studio", "textured"];
    for (const name of names) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    gl.uniform3fv(this.uniforms.studio, STUDIO_LIGHT);
    gl.enable(gl.DEPTH_TEST);
    this.indices = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.indices);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, chart.triangles, gl.STATIC_DRAW);
    const uv = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, uv);
    gl.bufferData(gl.ARRAY_BUFFER, chart.uv, gl.STATIC_DRAW);
    this.attribute(3, uv, gl.UNSIGNED_SHORT, 2);
    gl.bindBuffer(gl.ARRAY_BUFFER, null); // nothing else may be written into it
    this.anisotropy = gl.getExtension("EXT_texture_filter_anisotropic");
    this.generation = (this.generation ?? 0) + 1;
  }

  // Puts what decodeFace and decodeTextures gave into the graphics memory; `mesh` holds the face's other numbers.
  upload(decoded, mesh, images) {
    const gl = this.gl, buffers = {}, textures = {};
    for (const [name, values] of Object.entries(decoded)) {
      buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    }
    for (const [name, image] of Object.entries(images)) {
      textures[name] = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, textures[name]);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, image);
      gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      // Cheeks at the side are seen at a slant, where plain mipmaps blur.
      if (this.anisotropy) gl.texParameterf(gl.TEXTURE_2D, this.anisotropy.TEXTURE_MAX_ANISOTROPY_EXT, 4);
    }
    return { buffers, textures, decoded, mesh, images, generation: this.generation };
  }

  // Replaces some of an uploaded face's attributes, such as the positions in another expression, and its other numbers.
  change(face, attributes, mesh) {
    const gl = this.gl;
    Object.assign(face.decoded, attributes);
    face.mesh = mesh;
    if (face.generation !== this.generation) return; // its buffers were lost with their context: it is drawn anew
    for (const [name, values] of Object.entries(attributes)) {
      gl.bindBuffer(gl.ARRAY_BUFFER, face.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    }
  }

  release(face) {
    Object.values(face.buffers).forEach((buffer) => this.gl.deleteBuffer(buffer));
    Object.values(face.textures).forEach((texture) => this.gl.deleteTexture(texture));
    Object.values(face.images).forEach((image) => image.close());
  }

  // Draws a face into a 2D canvas. pose: { angles, translation, middle, zoom }, turned about `middle`, which moves to
  // `translation`; look: { texture, light, pose }. Returns whether it could.
  draw(face, target, pose, look) {
    if (this.lost) return false;
    if (face.generation !== this.generation) Object.assign(face, this.upload(face.decoded, face.mesh, face.images));
    const { gl, uniforms, canvas } = this;
    const size = target.width;
    if (canvas.width < size) canvas.width = canvas.height = size;
    gl.viewport(0, 0, size, size);
    gl.disable(gl.SCISSOR_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const { mesh, buffers } = face, { camera } = this;
    gl.uniform3fv(uniforms.low, mesh.low.map((value, k) => value - pose.middle[k]));
    gl.uniform3fv(uniforms.extent, mesh.high.map((high, k) => high - mesh.low[k]));
    gl.uniform3fv(uniforms.translation, pose.translation);
    gl.uniformMatrix3fv(uniforms.rotation, false, rotationMatrix(pose.angles));
    gl.uniformMatrix4fv(uniforms.light, false, mesh.light.flat());
    gl.uniform4f(uniforms.lens, 2 * camera.focal_ratio * pose.zoom, camera.distance, camera.near, camera.far);
    gl.uniform1i(uniforms.bare, look.texture === "shape");
    this.attribute(0, buffers.positions, gl.UNSIGNED_SHORT);
    this.attribute(1, buffers.normals, gl.BYTE);
    const half = size >> 1;
    const refined = look.pose === "photo" ? "appearance" : "textured";
    const parts = look.texture === "split" ? [["coarse", 0, half], [refined, half, size - half]]
      : [[look.texture === "shape" ? "coarse" : look.texture, 0, size]];
    gl.enable(gl.SCISSOR_TEST);
    for (const [texture, left, width] of parts) {
      gl.scissor(left, 0, width, size);
      this.choose(face, texture, look.light === "lit");
      gl.drawElements(gl.TRIANGLES, this.indexCount, gl.UNSIGNED_INT, 0);
    }
    const context = target.getContext("2d");
    context.clearRect(0, 0, size, size);
    context.drawImage(canvas, 0, canvas.height - size, size, size, 0, 0, size, size);
    if (look.texture === "split") {
      context.fillStyle = "rgba(255, 255, 255, 0.7)";
      context.fillRect(half, 0, 1, size);
    }
    return true;
  }

  // Sets up one kind of texture: colours of the vertices, or a picture. The lit picture brings its light along.
  choose({ mesh, buffers, textures }, texture, lit) {
    const { gl, uniforms } = this;
    const picture = { textured: lit ? "lit" : "albedo", relit: "albedo" }[texture];
    gl.uniform1i(uniforms.lit, lit && picture !== "lit");
    gl.uniform1i(uniforms.textured, picture !== undefined);
    if (picture) {
      gl.bindTexture(gl.TEXTURE_2D, textures[picture]);
      // An attribute that stays enabled needs its buffer, also where it is not seen; another face's may be released.
      gl.disableVertexAttribArray(2);
      return;
    }
    gl.uniform1f(uniforms.top, mesh.tops[texture]);
    this.attribute(2, buffers[texture], gl.UNSIGNED_BYTE);
  }

  attribute(location, buffer, type, width = 3) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, width, type, true, 0, 0);
  }
}

// Rz(roll) Ry(yaw) Rx(pitch) for column vectors, column after column: lib/geometry/rotation.py.
function rotationMatrix([pitch, yaw, roll]) {
  const [sa, sb, sc] = [pitch, yaw, roll].map(Math.sin), [ca, cb, cc] = [pitch, yaw, roll].map(Math.cos);
  return [
    cb * cc, cb * sc, -sb,
    sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, sa * cb,
    ca * sb * cc + sa * sc, ca * sb * sc - sa * cc, ca * cb,
  ];
}
