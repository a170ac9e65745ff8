"use strict";
// Other expressions and other light of a face, for the report's viewer.

// Displacements of the blend shapes: for each, 3 columns of 16 bits; 32768 is zero.
async function decodeMoves({ names, block }, vertices) {
  if (!names.length) return [];
  const columns = await decode(block, vertices, Array(3 * names.length).fill(Uint16Array));
  return names.map((_, k) => columns.slice(3 * k, 3 * k + 3));
}

// Positions of all mesh vertices of a face in decimetres: xyzxyz...
async function decodePositions(mesh, vertices) {
  const columns = await decode(mesh.block, vertices, Array(3).fill(Uint16Array));
  const positions = new Float32Array(3 * vertices);
  columns.forEach((column, k) => {
    const scale = (mesh.high[k] - mesh.low[k]) / 65535;
    column.forEach((value, i) => { positions[3 * i + k] = mesh.low[k] + scale * value; });
  });
  return positions;
}

// Positions with blend shapes added; `changes` are differences of their weights.
function deformed(positions, moves, scales, changes) {
  const result = positions.slice();
  changes.forEach((change, shape) => {
    if (!change) return;
    const scale = change * scales[shape] / 32767;
    moves[shape].forEach((column, k) => {
      for (let i = 0; i < column.length; i++) result[3 * i + k] += scale * (column[i] - 32768);
    });
  });
  return result;
}

// What the renderer needs of positions: the box they fill, positions within it and normals, at the chart's vertices.
function attributesOf(positions, { triangles, chart }) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  positions.forEach((value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  const whole = Uint16Array.from(positions, (value, i) =>
    Math.round((value - low[i % 3]) / Math.max(high[i % 3] - low[i % 3], 1e-9) * 65535));
  const normals = vertexNormals(positions, [1, 1, 1], triangles);
  return { low, high, attributes: { positions: split(whole, chart.vertex), normals: split(normals, chart.vertex) } };
}

// Light turned about the vertical axis and made stronger: M' = gain D M D^T for each channel's quadratic form M.
function turnedLight(light, radians, gain) {
  const c = Math.cos(radians), s = Math.sin(radians);
  const turn = [[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]];
  const sum = (term) => [0, 1, 2, 3].reduce((total, k) => total + term(k), 0);
  return light.map((form) => form.map((_, place) => {
    const row = turn[place >> 2], column = turn[place & 3];
    return gain * sum((k) => row[k] * sum((l) => form[4 * k + l] * column[l]));
  }));
}
