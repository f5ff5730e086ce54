/** @file Checkpoints: reading them, describing them, and mapping them onto a network. */
export { describeWeights, type WeightRow, type WeightsDescription } from "./describe.js";
export { type MatchOptions, matchWeights, type WeightMatch, type WeightTarget } from "./match.js";
export { type Checkpoint, openWeights, readWeights, type WeightsFormat } from "./read.js";
