// The page's elements. Everything that comes from a memory becomes a text node: facts are
// untrusted text, and must never be read as markup.

export const $ = (id) => document.getElementById(id);

/** An element with classes and children; strings become text nodes. */
export function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function button(label, className, onClick, spoken) {
  const node = el("button", className, label);
  node.type = "button";
  if (spoken) node.setAttribute("aria-label", spoken);
  node.addEventListener("click", onClick);
  return node;
}

const READ_MS = 7000;
let fading = 0;

/** Says what was done, or what went wrong, at the foot of the page. What went wrong stays. */
export function notice(text, bad = false) {
  clearTimeout(fading);
  $("notice").textContent = text;
  $("dismiss").hidden = !bad;
  $("toast").classList.toggle("bad", bad);
  $("toast").classList.remove("read");
  if (!bad) fading = setTimeout(() => $("toast").classList.add("read"), READ_MS);
}

/** Runs `work` for a form or button: its buttons wait, and what fails is said beside it. */
export async function busy(node, work) {
  const buttons = node.matches("button") ? [node] : [...node.querySelectorAll("button:not(.stop)")];
  const place = node.closest("form")?.querySelector(".problem");
  if (place) place.textContent = "";
  buttons.forEach((one) => (one.disabled = true));
  try {
    await work();
  } catch (error) {
    if (place) place.textContent = error.message;
    else notice(error.message, true);
  } finally {
    buttons.forEach((one) => (one.disabled = false));
  }
}

/** Calls `handle` whenever a form is submitted, one at a time. */
export function onSubmit(id, handle) {
  let running = false;
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = true;
    await busy(event.target, handle);
    running = false;
  });
}

/** Moves the focus on from a form that is done with, unless the visitor has gone elsewhere. */
export function focusFrom(form, next) {
  const at = document.activeElement;
  if (at === document.body || form.contains(at)) next.focus();
}

/** Calls `use(text, name)` with a file that is chosen, or dropped on `area`. */
export function takesFiles(area, chooser, use) {
  const take = async (file) => {
    if (file) use(await file.text(), file.name);
  };
  chooser.addEventListener("change", async () => {
    await take(chooser.files[0]);
    chooser.value = ""; // so that the same file can be chosen again
  });
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("dropping");
  });
  area.addEventListener("dragleave", () => area.classList.remove("dropping"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("dropping");
    take(event.dataTransfer.files[0]);
  });
}

export const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** A number above a bar of that share. */
export function measure(value) {
  const bar = el("i");
  bar.style.width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
  const track = el("span", "track", bar);
  track.setAttribute("aria-hidden", "true");
  return el("td", "", value.toFixed(3), track);
}
