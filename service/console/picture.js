// A picture of the memory: a cell a row, its colour how much the last question read from it.

import { $, el, plural } from "./dom.js";
import { onChange, sentence, state, total } from "./state.js";

export function start() {
  onChange(draw);
}

function draw() {
  // Oldest first, so that rows keep their place; then what was read beyond the loaded page.
  const facts = [...state.facts.values()].reverse();
  const beyond = [...state.read.values()].filter(({ id }) => !state.facts.has(id));
  const rows = [...facts, ...beyond];
  const strongest = Math.max(...[...state.read.values()].map(({ weight }) => Math.abs(weight)), 1e-9);
  $("map").replaceChildren(...rows.map((row) => cell(row, strongest)));

  const fresh = facts.filter(({ id }) => state.changed.has(id)).length;
  const hidden = Math.max(total() - rows.length, 0);
  const said = `${plural(total(), "row")}: ${state.read.size} read for the last question, ` +
    `${fresh} changed by the last write`;
  $("map").setAttribute("aria-label", said);
  $("map-foot").textContent = said + (hidden ? `; ${hidden.toLocaleString("en")} not shown` : "");
}

function cell(row, strongest) {
  const node = el("i", "cell");
  const match = state.read.get(row.id);
  node.title = sentence(row);
  if (match) {
    node.title += ` · weight ${match.weight.toFixed(3)}`;
    node.classList.add("read");
    node.style.setProperty("--weight", Math.abs(match.weight) / strongest);
  }
  if (state.changed.has(row.id)) node.classList.add("changed");
  return node;
}
