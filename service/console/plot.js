// Similarity against weight of the rows that the last question read: which one stands out.

import { $, plural } from "./dom.js";
import { took } from "./reading.js";
import { sentence, state } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";
const [HIGH, TOP, FOOT, LEFT, RIGHT] = [104, 16, 34, 40, 10];
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** Draws it anew, as wide as there is room. */
export function drawPlot() {
  const matches = [...(state.read?.values() ?? [])];
  $("plot").hidden = !matches.length;
  if (!matches.length) return;
  const width = Math.max($("plot").clientWidth, 240);
  const x = (similarity) => LEFT + Math.min(Math.max(similarity, 0), 1) * (width - LEFT - RIGHT);
  const y = (weight) => TOP + HIGH - Math.min(Math.max(weight, -0.1), 1) * HIGH;
  const picture = node("svg", { viewBox: `0 0 ${width} ${TOP + HIGH + FOOT}`, role: "img" });
  const best = matches[0];
  picture.setAttribute(
    "aria-label",
    `Similarity and weight of ${plural(matches.length, "row")}; most weight: ` +
      `${sentence(best)}, similarity ${best.similarity.toFixed(3)}, weight ${best.weight.toFixed(3)}`,
  );
  picture.append(...axes(width, x, y), ...matches.toReversed().map((one) => stem(one, x, y)));
  $("plot").replaceChildren(picture);
}

function axes(width, x, y) {
  const level = (weight, kind) =>
    node("line", { x1: LEFT, x2: width - RIGHT, y1: y(weight), y2: y(weight), class: kind });
  const below = (at, text, anchor = "middle") =>
    node("text", { x: at, y: TOP + HIGH + 16, "text-anchor": anchor }, text);
  return [
    level(1, "grid"), level(0.5, "grid"), level(0, "axis"),
    ...TICKS.map((tick) => below(x(tick), String(tick))),
    node("text", { x: LEFT, y: TOP + HIGH + 31 }, "similarity to the question"),
    node("text", { x: 0, y: y(1) + 4 }, "weight"),
    node("text", { x: LEFT - 8, y: y(0.5) + 4, "text-anchor": "end" }, "0.5"),
    node("text", { x: LEFT - 8, y: y(0) + 4, "text-anchor": "end" }, "0"),
  ];
}

function stem(match, x, y) {
  const [at, high] = [x(match.similarity), y(match.weight)];
  const group = node("g", took(match) ? { class: "took" } : {});
  group.append(node("line", { x1: at, x2: at, y1: y(0), y2: high, class: "stem" }));
  group.append(node("circle", { cx: at, cy: high, r: took(match) ? 6 : 3.5 }));
  return group;
}

function node(tag, attributes, text = "") {
  const one = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(text);
  return one;
}
