/** @file The button that changes between light and dark. */
import type { Mode } from "../theme.js";

export const ThemeButton = ({ mode, toggle }: { mode: Mode; toggle: () => void }) => (
  <button
    type="button"
    class="quiet"
    onClick={toggle}
    aria-label={`Switch to ${mode === "dark" ? "light" : "dark"} colours`}
  >
    <span aria-hidden="true">{mode === "dark" ? "☀" : "☾"}</span>
  </button>
);
