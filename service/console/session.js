// Who is in, and which tenant is open.

import { call, forgetSession, key, lastTenant, onLocked } from "./api.js";
import * as documents from "./documents.js";
import { $, busy, el, notice, onSubmit } from "./dom.js";
import { clearReading } from "./reading.js";
import { refresh, reset, state } from "./state.js";

const VIEWS = ["opening", "gate", "empty", "work"];

export function start() {
  onLocked(() => {
    if (key.get()) gate("This key is not valid, or no longer.");
    else if ($("gate").hidden) gate(""); // open already: a call that was under way says nothing new
  });
  onSubmit("key-form", async () => {
    key.set($("key").value.trim());
    $("key").value = "";
    await enter();
  });
  $("tenant").addEventListener("change", (event) => busy(event.target, () => open(event.target.value)));
  $("new-tenant").addEventListener("click", () => offer(""));
  $("tenant-cancel").addEventListener("click", () => show("work"));
  onSubmit("opening-form", enter);
  onSubmit("tenant-form", make);
  $("leave").addEventListener("click", () => {
    forgetSession();
    gate("");
    notice("The key is forgotten.");
  });
}

/** Finds out whether the key is good, and opens the tenant that was open. */
export async function enter() {
  $("opening-state").hidden = false;
  $("retry").hidden = true;
  try {
    const { tenants } = await call("GET", "/v1/tenants");
    $("leave").hidden = !key.get();
    list(tenants);
    const last = lastTenant.get();
    if (last && !tenants.includes(last)) return offer(last);
    const name = last ?? (tenants.includes("default") ? "default" : tenants[0]);
    await (name ? open(name) : offer("default"));
  } catch (error) {
    if (error.status !== 401) sorry(error); // else the gate is open already
  }
}

function list(names) {
  const option = (name) => {
    const node = el("option", "", name);
    node.value = name;
    return node;
  };
  $("tenant").replaceChildren(...names.map(option));
}

/** One of the page's views. */
function show(view) {
  for (const id of VIEWS) $(id).hidden = id !== view;
  $("counts").hidden = view !== "work";
  $("tenant-bar").hidden = !["work", "empty"].includes(view) || !$("tenant").options.length;
}

/** The key may be good: what is wrong is said, and can be tried again. */
function sorry(error) {
  show("opening");
  $("opening-state").hidden = true;
  $("retry").hidden = false;
  $("opening-form").querySelector(".problem").textContent = error.message;
  $("retry").focus();
}

function gate(message) {
  forgetSession();
  reset("");
  $("leave").hidden = true;
  show("gate");
  $("key-form").querySelector(".problem").textContent = message;
  $("key").focus();
}

/** Offers to make a tenant; `name` where one was asked for that is not there. */
function offer(name) {
  const missing = name && name !== "default";
  $("tenant-title").textContent = missing ? `There is no tenant “${name}”` : "Make a tenant";
  $("tenant-form").reset();
  $("tenant-name").value = name;
  $("tenant-cancel").hidden = !state.info;
  show("empty");
  $("tenant-name").focus();
}

async function make() {
  const name = $("tenant-name").value.trim();
  await call("PUT", `/v1/tenants/${encodeURIComponent(name)}`, { policy: $("tenant-policy").value });
  list((await call("GET", "/v1/tenants")).tenants);
  await open(name);
}

async function open(name) {
  reset(name);
  $("tenant").value = name;
  show("work");
  clearReading();
  $("facts").replaceChildren(...Array.from({ length: 3 }, () => el("li", "waiting")));
  await Promise.all([refresh(), documents.list()]);
  lastTenant.set(name);
  notice("");
}
