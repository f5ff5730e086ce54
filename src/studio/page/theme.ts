/** @file Light or dark: as the system has it, until a person says otherwise. */
import { useEffect, useState } from "preact/hooks";

export type Mode = "light" | "dark";

const dark = matchMedia("(prefers-color-scheme: dark)");

const chosen = (): Mode | null => {
  const kept = localStorage.getItem("metalr-theme");
  return kept === "light" || kept === "dark" ? kept : null;
};

/** The mode in force, and what changes it. */
export function useTheme(): readonly [Mode, () => void] {
  const [mode, setMode] = useState<Mode>(chosen() ?? (dark.matches ? "dark" : "light"));
  useEffect(() => {
    document.documentElement.dataset["theme"] = mode;
  }, [mode]);
  useEffect(() => {
    const changed = () => {
      if (chosen() === null) setMode(dark.matches ? "dark" : "light");
    };
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  const toggle = () => {
    const next = mode === "dark" ? "light" : "dark";
    localStorage.setItem("metalr-theme", next);
    setMode(next);
  };
  return [mode, toggle];
}
