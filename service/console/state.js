// What the page knows of the open tenant. Whoever changes it says so with `changed`.

import { call } from "./api.js";

const PAGE = 500;
const NAMED = 20; // changed facts beyond the first page that are asked for one by one
const listeners = [];

export const state = {
  tenant: "",
  info: null, // the tenant's reply
  facts: new Map(), // id → fact, newest first
  cursor: null, // of the next page
  change: null, // the last write: { version, rows: [{ id, kind, fact, before }], note }
  read: null, // the last question's matches: id → { id, text, weight, similarity }
  readVersion: 0, // the memory's version that they are of
};

export const path = (rest = "") => `/v1/tenants/${encodeURIComponent(state.tenant)}${rest}`;
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());

/** Forgets one tenant for another. */
export function reset(tenant) {
  const nothing = { info: null, facts: new Map(), cursor: null, change: null, read: null };
  Object.assign(state, nothing, { tenant });
}

/** Asks for the tenant's counts and its facts: the first page, and those just written. */
export async function refresh() {
  const [info, page] = await Promise.all([
    call("GET", path()),
    call("GET", path(`/facts?limit=${PAGE}`)),
  ]);
  const found = new Map(page.facts.map((fact) => [fact.id, fact]));
  const written = (state.change?.rows ?? []).filter(({ kind }) => kind !== "erased");
  const missing = written.filter(({ id }) => !found.has(id)).slice(0, NAMED);
  const more = await Promise.all(missing.map(({ id }) => fact(id)));
  for (const one of more) if (one) found.set(one.id, one);
  state.info = info;
  state.cursor = page.next_cursor;
  keep([...found.values()]);
}

/** Asks for the next page of facts. */
export async function refreshMore() {
  const cursor = encodeURIComponent(state.cursor);
  const page = await call("GET", path(`/facts?limit=${PAGE}&cursor=${cursor}`));
  state.cursor = page.next_cursor;
  keep([...state.facts.values(), ...page.facts]);
}

function keep(facts) {
  const newest = facts.sort((a, b) => b.created_at - a.created_at);
  state.facts = new Map(newest.map((one) => [one.id, one]));
  dropErased();
  changed();
}

/** What the last question read and is stored no longer is no row of the memory any more. */
function dropErased() {
  const gone = (state.change?.rows ?? []).filter(({ kind }) => kind === "erased");
  const erased = new Set(gone.map(({ id }) => id));
  const complete = !state.cursor; // all that is stored is loaded
  for (const id of [...(state.read?.keys() ?? [])]) {
    if (erased.has(id) || (complete && !state.facts.has(id))) state.read.delete(id);
  }
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
