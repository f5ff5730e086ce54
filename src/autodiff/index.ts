/** @file Reverse mode over graphs. */
export { directional, gradients } from "./backward.js";
