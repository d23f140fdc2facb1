// Ask: the base model and the edited one answer side by side, beside what the memory read.

import { call, events } from "./api.js";
import { $, button, el, onSubmit, plural } from "./dom.js";
import { away, showReading, showScope } from "./reading.js";
import { literal, show } from "./snippets.js";
import { changed, onChange, path, state } from "./state.js";

const ROWS = 64; // the most that a read names
const REPEATED = 160; // signs of the prompt that an answer repeats
const TRIES = 3;
let stopping = null; // the AbortController of the question under way

export function start() {
  onSubmit("ask-form", ask);
  $("prompt").addEventListener("input", grow);
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("ask-form").requestSubmit();
  });
  $("ask-stop").addEventListener("click", stop);
  document.addEventListener("keydown", (event) => event.key === "Escape" && stop());
  $("ask-code").addEventListener("click", () => {
    const { prompt, ...options } = question();
    const given = Object.entries(options).map(([name, value]) => `, ${name}=${literal(value)}`);
    const python = `print(memory.generate(${literal(prompt)}${given.join("")}).text)`;
    show(state.tenant, "generate", question(), python);
  });
  onChange(tries);
}

/** Puts a prompt where it can be asked. */
export function propose(prompt) {
  $("prompt").value = prompt;
  grow();
  $("prompt").focus();
}

/** The prompt's field is as high as its text. */
function grow() {
  $("prompt").style.height = "auto";
  $("prompt").style.height = `${$("prompt").scrollHeight + 2}px`;
}

function question() {
  return {
    prompt: $("prompt").value.trim(),
    max_new_tokens: $("tokens").valueAsNumber,
    temperature: $("temperature").valueAsNumber,
  };
}

function stop() {
  stopping?.abort();
}

async function ask() {
  const asked = question();
  if (!asked.prompt) return;
  stopping = new AbortController();
  $("ask-stop").hidden = false;
  showScope(null);
  const work = [
    answer("base", { ...asked, memory: "never" }, stopping.signal),
    answer("edited", { ...asked, memory: "auto" }, stopping.signal),
    read(asked.prompt),
  ];
  const failed = (await Promise.allSettled(work)).find((one) => one.status === "rejected");
  if (document.activeElement === $("ask-stop")) $("prompt").focus();
  $("ask-stop").hidden = true;
  stopping = null;
  if (failed) throw failed.reason;
}

/** Streams one answer into its pane. */
async function answer(pane, body, signal) {
  const [card, text, foot] = [$(pane), $(`${pane}-text`), $(`${pane}-foot`)];
  const said = el("span", "said");
  const cut = body.prompt.length > REPEATED;
  const asked = cut ? `… ${body.prompt.slice(-REPEATED)}` : body.prompt;
  text.replaceChildren(el("span", "asked", asked), said);
  foot.textContent = "";
  card.classList.remove("in-scope");
  card.setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    for await (const [name, data] of events(path("/generate"), { ...body, stream: true }, signal)) {
      if (name === "token") said.append(data.text);
      if (name !== "done") continue;
      const [{ in_scope, usage, finish_reason }] = data.results;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      card.classList.toggle("in-scope", in_scope);
      const cutOff = finish_reason === "length" ? ", cut at the limit" : "";
      foot.textContent = `${plural(usage.completion_tokens, "token")} in ${seconds} s${cutOff}`;
    }
  } catch (error) {
    foot.textContent = error.name === "AbortError" ? "Stopped." : "No answer.";
    if (error.name !== "AbortError") throw error;
  } finally {
    card.removeAttribute("aria-busy");
  }
}

async function read(prompt) {
  const reply = await call("POST", path("/read"), { queries: [prompt], top_k: ROWS });
  const [result] = reply.results;
  state.read = new Map(result.matches.map((match) => [match.id, match]));
  state.readVersion = reply.version;
  away(reply.stale);
  showReading(result);
  changed();
}

/** Prompts to try, from the newest facts, until something has been asked. */
function tries() {
  const prompts = [...state.facts.values()].map(({ prompt }) => prompt).filter(Boolean);
  const shown = state.read ? [] : [...new Set(prompts)].slice(0, TRIES);
  const ask = (prompt) => () => {
    propose(prompt);
    $("ask-form").requestSubmit();
  };
  $("tries").hidden = !shown.length;
  const label = el("span", "hint", "Try");
  $("tries").replaceChildren(label, ...shown.map((one) => button(one, "quiet", ask(one))));
}
