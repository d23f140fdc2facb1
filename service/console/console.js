// The console: who is in, which tenant is open, light or dark. The panes are in their own files.

import { call, fromAddress, key, lastTenant } from "./api.js";
import * as ask from "./ask.js";
import * as documents from "./documents.js";
import { $, busy, el, notice, onSubmit } from "./dom.js";
import * as facts from "./facts.js";
import * as picture from "./picture.js";
import * as snippets from "./snippets.js";
import { onChange, refresh, state } from "./state.js";

/** Finds out whether the key is good, and opens the tenant that was open. */
async function enter() {
  let names = [];
  try {
    names = (await call("GET", "/v1/tenants")).tenants;
  } catch (error) {
    if (error.status === 401) return gate(key.get() ? "That key is not valid." : "");
    if (error.status !== 403) throw error; // without the admin scope the name is typed
  }
  $("gate").hidden = true;
  $("tenant-form").hidden = false;
  $("leave").hidden = !key.get();
  $("tenants").replaceChildren(...names.map(option));
  const last = lastTenant.get();
  const name = last ?? (names.includes("default") ? "default" : names[0]);
  if (name) await open(name);
  else $("tenant").focus();
}

function gate(message) {
  key.clear();
  for (const id of ["work", "tenant-form", "counts", "leave"]) $(id).hidden = true;
  $("gate").hidden = false;
  $("key").focus();
  notice(message, true);
}

function option(name) {
  const node = el("option");
  node.value = name;
  return node;
}

async function open(name) {
  Object.assign(state, {
    tenant: name, info: null, facts: new Map(), changed: new Set(), read: new Map(),
  });
  $("tenant").value = name;
  $("make-tenant").hidden = true;
  try {
    await Promise.all([refresh(), documents.list()]);
  } catch (error) {
    $("work").hidden = true;
    $("counts").hidden = true;
    $("make-tenant").hidden = error.code !== "tenant_not_found";
    throw error;
  }
  lastTenant.set(name);
  $("work").hidden = false;
  $("counts").hidden = false;
  notice("");
}

function counts() {
  if (!state.info) return;
  const { version, bytes, counts } = state.info;
  $("count-version").textContent = version;
  $("count-facts").textContent = (counts.facts + counts.suppressions).toLocaleString("en");
  $("count-chunks").textContent = counts.chunks.toLocaleString("en");
  $("count-bytes").textContent = new Intl.NumberFormat("en", { notation: "compact" }).format(bytes);
}

/** Tabs as ARIA's authoring practices have them: arrows move, one is in the tab order. */
function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const select = (tab) => {
    for (const one of all) {
      one.setAttribute("aria-selected", one === tab);
      one.tabIndex = one === tab ? 0 : -1;
      $(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
  };
  all.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(i + step + all.length) % all.length];
      select(next);
      next.focus();
    });
  });
}

/** Light or dark: the system's, until the button is pressed. */
function theme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "")) === "dark";
  const show = () => $("theme").setAttribute("aria-pressed", dark());
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();
}

for (const part of [snippets, facts, ask, picture, documents]) part.start();
onChange(counts);
tabs();
theme();
onSubmit("key-form", async () => {
  key.set($("key").value.trim());
  $("key").value = "";
  await enter();
});
onSubmit("tenant-form", () => open($("tenant").value.trim()));
$("make-tenant").addEventListener("click", (event) =>
  busy(event.target, async () => {
    const name = $("tenant").value.trim();
    await call("PUT", `/v1/tenants/${encodeURIComponent(name)}`, {});
    await open(name);
  }),
);
$("leave").addEventListener("click", () => {
  sessionStorage.clear();
  gate("");
  notice("The key is forgotten.");
});
fromAddress();
busy(document.body, enter);
