/** @file "Private fine-tune" on its own: static files that any web server hands out, guarded and kept by a service worker. */
import "uplot/dist/uPlot.min.css";
import "../styles/base.css";
import "../styles/parts.css";
import "./private.css";
import { render } from "preact";
import { ThemeButton } from "../parts/theme-button.js";
import { useTheme } from "../theme.js";
import { guarded } from "./guarded.js";
import { PrivatePage } from "./page.js";

const allowed = guarded();

function Alone() {
  const [mode, toggle] = useTheme();
  return (
    <>
      <header class="top">
        <span class="brand">
          metalr <span>in the browser</span>
        </span>
        <span class="grow" />
        <ThemeButton mode={mode} toggle={toggle} />
      </header>
      <main>
        <PrivatePage mode={mode} allowed={allowed} />
      </main>
    </>
  );
}

const place = document.getElementById("app");
if (place !== null) render(<Alone />, place);
