/** @file Where the page begins. */
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/pages.css";
import "./private/private.css";
import { render } from "preact";
import { App } from "./app.js";

const place = document.getElementById("app");
if (place !== null) render(<App />, place);
