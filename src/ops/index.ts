/** @file Every op by name, and the functions that build graphs with them. */
import * as activation from "./activation.js";
import * as averagePoolFile from "./averagePool.js";
import * as batchNorm from "./batchNorm.js";
import * as conv from "./conv.js";
import type { Op } from "./define.js";
import * as dotFile from "./dot.js";
import * as elementwise from "./elementwise.js";
import * as gatherFile from "./gather.js";
import * as matmul from "./matmul.js";
import * as maxPool from "./maxPool.js";
import * as reduce from "./reduce.js";
import * as rounding from "./rounding.js";
import * as shape from "./shape.js";
import * as sliceFile from "./slice.js";
import * as softmax from "./softmax.js";

const isOp = (v: unknown): v is Op => typeof v === "object" && v !== null && "gradient" in v && "samples" in v;

/** All ops; tests, documentation and verifiers walk this. Adding an op is adding it to its file. */
export const ops: Readonly<Record<string, Op>> = Object.fromEntries(
  [
    elementwise,
    shape,
    sliceFile,
    reduce,
    dotFile,
    matmul,
    conv,
    batchNorm,
    maxPool,
    softmax,
    activation,
    averagePoolFile,
    gatherFile,
    rounding,
  ]
    .flatMap((file) => Object.values<unknown>(file))
    .filter(isOp)
    .map((op) => [op.name, op]),
);

export { leftover } from "./_conv-lowering.js";
export { clamp, elu, erfOf, gelu, hardSigmoid, leakyRelu, prelu, softplus } from "./activation.js";
export { averagePool } from "./averagePool.js";
export { batchNormInference, batchNormTraining, updateRunning } from "./batchNorm.js";
export { type ConvAttributes, conv, convTranspose } from "./conv.js";
export { apply, defineOp, type NdArray, type Op, type OpSpec, opOf, type Sample } from "./define.js";
export { dot, lowerDot } from "./dot.js";
export {
  abs,
  add,
  cast,
  clip,
  div,
  equal,
  exp,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  log,
  max,
  min,
  mul,
  neg,
  pow,
  reciprocal,
  relu,
  sigmoid,
  sign,
  sqrt,
  sub,
  tanh,
  where,
} from "./elementwise.js";
export { evaluateGraph, fromNd, toNd } from "./evaluate.js";
export { gather, gatherNd, scatterNd } from "./gather.js";
export { type DiceOptions, diceLoss, type LossName, lossNames, lossOf } from "./loss.js";
export { type Matrix, mapAxis } from "./mapAxis.js";
export { gemm, linear, matmul } from "./matmul.js";
export { maxPool, type PoolAttributes } from "./maxPool.js";
export { reduceMax, reduceMean, reduceSum, sumAll } from "./reduce.js";
export { cos, sin } from "./rounding.js";
export { concat, expand, flatten, reshape, sumTo, transpose } from "./shape.js";
export { pad, slice } from "./slice.js";
export { crossEntropy, logSoftmax, oneHot, softmax } from "./softmax.js";
