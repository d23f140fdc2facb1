// Documents: a long text becomes rows, with progress, and goes as one.

import { call, events } from "./api.js";
import { $, busy, button, el, notice, onSubmit, plural, takesFiles } from "./dom.js";
import { changed, path, refresh, state } from "./state.js";

export function start() {
  onSubmit("document-form", store);
  takesFiles($("document-text"), $("document-file"), (name) => {
    $("document-id").value = name.replace(/[^A-Za-z0-9._:-]+/g, "-").slice(0, 128);
  });
}

/** Lists the tenant's documents. */
export async function list() {
  const { documents } = await call("GET", path("/documents"));
  $("documents").replaceChildren(...documents.map(item));
}

async function store() {
  const body = { text: $("document-text").value };
  if ($("document-id").value) body.id = $("document-id").value;
  $("document-progress").hidden = false;
  try {
    let last;
    for await (const [, progress] of events(path("/documents"), body)) {
      last = progress;
      show(progress);
    }
    const rows = plural(last.chunks, "row");
    notice(`Version ${last.version}: document ${last.id} is stored, ${rows}. Ask about it.`);
    await Promise.all([list(), refresh()]);
    mark(last.id);
    $("document-form").reset();
    $("prompt").focus();
  } catch (error) {
    await list().catch(() => {}); // a part may be stored, and can go on
    throw error;
  } finally {
    $("document-progress").hidden = true;
  }
}

/** Shows the document's rows as changed by the last write. */
function mark(id) {
  const rows = [...state.facts.values()].filter((fact) => fact.document_id === id);
  state.changed = new Set(rows.map((row) => row.id));
  changed();
}

function show({ chunks, chunks_done }) {
  $("document-bar").max = Math.max(chunks, 1);
  $("document-bar").value = chunks_done;
  $("document-state").textContent = `${chunks_done} of ${plural(chunks, "row")}`;
}

function item(document) {
  const count = document.status === "complete"
    ? plural(document.chunks, "row")
    : `${document.chunks_done} of ${plural(document.chunks, "row")}: store it again to go on`;
  const what = el("span", "what", document.id, " ", el("span", "hint", count));
  const erase = (event) => busy(event.target, () => forget(document.id));
  return el("li", "", what, button("Forget", "quiet", erase, `Forget document ${document.id}`));
}

async function forget(id) {
  const reply = await call("DELETE", path(`/documents/${encodeURIComponent(id)}`));
  notice(`Version ${reply.version}: document ${id} is erased, ${plural(reply.chunks, "row")}.`);
  await Promise.all([list(), refresh()]);
  $("document-text").focus();
}
