// 16-bit floats as bit patterns: JavaScript has no such number before Float16Array (Node 24).

const F32 = new Float32Array(1);
const U32 = new Uint32Array(F32.buffer);

/** Number → bits of the nearest bfloat16 (ties to even). */
export function toBfloat16(value: number): number {
  F32[0] = value;
  const bits = U32[0] ?? 0;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat16(bits: number): number {
  U32[0] = bits << 16;
  return F32[0] ?? 0;
}

/** Number → bits of the nearest IEEE 754 half (ties to even); beyond 65504 it becomes infinity. */
export function toFloat16(value: number): number {
  F32[0] = value;
  const bits = U32[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
  if (magnitude < 0x33000001) return sign; // rounds to zero
  if (magnitude < 0x38800000) {
    // Subnormal half: value = n * 2^-24
    const scaled = Math.abs(F32[0] ?? 0) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function fromFloat16(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
