"use strict";
// Bytes of the page back to numbers; the other side of face_data.py.

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// Reads base64 of deflated columns of differences. `counts` and `types` say what the block holds: one column of `count`
// numbers for each of `types` (Uint8Array, Uint16Array or Uint32Array).
async function decode(block, count, types) {
  const stream = new Blob([bytesOf(block)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let start = 0;
  return types.map((Type) => {
    const width = Type.BYTES_PER_ELEMENT;
    const column = new Type(count);
    let value = 0;
    for (let i = 0; i < count; i++) {
      for (let byte = 0; byte < width; byte++) value += bytes[start + byte * count + i] << (8 * byte);
      column[i] = value; // a typed array keeps the remainder, as the differences did
      value = column[i];
    }
    start += width * count;
    return column;
  });
}

// Columns side by side: xyzxyz...
function interleave(columns) {
  const width = columns.length, result = new columns[0].constructor(width * columns[0].length);
  columns.forEach((column, k) => column.forEach((value, i) => { result[width * i + k] = value; }));
  return result;
}

// What all faces share: the mesh's triangles, and the chart with its vertices split where the texture is cut.
async function decodeShared(mesh) {
  const corners = [Uint32Array, Uint32Array, Uint32Array];
  const [vertex, u, v] = await decode(mesh.chart.block, mesh.chart.vertices, [Uint32Array, Uint16Array, Uint16Array]);
  return {
    triangles: interleave(await decode(mesh.block, mesh.triangles, corners)),
    chart: {
      vertex,
      uv: interleave([u, v.map((value) => 65535 - value)]), // the first row of a picture is v = 1
      triangles: interleave(await decode(mesh.chart.triangles, mesh.triangles, corners)),
    },
  };
}

// The pictures of a face's textures: name -> ImageBitmap.
async function decodeTextures(textures) {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const entries = Object.entries(textures).map(async ([name, webp]) =>
    [name, await createImageBitmap(new Blob([bytesOf(webp)], { type: "image/webp" }), options)]);
  return Object.fromEntries(await Promise.all(entries));
}

// Three values of every mesh vertex, for the chart's vertices.
function split(values, vertex) {
  const result = new values.constructor(3 * vertex.length);
  vertex.forEach((from, i) => { for (let k = 0; k < 3; k++) result[3 * i + k] = values[3 * from + k]; });
  return result;
}

// Positions (0..65535 within the face's box), normals and three kinds of colours of one face, at the chart's vertices.
async function decodeFace(mesh, vertices, { triangles, chart }) {
  const types = [...Array(3).fill(Uint16Array), ...Array(9).fill(Uint8Array)];
  const columns = await decode(mesh.block, vertices, types);
  const positions = interleave(columns.slice(0, 3));
  const extent = mesh.high.map((high, k) => high - mesh.low[k]);
  const attributes = {
    positions,
    normals: vertexNormals(positions, extent, triangles),
    coarse: interleave(columns.slice(3, 6)),
    fine: interleave(columns.slice(6, 9)),
    appearance: interleave(columns.slice(9, 12)),
  };
  return Object.fromEntries(Object.entries(attributes).map(([name, values]) => [name, split(values, chart.vertex)]));
}

// Sums of the triangles' cross products around every vertex, as in lib/geometry/normals.py; Int8Array, 127 is 1.
function vertexNormals(positions, extent, triangles) {
  const sums = new Float32Array(positions.length);
  const [sx, sy, sz] = extent;
  for (let t = 0; t < triangles.length; t += 3) {
    const a = 3 * triangles[t], b = 3 * triangles[t + 1], c = 3 * triangles[t + 2];
    const ux = (positions[b] - positions[a]) * sx, uy = (positions[b + 1] - positions[a + 1]) * sy;
    const uz = (positions[b + 2] - positions[a + 2]) * sz;
    const vx = (positions[c] - positions[a]) * sx, vy = (positions[c + 1] - positions[a + 1]) * sy;
    const vz = (positions[c + 2] - positions[a + 2]) * sz;
    const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    for (const corner of [a, b, c]) {
      sums[corner] += nx;
      sums[corner + 1] += ny;
      sums[corner + 2] += nz;
    }
  }
  const normals = new Int8Array(positions.length);
  for (let i = 0; i < sums.length; i += 3) {
    const scale = 127 / Math.max(Math.hypot(sums[i], sums[i + 1], sums[i + 2]), 1e-12);
    for (let k = 0; k < 3; k++) normals[i + k] = Math.round(sums[i + k] * scale);
  }
  return normals;
}
