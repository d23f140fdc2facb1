// Documents: a long text becomes rows, with progress; it can pause, go on, and goes as one.

import { call, events } from "./api.js";
import { $, busy, button, el, focusFrom, notice, onSubmit, plural, takesFiles } from "./dom.js";
import { literal, show } from "./snippets.js";
import { changed, path, refresh, state } from "./state.js";

const texts = new Map(); // what this tab has sent: tenant and id → text, to go on with
let stopping = null; // the AbortController of the document under way

export function start() {
  onSubmit("document-form", () => store(given()));
  takesFiles($("document-text"), $("document-file"), (text, name) => {
    $("document-text").value = text;
    $("document-id").value = name.replace(/[^A-Za-z0-9._:-]+/g, "-").slice(0, 128);
  });
  $("document-stop").addEventListener("click", () => stopping?.abort());
  $("document-code").addEventListener("click", () => {
    const { text, id } = given();
    const named = id ? `, id=${literal(id)}` : "";
    show(state.tenant, "documents", given(), `print(memory.add_document(${literal(text)}${named}))`);
  });
}

function given() {
  const body = { text: $("document-text").value };
  if ($("document-id").value) body.id = $("document-id").value;
  return body;
}

/** Lists the tenant's documents. */
export async function list() {
  const { documents } = await call("GET", path("/documents"));
  $("documents").replaceChildren(...documents.map(item));
  $("documents-foot").textContent = documents.length
    ? ""
    : "No document yet. Store one, then ask about it on the left: its sentences are facts like others.";
}

const remembered = (id) => `${state.tenant}/${id}`;

async function store(body) {
  stopping = new AbortController();
  $("document-progress").hidden = $("document-stop").hidden = false;
  let last = null;
  try {
    for await (const [, now] of events(path("/documents"), body, stopping.signal)) {
      last = now;
      texts.set(remembered(last.id), body.text);
      progress(last);
    }
    texts.delete(remembered(last.id));
    await mark(last);
    stored(last, body.text);
  } catch (error) {
    await (last ? mark(last) : list()).catch(() => {}); // a part may be stored, and can go on
    if (error.name !== "AbortError") throw error;
    notice(last
      ? `Document ${last.id} is paused. What is stored answers already; Go on takes the rest.`
      : "The document is paused before its first row.");
  } finally {
    $("document-progress").hidden = $("document-stop").hidden = true;
    stopping = null;
  }
}

/** Shows the document's rows as what the last write changed. */
async function mark({ id }) {
  await Promise.all([list(), refresh()]);
  const rows = [...state.facts.values()].filter((fact) => fact.document_id === id);
  state.change = {
    version: state.info.version,
    rows: rows.map((fact) => ({ id: fact.id, kind: "written", fact })),
    note: `Document ${id}.`,
  };
  changed();
}

function stored({ id, version, chunks }, text) {
  notice(`Version ${version}: document ${id} is stored, ${plural(chunks, "row")}. Ask about it.`);
  if ($("document-text").value !== text) return; // another, typed while this one was stored
  $("document-form").reset();
  focusFrom($("panel-documents"), $("prompt"));
}

function progress({ chunks, chunks_done }) {
  $("document-bar").max = Math.max(chunks, 1);
  $("document-bar").value = chunks_done;
  $("document-state").textContent = `${chunks_done.toLocaleString("en")} of ${plural(chunks, "row")}`;
}

function item(document) {
  const { id, status, chunks, chunks_done } = document;
  const partial = status === "partial";
  const text = texts.get(remembered(id));
  const what = el("span", "what", id, " ", el("span", "hint", partial
    ? `${chunks_done} of ${plural(chunks, "row")}${text ? "" : ": store the same text again to go on"}`
    : plural(chunks, "row")));
  const node = el("li", "", what);
  if (partial) node.append(el("span", "tag", "partial"));
  if (partial && text) {
    const goOn = (event) => busy(event.target, () => store({ text, id }));
    node.append(button("Go on", "quiet", goOn, `Go on with document ${id}`));
  }
  const erase = (event) => busy(event.target, () => forget(id));
  const ask = () => {
    $("prompt").focus();
    $("prompt").select();
  };
  node.append(button("Ask", "quiet", ask, `Ask about document ${id}`));
  node.append(button("Forget", "quiet", erase, `Forget document ${id}`));
  return node;
}

async function forget(id) {
  const gone = [...state.facts.values()].filter((fact) => fact.document_id === id);
  const reply = await call("DELETE", path(`/documents/${encodeURIComponent(id)}`));
  state.change = {
    version: reply.version,
    rows: gone.map((fact) => ({ id: fact.id, kind: "erased", fact })),
    note: `Document ${id}: ${plural(reply.chunks, "row")} erased.`,
  };
  await Promise.all([list(), refresh()]);
  notice(`Version ${reply.version}: document ${id} is erased, ${plural(reply.chunks, "row")}.`);
  $("document-text").focus();
}
