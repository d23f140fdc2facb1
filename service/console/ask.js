// Ask: the base model and the edited one answer side by side, beside what the memory read.

import { call, events } from "./api.js";
import { $, el, notice, onSubmit, plural } from "./dom.js";
import { literal, show } from "./snippets.js";
import { changed, path, state } from "./state.js";

const ROWS = 64; // the most that a read names
const LISTED = 5;
const LEAST = 0.0005; // less is shown as zero

export function start() {
  onSubmit("ask-form", ask);
  $("ask-code").addEventListener("click", () => {
    const { prompt, ...options } = question();
    const given = Object.entries(options).map(([name, value]) => `, ${name}=${literal(value)}`);
    const python = `print(memory.generate(${literal(prompt)}${given.join("")}).text)`;
    show(state.tenant, "generate", question(), python);
  });
}

function question() {
  return {
    prompt: $("prompt").value.trim(),
    max_new_tokens: $("tokens").valueAsNumber,
    temperature: $("temperature").valueAsNumber,
  };
}

async function ask() {
  const asked = question();
  const work = [
    answer("base", { ...asked, memory: "never" }),
    answer("edited", { ...asked, memory: "auto" }),
    read(asked.prompt),
  ];
  const failed = (await Promise.allSettled(work)).find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
}

/** Streams one answer into its pane. */
async function answer(pane, body) {
  const [card, text, foot] = [
    $(`${pane}-title`).parentElement, $(`${pane}-text`), $(`${pane}-foot`),
  ];
  const said = el("span", "said");
  text.replaceChildren(el("span", "asked", body.prompt), said);
  foot.textContent = "";
  card.classList.remove("in-scope");
  card.setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    for await (const [name, data] of events(path("/generate"), { ...body, stream: true })) {
      if (name === "token") said.append(data.text);
      if (name !== "done") continue;
      const [{ in_scope, usage }] = data.results;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      card.classList.toggle("in-scope", in_scope);
      foot.textContent = `${plural(usage.completion_tokens, "token")} in ${seconds} s`;
    }
  } finally {
    card.removeAttribute("aria-busy");
  }
}

/** Shows the verdict of the scope gate, the decoded latent, and the rows it was read from. */
async function read(prompt) {
  const reply = await call("POST", path("/read"), { queries: [prompt], top_k: ROWS });
  const [result] = reply.results;
  state.read = new Map(result.matches.map((match) => [match.id, match]));
  $("verdict").hidden = false;
  $("scope").textContent = result.in_scope ? "in scope" : "out of scope";
  $("scope").classList.toggle("in", result.in_scope);
  $("confidence").value = result.confidence;
  $("confidence-text").textContent = `${(result.confidence * 100).toFixed(1)} %`;
  $("decoded").hidden = !result.text;
  $("decoded-text").textContent = result.text;
  const rows = result.matches.filter(({ weight }) => Math.abs(weight) >= LEAST).slice(0, LISTED);
  $("matches").replaceChildren(...rows.map(match));
  $("matches-none").hidden = rows.length > 0;
  $("matches-none").textContent = "No row is near enough to be read.";
  if (reply.stale) notice("The store is away: this is the memory as it was last seen.", true);
  changed();
}

function match({ id, text, weight }) {
  const bar = el("i");
  bar.style.width = `${Math.min(Math.abs(weight), 1) * 100}%`;
  const track = el("span", "track", bar);
  track.setAttribute("aria-hidden", "true");
  return el("li", "", el("span", "name", text ?? id), el("span", "number", weight.toFixed(3)), track);
}
