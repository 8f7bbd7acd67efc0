// Light or dark: as the system has it, until the switch says otherwise. The page waits for this script, so that it does not flash.

const STORED = "qvl.theme";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
}

function set(theme) {
  if (theme === "dark" || theme === "light") {
    root.dataset.theme = theme;
  }
}

/** @param {HTMLButtonElement} control the switch, pressed when dark */
export function connectThemeSwitch(control) {
  const show = () => control.setAttribute("aria-pressed", String(isDark()));
  control.addEventListener("click", () => {
    set(isDark() ? "light" : "dark");
    try {
      localStorage.setItem(STORED, root.dataset.theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}

set(chosen());
