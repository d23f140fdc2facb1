// The stored facts: listed, filtered, forgotten; and what the last write changed.

import { call } from "./api.js";
import { propose } from "./ask.js";
import { $, busy, button, el, notice, percent, plural } from "./dom.js";
import { onChange, path, refresh, refreshMore, sentence, state, total } from "./state.js";

const STEP = 100; // facts that the list grows by
const LISTED = 6; // changes that are told one by one
const SIGNS = { written: "+", replaced: "~", erased: "−" };
const TAGS = { suppression: "suppressed", chunk: "document" };
let shown = STEP;
let tenant = "";

export function start() {
  $("filter").addEventListener("input", list);
  $("refresh").addEventListener("click", (event) => busy(event.target, refresh));
  $("more").addEventListener("click", (event) => busy(event.target, more));
  onChange(list);
  onChange(tellChange);
}

function list() {
  if (tenant !== state.tenant) [tenant, shown] = [state.tenant, STEP];
  const wanted = $("filter").value.trim().toLowerCase();
  const found = [...state.facts.values()].filter((fact) =>
    sentence(fact).toLowerCase().includes(wanted),
  );
  $("facts").replaceChildren(...found.slice(0, shown).map(item));
  $("more").hidden = found.length <= shown && !state.cursor;
  $("facts-foot").textContent = foot(Math.min(found.length, shown), wanted);
}

function foot(count, wanted) {
  if (!total()) return "Nothing is stored here yet. Write a fact above, then ask.";
  const among = state.cursor ? ` of the ${state.facts.size} that are loaded` : "";
  if (wanted && !count) return `No fact${among} holds “${wanted}”.`;
  return `${count.toLocaleString("en")} of ${plural(total(), "row")}`;
}

async function more() {
  shown += STEP;
  if (shown > state.facts.size && state.cursor) await refreshMore();
  else list();
}

function item(fact) {
  const what = el("span", "what");
  if (fact.text) what.append(fact.text);
  else what.append(fact.prompt ?? "", " ", el("span", "target", fact.target ?? ""));
  if (fact.expires_at) what.append(el("span", "more", `until ${when(fact.expires_at)}`));
  if (fact.kind === "chunk") what.append(el("span", "more", `of ${fact.document_id}`));
  const node = el("li", "", what);
  if (TAGS[fact.kind]) node.append(el("span", "tag", TAGS[fact.kind]));
  if (fact.kind !== "chunk") {
    const cue = fact.prompt ?? fact.text;
    const erase = (event) => busy(event.target, () => forget(fact));
    node.append(button("Ask", "quiet", () => propose(cue), `Ask: ${cue}`));
    node.append(button("Forget", "quiet", erase, `Forget: ${sentence(fact)}`));
  }
  return node;
}

const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });

async function forget(fact) {
  const place = [...state.facts.keys()].indexOf(fact.id);
  const reply = await call("POST", path("/forget"), { ids: [fact.id] });
  const [{ confidence_before: before, confidence_after: after }] = reply.results;
  const known = before != null && after != null;
  const note = known ? `Confidence that it is known: ${percent(before)} before, ${percent(after)} now.` : "";
  const row = { id: fact.id, kind: "erased", fact };
  state.change = { version: reply.version, rows: [row], note };
  await refresh();
  notice(`“${sentence(fact)}” is erased. ${note}`);
  const left = [...$("facts").querySelectorAll('[aria-label^="Forget"]')];
  (left[Math.min(place, left.length - 1)] ?? $("fact-prompt")).focus();
}

/** What the last write changed: new, replaced with what was there before, erased. */
function tellChange() {
  $("change").hidden = !state.change;
  if (!state.change) return;
  const { version, rows, note } = state.change;
  $("change-title").textContent = `Last write: version ${version}`;
  $("change-rows").replaceChildren(...rows.slice(0, LISTED).map(told));
  const more = rows.length > LISTED ? `and ${plural(rows.length - LISTED, "row")} more. ` : "";
  $("change-foot").textContent = more + (note ?? "");
}

function told({ id, kind, fact, before }) {
  const text = sentence(state.facts.get(id) ?? fact ?? { text: id });
  const said = el("span", "");
  if (kind === "erased") said.append(el("del", "", text));
  else said.append(text);
  if (before && before !== text) said.append(" ", el("del", "", before));
  const mark = el("i", "", SIGNS[kind]);
  mark.setAttribute("aria-label", kind);
  mark.setAttribute("role", "img");
  return el("li", "", mark, said);
}
