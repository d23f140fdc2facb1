// The console: starts the panes, which are in their own files; tabs, theme, counts.

import { fromAddress } from "./api.js";
import * as ask from "./ask.js";
import * as documents from "./documents.js";
import { $, notice } from "./dom.js";
import * as facts from "./facts.js";
import * as picture from "./picture.js";
import * as session from "./session.js";
import * as snippets from "./snippets.js";
import { onChange, state } from "./state.js";
import * as write from "./write.js";

const THEME = "larimar.theme";

function counts() {
  if (!state.info) return;
  const { version, bytes, counts } = state.info;
  const unit = { style: "unit", unit: "byte", notation: "compact", unitDisplay: "narrow" };
  $("count-version").textContent = version;
  $("count-facts").textContent = (counts.facts + counts.suppressions).toLocaleString("en");
  $("count-chunks").textContent = counts.chunks.toLocaleString("en");
  const size = new Intl.NumberFormat("en", unit).format(bytes);
  $("count-bytes").textContent = size.replace(/\d(?=\D*$)/, "$&\u00a0"); // 32 KB, not 32KB
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
  const root = document.documentElement.dataset;
  const dark = () => (root.theme ?? (system.matches ? "dark" : "")) === "dark";
  const show = () => $("theme").setAttribute("aria-pressed", dark());
  if (sessionStorage.getItem(THEME)) root.theme = sessionStorage.getItem(THEME);
  $("theme").addEventListener("click", () => {
    root.theme = dark() ? "light" : "dark";
    sessionStorage.setItem(THEME, root.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

for (const part of [snippets, write, facts, ask, picture, documents, session]) part.start();
onChange(counts);
tabs();
theme();
$("dismiss").addEventListener("click", () => notice(""));
fromAddress();
session.enter();
