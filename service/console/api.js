// The service over HTTP: the key of this tab, replies, errors and streams.

const KEY = "larimar.key";
const TENANT = "larimar.tenant";

export class ApiError extends Error {
  /** `wait`: the seconds after which the service may be asked again, where it says so. */
  constructor(status, error, wait = "") {
    const place = error.param ? ` (${error.param})` : "";
    super(error.message + place + (wait && ` Try again in ${wait} s.`));
    Object.assign(this, { status, code: error.code, details: error.details ?? [] });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
};

let locked = () => {};
/** Calls `handle` when the service no longer takes the key. */
export const onLocked = (handle) => (locked = handle);

/** The tenant that this tab opened last. */
export const lastTenant = {
  get: () => sessionStorage.getItem(TENANT),
  set: (name) => sessionStorage.setItem(TENANT, name),
};

/** Nothing of the key and the tenant is left in this tab. */
export function forgetSession() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(TENANT);
}

/**
 * Takes `#key=…&tenant=…` out of the address, so that neither history nor a copied link holds
 * the key.
 */
export function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("key")) key.set(given.get("key"));
  if (given.get("tenant")) lastTenant.set(given.get("tenant"));
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

/** The address of a call, which a proxy may have put below a prefix. */
export const address = (path) => new URL("." + path, location.href).href;

/** A reply's JSON; null where it has no body. Throws ApiError. */
export async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

/**
 * The events of a reply as [name, data]. Throws ApiError, for one inside the stream too.
 * `signal` ends it, with an AbortError.
 */
export async function* events(path, body, signal) {
  const response = await send("POST", path, body, { Accept: "text/event-stream" }, signal);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
    if (done) return;
  }
}

function parse(block) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5));
  }
  if (!data.length) return null;
  const value = JSON.parse(data.join("\n"));
  if (name === "error") throw new ApiError(500, value.error);
  return [name, value];
}

async function send(method, path, body, more = {}, signal = null) {
  const headers = { ...more };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(address(path), { method, headers, body: text, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached. Is it running? Nothing is lost: try again.");
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401) locked(error);
  throw error;
}

async function refusal(response) {
  const wait = response.headers.get("Retry-After") ?? "";
  try {
    return new ApiError(response.status, (await response.json()).error, wait);
  } catch {
    return new ApiError(response.status, { message: `Status ${response.status}.` }, wait);
  }
}
