// A picture of the memory: a cell a row, its colour how near the row is to the last question.

import { $, el, plural } from "./dom.js";
import { drawPlot } from "./plot.js";
import { farthest, took } from "./reading.js";
import { onChange, sentence, state, total } from "./state.js";

const MARKS = { written: "new", replaced: "replaced", erased: "erased" };

export function start() {
  onChange(draw);
  $("rows").addEventListener("toggle", table);
  $("map").addEventListener("pointerover", ({ target }) => point(target.dataset?.said ?? ""));
  $("map").addEventListener("pointerleave", () => point(""));
  new ResizeObserver(drawPlot).observe($("plot").parentElement);
}

const point = (text) => ($("pointed").textContent = text);

/** Every row that is known of: oldest first, so that rows keep their place; what the last write
 * erased, where it was; what was read beyond the loaded pages, at the end. */
function rows() {
  const changes = new Map((state.change?.rows ?? []).map((row) => [row.id, row]));
  const erased = [...changes.values()].filter(({ kind }) => kind === "erased");
  const known = [...state.facts.values(), ...erased.map(({ fact }) => fact)];
  known.sort((a, b) => a.created_at - b.created_at);
  const beyond = [...(state.read?.values() ?? [])].filter(({ id }) => !state.facts.has(id));
  return [...known, ...beyond].map((fact) => ({
    fact, match: state.read?.get(fact.id), kind: changes.get(fact.id)?.kind,
  }));
}

function draw() {
  const all = rows();
  const live = all.filter(({ kind }) => kind !== "erased");
  $("map").replaceChildren(...all.map(cell));
  const hidden = Math.max(total() - live.length, 0);
  const parts = [`${plural(total(), "row")}`];
  if (state.read) parts.push(`${all.filter(({ match }) => took(match)).length} in the last answer`);
  if (state.change) parts.push(`${plural(state.change.rows.length, "row")} in the last write`);
  if (hidden) parts.push(`${hidden.toLocaleString("en")} not shown`);
  $("map").setAttribute("aria-label", parts.join(", "));
  $("map-foot").textContent = all.length ? parts.join(" · ") : "";
  $("rows").hidden = $("legend").hidden = $("map").hidden = $("pointed").hidden = !all.length;
  $("map-none").hidden = all.length > 0;
  drawPlot();
  table();
}

function cell({ fact, match, kind }) {
  const node = el("i", "cell");
  node.dataset.said = [sentence(fact), ...numbers(match), kind && MARKS[kind]]
    .filter(Boolean).join(" · ");
  if (match) {
    node.classList.add("near");
    node.style.setProperty("--near", Math.max(match.similarity, 0));
    if (took(match)) node.classList.add("took");
  }
  if (kind) node.classList.add(kind === "erased" ? "gone" : "changed");
  return node;
}

function numbers(match) {
  if (match) return [`similarity ${match.similarity.toFixed(3)}`, `weight ${match.weight.toFixed(3)}`];
  return farthest() === null ? [] : [`similarity below ${farthest().toFixed(3)}`];
}

/** The same as a table, for those who do not see the picture. */
function table() {
  if (!$("rows").open) return;
  const nearest = (row) => row.match?.similarity ?? -1;
  const sorted = rows().sort((a, b) => nearest(b) - nearest(a));
  $("rows-body").replaceChildren(...sorted.map(line));
}

function line({ fact, match, kind }) {
  const beyond = state.read && farthest() !== null ? `< ${farthest().toFixed(3)}` : "–";
  return el(
    "tr", "",
    el("td", "", sentence(fact)),
    el("td", "", match ? match.similarity.toFixed(3) : beyond),
    el("td", "", match ? match.weight.toFixed(3) : "–"),
    el("td", "", kind ? MARKS[kind] : "–"),
  );
}
