"use strict";
const byId = (name) => document.getElementById(name);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** A number in at most four significant digits, as the tables of the program have it. */
function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-4)) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/** A coordinate to a tenth of a millimetre, to a whole one from 100 on, as the table of findings has it. */
const millimetre = (value) => value.toFixed(Math.abs(value) >= 99.95 ? 0 : 1);

/** The bytes that an element of the page holds as gzipped base64. */
async function unpacked(element) {
  const text = atob(element.textContent.trim());
  element.textContent = ""; // a second copy of a large scan would only cost memory
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const OUTLINE = "#3fe0d0";
const CHOSEN = "#ffffff";

/**
 * Draw the borders of findings in one plane.
 * at(u, v): the label at column u, row v of a plane of `columns` x `rows`; screen(u, v): where a corner lies.
 */
function drawOutlines(brush, columns, rows, at, screen, chosen, size) {
  const paths = new Map();
  const corners = new Map();
  const edge = (label, u0, v0, u1, v1) => {
    if (!paths.has(label)) paths.set(label, new Path2D());
    const a = screen(u0, v0), b = screen(u1, v1);
    paths.get(label).moveTo(a[0], a[1]);
    paths.get(label).lineTo(b[0], b[1]);
    const corner = corners.get(label);
    const x = Math.max(a[0], b[0]), y = Math.min(a[1], b[1]);
    if (!corner || y < corner[1] || (y === corner[1] && x > corner[0])) corners.set(label, [x, y]);
  };
  const label = (u, v) => (u < 0 || v < 0 || u >= columns || v >= rows ? 0 : at(u, v));
  for (let v = 0; v < rows; v++) {
    for (let u = 0; u < columns; u++) {
      const here = at(u, v);
      if (!here) continue;
      if (label(u - 1, v) !== here) edge(here, u, v, u, v + 1);
      if (label(u + 1, v) !== here) edge(here, u + 1, v, u + 1, v + 1);
      if (label(u, v - 1) !== here) edge(here, u, v, u + 1, v);
      if (label(u, v + 1) !== here) edge(here, u, v + 1, u + 1, v + 1);
    }
  }
  brush.lineCap = "square";
  for (const [number, path] of paths) {
    brush.lineWidth = (number === chosen ? 3.4 : 2.6) * size;
    brush.strokeStyle = "rgba(0, 0, 0, 0.65)";
    brush.stroke(path);
    brush.lineWidth = (number === chosen ? 1.9 : 1.2) * size;
    brush.strokeStyle = number === chosen ? CHOSEN : OUTLINE;
    brush.stroke(path);
  }
  brush.font = `600 ${12 * size}px system-ui, sans-serif`;
  brush.textBaseline = "bottom";
  for (const [number, [x, y]] of corners) {
    brush.lineWidth = 3 * size;
    brush.strokeStyle = "rgba(0, 0, 0, 0.8)";
    brush.strokeText(number, x + 3 * size, y - 1 * size);
    brush.fillStyle = number === chosen ? CHOSEN : OUTLINE;
    brush.fillText(number, x + 3 * size, y - 1 * size);
  }
  return paths.size;
}

/** Thin lines that meet at a point but leave it free, inside a box of [left, top, width, height]. */
function drawCross(brush, [x, y], [left, top, width, height], size) {
  const free = 9 * size;
  brush.strokeStyle = "rgba(255, 255, 255, 0.38)";
  brush.lineWidth = size;
  brush.beginPath();
  for (const [x0, y0, x1, y1] of [
    [left, y, x - free, y],
    [x + free, y, left + width, y],
    [x, top, x, y - free],
    [x, y + free, x, top + height],
  ]) {
    if (x1 < x0 || y1 < y0) continue;
    brush.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
    brush.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  }
  brush.stroke();
}

/** Colour and opacity (0..255 each) of a map's value, given as a share of the colour scale. */
function mapColour(facts, share) {
  const index = clamp(Math.round(share * 255), 0, 255);
  const [r, g, b] = facts.map.colours[index];
  return [r, g, b, 255 * clamp((share - facts.map.clear_below) / 0.5, 0, 0.75)];
}
