// The service over HTTP: the key of this tab, replies, errors and streams.

const KEY = "larimar.key";
const TENANT = "larimar.tenant";

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message + (error.param ? ` (${error.param})` : ""));
    Object.assign(this, { status, code: error.code, param: error.param });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),

};

/** The tenant that this tab opened last. */
export const lastTenant = {
  get: () => sessionStorage.getItem(TENANT),
  set: (name) => sessionStorage.setItem(TENANT, name),
};

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

/** The events of a reply as [name, data]. Throws ApiError, for one inside the stream too. */
export async function* events(path, body) {
  const response = await send("POST", path, body, { Accept: "text/event-stream" });
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

async function send(method, path, body, more = {}) {
  const headers = { ...more };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path), {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The service cannot be reached.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  try {
    return new ApiError(response.status, (await response.json()).error);
  } catch {
    return new ApiError(response.status, { code: "unknown", message: `Status ${response.status}` });
  }
}
