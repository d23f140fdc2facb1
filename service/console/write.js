// Write facts: one from the form, or many from lines, with every line's own error.

import { call } from "./api.js";
import { $, button, el, focusFrom, notice, onSubmit, plural, takesFiles } from "./dom.js";
import { linesOf, parse } from "./lines.js";
import { literal, show } from "./snippets.js";
import { path, refresh, sentence, state } from "./state.js";

const A_CALL = 1000; // facts that the service takes at once

export function start() {
  onSubmit("write-form", one);
  onSubmit("many-form", many);
  $("lines").addEventListener("input", preview);
  takesFiles($("lines"), $("lines-file"), take);
  $("write-code").addEventListener("click", () => code([single()]));
  $("lines-code").addEventListener("click", () =>
    code(parse($("lines").value).facts.map(({ fact }) => fact)),
  );
}

function code(facts) {
  show(state.tenant, "write", { facts }, `print(memory.write(${literal(facts)}))`);
}

/** Writes the form's fact. What is typed while that is running stays, and so does the focus. */
async function one() {
  const fields = [$("fact-prompt"), $("fact-target")];
  const sent = fields.map(({ value }) => value);
  await told(await write([single()]));
  const same = fields.filter(({ value }, i) => value === sent[i]);
  for (const field of same) field.value = "";
  if (same.length === fields.length) focusFrom($("write-form"), $("fact-prompt"));
}

/** The form's fact: a prompt with its target, or a sentence where one field is empty. */
function single() {
  const [prompt, target] = [$("fact-prompt").value.trim(), $("fact-target").value.trim()];
  return prompt && target ? { prompt, target } : { text: prompt || target };
}

function take(text, name) {
  const place = $("many-form").querySelector(".problem");
  place.textContent = "";
  try {
    $("lines").value = linesOf(text, name);
  } catch (error) {
    place.textContent = error.message;
  }
  preview();
}

/** What the lines are taken for, before anything is sent. */
function preview() {
  const { facts, wrong } = parse($("lines").value);
  $("lines-state").textContent = $("lines").value.trim() ? `${plural(facts.length, "fact")} to write` : "";
  refuse(wrong);
}

/** Lists lines that are wrong; choosing one shows it. */
function refuse(wrong) {
  $("lines-wrong").replaceChildren(...wrong.map(({ line, message }) =>
    el("li", "", button(`Line ${line} ${message}`, "quiet", () => select(line))),
  ));
}

function select(number) {
  const lines = $("lines").value.split("\n");
  const from = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  $("lines").focus();
  $("lines").setSelectionRange(from, from + lines[number - 1].length);
}

/** Writes all lines, a thousand a call. What is written leaves the field, what is not stays. */
async function many() {
  const { facts, wrong } = parse($("lines").value);
  refuse(wrong);
  if (wrong.length) throw new Error(`Nothing was written: ${plural(wrong.length, "line")} cannot be read.`);
  const done = { version: 0, rows: [] };
  let left = $("lines").value;
  $("lines-progress").hidden = facts.length <= A_CALL;
  try {
    for (let i = 0, gone = 0; i < facts.length; i += A_CALL) {
      progress(i, facts.length);
      const part = facts.slice(i, i + A_CALL);
      const lines = part.map(({ line }) => line - gone); // as they are numbered in the field now
      const { version, rows } = await refusing(lines, write(part.map(({ fact }) => fact)));
      done.version = version;
      done.rows.push(...rows);
      left = leave(left, lines.at(-1));
      gone += lines.at(-1);
    }
  } finally {
    $("lines-progress").hidden = true;
    if (done.rows.length) await told(done);
  }
  if ($("lines").value.trim()) return; // typed while the write was running
  $("many-form").reset();
  preview();
  $("many").open = false;
}

/** Takes the first lines of `text` out of the field, and keeps what was typed behind them; the
 * rest of `text`. A field that was changed before its end is left alone. */
function leave(text, count) {
  const rest = text.split("\n").slice(count).join("\n");
  const { value } = $("lines");
  if (value.startsWith(text)) $("lines").value = (rest + value.slice(text.length)).replace(/^\n/, "");
  preview();
  return rest;
}

function progress(count, all) {
  $("lines-bar").max = all;
  $("lines-bar").value = count;
  $("lines-done").textContent = `${count.toLocaleString("en")} of ${plural(all, "fact")}`;
}

/** Turns the service's `facts[17].text` into the line that it came from. */
async function refusing(lines, work) {
  try {
    return await work;
  } catch (error) {
    const wrong = (error.details ?? []).flatMap(({ param, message }) => {
      const [, index, field] = /^facts\[(\d+)\]\.?(.*)$/.exec(param ?? "") ?? [];
      return index ? [{ line: lines[index], message: `${message}${field && ` (${field})`}` }] : [];
    });
    refuse(wrong);
    if (!wrong.length) throw error;
    throw new Error(`None of these ${plural(lines.length, "fact")} was written: mend the lines above, or take them out.`);
  }
}

/** One call; gives what it changed, as the page tells it. */
async function write(facts) {
  const reply = await call("POST", path("/write"), { facts });
  const rows = reply.results.map(({ id, status, replaced_id }, i) => {
    const old = state.facts.get(replaced_id ?? id);
    return { id, kind: status, fact: facts[i], before: old && sentence(old) };
  });
  return { version: reply.version, rows };
}

async function told(change) {
  state.change = change;
  await refresh();
  const replaced = change.rows.filter(({ kind }) => kind === "replaced").length;
  const written = plural(change.rows.length - replaced, "fact");
  notice(`Version ${change.version}: ${written} written, ${replaced} replaced.`);
}
