// A picture of the memory: a cell a row, its colour how much the last question read from it.

import { $, el, plural } from "./dom.js";
import { onChange, sentence, state, total } from "./state.js";

export function start() {
  onChange(draw);
}

function draw() {
  const facts = [...state.facts.values()].reverse(); // oldest first, so that rows keep their place
  const strongest = Math.max(...[...state.weights.values()].map(Math.abs), 1e-9);
  $("map").replaceChildren(...facts.map((fact) => cell(fact, strongest)));
  const read = facts.filter((fact) => state.weights.has(fact.id)).length;
  const fresh = facts.filter((fact) => state.changed.has(fact.id)).length;
  const said = `${plural(total(), "row")}: ${read} read for the last question, ` +
    `${fresh} changed by the last write`;
  $("map").setAttribute("aria-label", said);
  const hidden = total() - facts.length;
  $("map-foot").textContent = said + (hidden > 0 ? `; ${hidden.toLocaleString("en")} not shown` : "");
}

function cell(fact, strongest) {
  const node = el("i", "cell");
  const weight = state.weights.get(fact.id);
  node.title = sentence(fact) + (weight === undefined ? "" : ` · weight ${weight.toFixed(3)}`);
  if (weight !== undefined) {
    node.classList.add("read");
    node.style.setProperty("--weight", Math.abs(weight) / strongest);
  }
  if (state.changed.has(fact.id)) node.classList.add("changed");
  return node;
}
