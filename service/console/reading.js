// What the memory read for the last question: the gate's verdict, the decoded latent, the facts.

import { $, el, measure, percent } from "./dom.js";
import { state, total } from "./state.js";

const LISTED = 3;
export const TOOK = 0.05; // a row with less of the weight did not take part: not in `fact_ids`

/** Says that the store is away, or is back. */
export function away(stale) {
  $("away").textContent = stale
    ? "The store is away: this is the memory as it was last seen. Nothing can be written."
    : "";
}

/** The verdict as a badge of the edited answer; null while there is none. */
export function showScope(result) {
  $("scope").hidden = !result;
  if (!result) return;
  $("scope").classList.toggle("in", result.in_scope);
  const verdict = result.in_scope ? "in scope" : "out of scope";
  $("scope").textContent = `${verdict} · ${percent(result.confidence)}`;
}

/** Shows one result of a read. */
export function showReading(result) {
  showScope(result);
  $("verdict").hidden = false;
  $("confidence").setAttribute("aria-valuenow", (100 * result.confidence).toFixed(1));
  $("confidence").firstElementChild.style.width = `${100 * result.confidence}%`;
  $("confidence-text").textContent = percent(result.confidence);
  $("decoded").hidden = !result.text;
  $("decoded-text").textContent = result.text;
  const rows = result.matches.slice(0, LISTED);
  $("matches").hidden = !rows.length;
  $("matches").tBodies[0].replaceChildren(...rows.map(row));
  $("matches-none").hidden = rows.length > 0;
  $("matches-none").textContent = total()
    ? "No row is near enough to be read."
    : "The memory is empty: there is nothing to read. Write a fact, then ask again.";
}

/** Back to how the page was before anything was asked. */
export function clearReading() {
  showScope(null);
  $("verdict").hidden = true;
  $("matches").hidden = true;
  $("matches-none").hidden = false;
  $("matches-none").textContent =
    "Ask something to see which rows it is read from, how near they are and how much each weighs.";
  for (const [pane, text] of [
    ["base", "What the model says by itself."],
    ["edited", "The same model, reading this tenant’s memory."],
  ]) {
    $(`${pane}-text`).replaceChildren(el("span", "hint", text));
    $(`${pane}-foot`).textContent = "";
    $(pane).classList.remove("in-scope");
  }
}

function row({ id, text, weight, similarity }) {
  return el("tr", "", el("td", "", text ?? id), measure(similarity), measure(weight));
}

/** Whether a row's weight counts in the answer. */
export const took = (match) => match !== undefined && Math.abs(match.weight) > TOOK;

/** The similarity that no row outside the last read exceeds; null where that is not known. */
export function farthest() {
  const found = [...(state.read?.values() ?? [])];
  if (!found.length || state.readVersion !== state.info?.version) return null;
  return Math.min(...found.map(({ similarity }) => similarity));
}
