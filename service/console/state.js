// What the page knows of the open tenant. Whoever changes it says so with `changed`.

import { call } from "./api.js";

const PAGE = 500;
const listeners = [];

export const state = {
  tenant: "",
  info: null, // the tenant's reply
  facts: new Map(), // id → fact, newest first
  changed: new Set(), // ids of the last write
  read: new Map(), // id → the match {id, text, weight} of the last question
};

export const path = (rest = "") => `/v1/tenants/${state.tenant}${rest}`;
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());

/** Asks for the tenant's counts and its facts: the first page, and those just written. */
export async function refresh() {
  const [info, page] = await Promise.all([
    call("GET", path()),
    call("GET", path(`/facts?limit=${PAGE}`)),
  ]);
  const found = new Map(page.facts.map((fact) => [fact.id, fact]));
  const missing = [...state.changed].filter((id) => !found.has(id)).slice(0, 20);
  const more = await Promise.all(missing.map(fact));
  for (const one of more) if (one) found.set(one.id, one);
  const newest = [...found.values()].sort((a, b) => b.created_at - a.created_at);
  state.info = info;
  state.facts = new Map(newest.map((one) => [one.id, one]));
  changed();
}

/** One fact; null once it is gone. */
async function fact(id) {
  try {
    return await call("GET", path(`/facts/${encodeURIComponent(id)}`));
  } catch {
    return null;
  }
}

/** How many rows the memory has, shown or not. */
export function total() {
  const counts = state.info?.counts;
  return counts ? counts.facts + counts.suppressions + counts.chunks : 0;
}

export const sentence = (fact) =>
  fact.text ?? `${fact.prompt ?? ""} ${fact.target ?? ""}`.trim();
