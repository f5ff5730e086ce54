/** @file Ultrasound pictures of a lung from scatterers and a point spread function: a patient's anatomy, the beam's echoes, the sector. */
import type { Random } from "../common/random.js";
import type { Scanner } from "./synthetic.js";

/** Grid of the beam: depths by angles. */
const DEPTHS = 96;
const ANGLES = 64;
const CELLS = DEPTHS * ANGLES;

const fromDb = (db: number): number => 10 ** (db / 20);
const bump = (x: number, width: number): number => Math.exp(-0.5 * (x / width) ** 2);

/** A streak of reverberation below the pleura, or a bright spot inside a consolidation. */
interface Spot {
  readonly angle: number;
  readonly depth: number;
  readonly size: number;
  readonly level: number;
}

/** What one patient's frames have in common. Angles run from −1 to 1 across the sector. */
interface Anatomy {
  readonly pleura: number;
  readonly tilt: number;
  readonly curve: number;
  readonly layers: readonly Spot[];
  readonly aLines: number;
  readonly streaks: readonly Spot[];
  /** Depth of the consolidation below the pleura at angle 0; 0 for none. */
  readonly thickness: number;
  readonly waves: readonly [number, number, number];
  readonly spots: readonly Spot[];
  /** Angle of a rib and its half width; 0 for none. */
  readonly rib: readonly [angle: number, width: number];
}

export function anatomy(kind: number, r: Random): Anatomy {
  const several = (n: number, make: () => Spot) => Array.from({ length: n }, make);
  const pleura = r.between(0.2, 0.32);
  return {
    pleura,
    tilt: r.between(-0.035, 0.035),
    curve: r.between(-0.02, 0.03),
    layers: several(2 + r.below(2), () => ({
      angle: 0,
      depth: r.between(0.05, pleura - 0.03),
      size: 0.006,
      level: r.between(-22, -10),
    })),
    // Healthy lungs have at most one streak; diseased ones keep a rest of their A-lines.
    aLines: kind === 0 ? r.between(-17, -9) : kind === 1 ? r.between(-40, -20) : -60,
    streaks: several(
      kind === 1 ? 2 + r.below(4) : kind === 0 && r.uniform() < 0.35 ? 1 : kind === 2 ? r.below(3) : 0,
      () => ({
        angle: r.between(-0.8, 0.8),
        depth: 0,
        size: r.between(0.035, 0.1),
        level: r.between(-21, -13) - (kind === 0 ? 6 : 0),
      }),
    ),
    thickness: kind === 2 ? r.between(0.13, 0.38) : 0,
    waves: [r.between(0, 6.28), r.between(3, 7), r.between(0.2, 0.5)],
    spots: several(kind === 2 ? 3 + r.below(6) : 0, () => ({
      angle: r.between(-0.8, 0.8),
      depth: r.uniform(),
      size: r.between(0.01, 0.03),
      level: r.between(-16, -6),
    })),
    rib:
      r.uniform() < 0.5 ? [r.uniform() < 0.5 ? r.between(-1, -0.7) : r.between(0.7, 1), r.between(0.12, 0.3)] : [0, 0],
  };
}

/** Mean echo amplitude (diffuse) and mirror-like echo (specular) at a depth and angle. */
function echo(a: Anatomy, depth: number, angle: number, breath: number): [diffuse: number, specular: number] {
  const line = a.pleura + breath + a.tilt * angle + a.curve * angle * angle;
  const below = depth - line;
  const inRib = a.rib[1] > 0 && Math.abs(angle - a.rib[0]) < a.rib[1];
  const ribDepth = 0.75 * line;
  if (inRib && depth > ribDepth + 0.01) return [fromDb(-56), 0];
  let specular = inRib ? fromDb(-6) * bump(depth - ribDepth, 0.012) : 0;
  for (const s of a.layers) specular += fromDb(s.level) * bump(depth - s.depth - 0.02 * angle * angle, s.size);
  if (below < -0.008) return [fromDb(-27 - 18 * depth), specular];

  let diffuse = fromDb(-46 - 10 * below);
  const shred = a.thickness > 0 ? 0.35 + 0.65 * Math.abs(Math.sin(9 * angle + a.waves[0])) : 1;
  specular += fromDb(-2) * shred * bump(below, 0.01);
  for (let k = 2; k * line < 1; k++) specular += fromDb(a.aLines - 5 * (k - 2)) * bump(depth - k * line, 0.012);
  for (const s of a.streaks) {
    const sway = 0.02 * Math.sin(18 * depth + 7 * s.angle);
    diffuse += fromDb(s.level - 4 * below) * bump(angle - s.angle - sway, s.size);
  }
  if (a.thickness > 0) {
    const [phase, frequency, share] = a.waves;
    const wave = 1 + share * Math.sin(frequency * angle + phase) + 0.15 * Math.sin(3.1 * frequency * angle);
    const far = Math.max(0, a.thickness * wave * (1 - 0.5 * angle * angle));
    if (below < far) {
      diffuse = fromDb(-30 - 8 * below);
      for (const s of a.spots) {
        specular += fromDb(s.level) * bump(below - s.depth * far, s.size) * bump(angle - s.angle, 2.5 * s.size);
      }
    } else specular += fromDb(-14) * shred * bump(below - far, 0.012);
  }
  return [diffuse, specular];
}

/** Separable Gaussian blur of a depth × angle grid, in place; ends are repeated. */
function blur(grid: Float32Array, scratch: Float32Array, [axial, lateral]: Scanner["blur"]): void {
  const pass = (
    from: Float32Array,
    to: Float32Array,
    sigma: number,
    length: number,
    stride: number,
    others: number,
    step: number,
  ) => {
    const radius = Math.ceil(2.5 * sigma);
    const kernel = Array.from({ length: 2 * radius + 1 }, (_, i) => bump(i - radius, sigma));
    const norm = Math.sqrt(kernel.reduce((s, k) => s + k * k, 0)); // keeps the power of speckle, which is white noise
    for (let o = 0; o < others; o++)
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let k = -radius; k <= radius; k++) {
          const at = Math.min(Math.max(i + k, 0), length - 1);
          sum += kernel[k + radius]! * from[o * step + at * stride]!; // both indices are inside
        }
        to[o * step + i * stride] = sum / norm;
      }
  };
  pass(grid, scratch, axial, DEPTHS, ANGLES, ANGLES, 1);
  pass(scratch, grid, lateral, ANGLES, 1, DEPTHS, ANGLES);
}

/** Grey values of the beam's grid, 0 … 1. */
export function beam(a: Anatomy, s: Scanner, r: Random): Float32Array {
  const real = new Float32Array(CELLS);
  const imaginary = new Float32Array(CELLS);
  const breath = r.between(-0.012, 0.012);
  const sweep = r.between(-0.12, 0.12);
  const phase = r.between(0, 2 * Math.PI);
  for (let d = 0; d < DEPTHS; d++)
    for (let i = 0; i < ANGLES; i++) {
      const at = d * ANGLES + i;
      const [diffuse, specular] = echo(a, (s.depth * (d + 0.5)) / DEPTHS, (2 * (i + 0.5)) / ANGLES - 1 + sweep, breath);
      // A mirror keeps its phase along the line; scatterers have a random one each.
      real[at] = diffuse * r.normal() + specular * Math.cos(phase);
      imaginary[at] = diffuse * r.normal() + specular * Math.sin(phase);
    }
  const scratch = new Float32Array(CELLS);
  blur(real, scratch, s.blur);
  blur(imaginary, scratch, s.blur);
  const noise = fromDb(s.noiseDb);
  const grey = new Float32Array(CELLS);
  for (let at = 0; at < CELLS; at++) {
    const depth = Math.floor(at / ANGLES) / DEPTHS;
    const amplitude = Math.hypot(real[at]! + noise * r.normal(), imaginary[at]! + noise * r.normal()); // at is inside
    const db = 20 * Math.log10(amplitude + 1e-6) + s.gainDb + s.timeGainDb * depth;
    grey[at] = Math.min(Math.max(1 + db / s.rangeDb, 0), 1) ** s.gamma;
  }
  return grey;
}

/** Scan conversion: the sector in a square picture, black around it. */
export function picture(grey: Float32Array, s: Scanner, size: number, out: Uint8Array): void {
  const half = (s.halfAngle * Math.PI) / 180;
  // The sector spans [top, 1 + apex] below the apex; the picture shows all of it.
  const top = s.apex * Math.cos(half);
  const height = 1 + s.apex - top;
  const scale = Math.max(height, 2 * (1 + s.apex) * Math.sin(half)) * 1.04;
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const dx = ((x + 0.5) / size - 0.5) * scale;
      const dy = top + ((y + 0.5) / size - 0.5) * scale + height / 2;
      const depth = (Math.hypot(dx, dy) - s.apex) * DEPTHS - 0.5;
      const angle = ((Math.atan2(dx, dy) / half + 1) / 2) * ANGLES - 0.5;
      if (depth < 0 || depth > DEPTHS - 1 || angle < 0 || angle > ANGLES - 1) continue;
      const [d, i] = [Math.min(Math.floor(depth), DEPTHS - 2), Math.min(Math.floor(angle), ANGLES - 2)];
      const [fd, fi] = [depth - d, angle - i];
      const at = d * ANGLES + i;
      const upper = grey[at]! * (1 - fi) + grey[at + 1]! * fi; // the four neighbours are inside
      const lower = grey[at + ANGLES]! * (1 - fi) + grey[at + ANGLES + 1]! * fi;
      out[y * size + x] = Math.round(255 * (upper * (1 - fd) + lower * fd));
    }
}
