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

export function notice(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
}

/** Runs `work` for a form or button: its buttons wait, and what fails is said. */
export async function busy(node, work) {
  const buttons = node.matches("button") ? [node] : [...node.querySelectorAll("button")];
  buttons.forEach((one) => (one.disabled = true));
  try {
    await work();
  } catch (error) {
    notice(error.message, true);
  } finally {
    buttons.forEach((one) => (one.disabled = false));
  }
}

/** Calls `handle` whenever a form is submitted, one at a time. */
export function onSubmit(id, handle) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.target, handle);
  });
}

/** Puts a chosen or dropped file's text into `area`; `named` hears its name. */
export function takesFiles(area, chooser, named = () => {}) {
  const take = async (file) => {
    if (!file) return;
    area.value = await file.text();
    named(file.name);
  };
  chooser.addEventListener("change", () => take(chooser.files[0]));
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
