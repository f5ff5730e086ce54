/** @file The path of the module that a node belongs to, as exporters write it into a file. */
import type { OnnxNode } from "../model.js";

/** "/layer1/layer1.0/conv1/Conv" → "layer1.0.conv1": PyTorch repeats the outer scope in the inner one's name. */
export function moduleOfScope(nodeName: string): string {
  const path: string[] = [];
  for (const part of nodeName.split("/").slice(1, -1)) {
    while (path.length > 0 && part.startsWith(`${path.at(-1)}.`)) path.pop();
    path.push(part);
  }
  return path.join(".");
}

/** Where a node says nothing of it, "". */
export const moduleOfNode = (n: OnnxNode | undefined): string => n?.module ?? moduleOfScope(n?.name ?? "");

/** Key under which PyTorch's newer exporter keeps a node's modules from the outermost on, and last its own name. */
export const scopesKey = "pkg.torch.onnx.name_scopes";

/** "['', 'layer1', 'layer1.0', 'conv2d']" → "layer1.0"; undefined where it is no such list. */
export function moduleOfScopes(text: string): string | undefined {
  return [...text.matchAll(/'([^']*)'/g)].map((m) => m[1]).at(-2);
}
export const scopesOfModule = (module: string): string => `['${module}', '']`;
