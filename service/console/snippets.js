// "As code": the call that the page would make, for a shell and for Python.

import { address } from "./api.js";
import { $ } from "./dom.js";

/** Shows a call as code. `python` is the expression on the tenant's memory. */
export function show(tenant, verb, body, python) {
  const json = JSON.stringify(body, null, 2);
  const url = address(`/v1/tenants/${tenant}/${verb}`);
  $("code-curl").textContent = [
    `curl ${shell(url)} \\`,
    `  -H "Authorization: Bearer $LARIMAR_KEY" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d ${shell(json)}`,
  ].join("\n");
  $("code-python").textContent = [
    "from larimar_client import Larimar",
    "",
    `with Larimar(${literal(address("").replace(/\/$/, ""))}) as larimar:  # the key: LARIMAR_KEY`,
    `    memory = larimar.tenant(${literal(tenant)})`,
    `    ${python}`,
  ].join("\n");
  $("code").showModal();
}

/** A value as Python writes it; JSON's strings and numbers are Python's. */
export function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const items = Object.entries(value).map(([k, v]) => `${literal(k)}: ${literal(v)}`);
  return `{${items.join(", ")}}`;
}

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function start() {
  for (const one of document.querySelectorAll("[data-copy]")) {
    one.addEventListener("click", () => copy($(one.dataset.copy), one));
  }
}

async function copy(node, from) {
  getSelection().selectAllChildren(node); // without a secure context, Ctrl-C does the rest
  try {
    await navigator.clipboard.writeText(node.textContent);
    from.textContent = "Copied";
  } catch {
    from.textContent = "Selected: press Ctrl-C";
  }
}
