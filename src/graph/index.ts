/** @file The intermediate representation, for those who build their own graphs. */
export { constant, constantTensor, input, makeGraph, nodesOf, scalar } from "./build.js";
export { printGraph } from "./print.js";
export type { Attribute, Attributes, Graph, Node, Operator, Value } from "./value.js";
export { verifyGraph } from "./verify.js";
