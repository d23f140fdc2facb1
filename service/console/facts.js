// Write facts, see them listed, forget them.

import { call } from "./api.js";
import { $, busy, button, el, notice, onSubmit, plural, takesFiles } from "./dom.js";
import { literal, show } from "./snippets.js";
import { onChange, path, refresh, sentence, state, total } from "./state.js";

const A_CALL = 1000; // facts that the service takes at once
const SHOWN = 100;
const TAGS = { suppression: "suppressed", chunk: "document" };

export function start() {
  onSubmit("write-form", async () => {
    await write([single()]);
    $("write-form").reset();
    $("fact-prompt").focus();
  });
  onSubmit("many-form", async () => {
    const facts = parse($("lines").value);
    for (let i = 0; i < facts.length; i += A_CALL) await write(facts.slice(i, i + A_CALL));
    $("many-form").reset();
    $("many").open = false;
  });
  takesFiles($("lines"), $("lines-file"));
  $("write-code").addEventListener("click", () => {
    const facts = [single()];
    show(state.tenant, "write", { facts }, `print(memory.write(${literal(facts)}))`);
  });
  $("filter").addEventListener("input", list);
  $("refresh").addEventListener("click", (event) => busy(event.target, refresh));
  onChange(list);
}

/** The form's fact: a prompt with its target, or a sentence where one field is empty. */
function single() {
  const [prompt, target] = [$("fact-prompt").value.trim(), $("fact-target").value.trim()];
  return prompt && target ? { prompt, target } : { text: prompt || target };
}

/** Facts of a text, one a line: JSON, `prompt => target`, a tab between them, or a sentence. */
export function parse(text) {
  return text.split(/\r?\n/).filter((line) => line.trim()).map((line, i) => {
    if (line.trimStart().startsWith("{")) {
      try {
        return JSON.parse(line);
      } catch {
        throw new Error(`Fact ${i + 1} is not JSON.`);
      }
    }
    const [prompt, target] = line.split(/=>|\t/).map((part) => part.trim());
    return target ? { prompt, target } : { text: line.trim() };
  });
}

async function write(facts) {
  const reply = await call("POST", path("/write"), { facts });
  state.changed = new Set(reply.results.map((result) => result.id));
  const replaced = reply.results.filter((result) => result.status === "replaced").length;
  await refresh();
  const written = plural(facts.length - replaced, "fact");
  notice(`Version ${reply.version}: ${written} written, ${replaced} replaced.`);
}

async function forget(fact) {
  const reply = await call("POST", path("/forget"), { ids: [fact.id] });
  state.changed.clear();
  await refresh();
  notice(`Version ${reply.version}: “${sentence(fact)}” is erased.${confidence(reply.results[0])}`);
  ($("facts").querySelector("button") ?? $("fact-prompt")).focus();
}

/** How sure the memory was that it knew the fact, and is now, where that could be measured. */
function confidence({ confidence_before: before, confidence_after: after }) {
  if (before == null || after == null) return "";
  const percent = (value) => `${(value * 100).toFixed(1)} %`;
  return ` Confidence: ${percent(before)} before, ${percent(after)} now.`;
}

function list() {
  const wanted = $("filter").value.trim().toLowerCase();
  const found = [...state.facts.values()].filter((fact) =>
    sentence(fact).toLowerCase().includes(wanted),
  );
  $("facts").replaceChildren(...found.slice(0, SHOWN).map(item));
  $("facts-foot").textContent = found.length
    ? `${Math.min(found.length, SHOWN)} of ${plural(total(), "row")}`
    : "Nothing is stored here yet. Write a fact above, then ask.";
}

function item(fact) {
  const what = el("span", "what");
  if (fact.text) what.append(fact.text);
  else what.append(fact.prompt ?? "", " ", el("span", "target", fact.target ?? ""));
  const node = el("li", "", what);
  if (TAGS[fact.kind]) node.append(el("span", "tag", TAGS[fact.kind]));
  if (fact.kind !== "chunk") {
    const ask = () => {
      $("prompt").value = fact.prompt ?? fact.text;
      $("prompt").focus();
    };
    const erase = (event) => busy(event.target, () => forget(fact));
    node.append(button("Ask", "quiet", ask, `Ask: ${fact.prompt ?? fact.text}`));
    node.append(button("Forget", "quiet", erase, `Forget: ${sentence(fact)}`));
  }
  return node;
}
