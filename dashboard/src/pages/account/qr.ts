// A QR code of a text, as a path of an SVG: bytes at the lowest level of correction, which suits a clear screen.
// After ISO/IEC 18004; versions 1 to 20 hold up to 858 bytes.

const CORRECTION = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
const BLOCKS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];

/** Return how many modules of a version hold data and correction. */
function roomOf(version: number): number {
  const size = version * 4 + 17;
  let room = size * size - 3 * 64 - 2 * (size - 16) - 31;
  if (version > 1) {
    const marks = Math.floor(version / 7) + 2;
    room -= (marks * marks - 3) * 25 - (marks - 2) * 2 * 5;
  }
  return version < 7 ? room : room - 36;
}

function multiply(x: number, y: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((y >>> bit) & 1) * x;
  }
  return product;
}

function divisorOf(degree: number): number[] {
  const divisor = [...Array<number>(degree - 1).fill(0), 1];
  let root = 1;
  for (let turn = 0; turn < degree; turn++) {
    for (let at = 0; at < degree; at++) divisor[at] = multiply(divisor[at]!, root) ^ (divisor[at + 1] ?? 0);
    root = multiply(root, 2);
  }
  return divisor;
}

function correctionOf(data: readonly number[], divisor: readonly number[]): number[] {
  const rest = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ rest.shift()!;
    rest.push(0);
    divisor.forEach((each, at) => (rest[at]! ^= multiply(each, factor)));
  }
  return rest;
}

/** Return the bytes that a version holds of a text, with their correction, in the order in which they are drawn. */
function wordsOf(bytes: Uint8Array, version: number): number[] {
  const degree = CORRECTION[version - 1]!;
  const count = BLOCKS[version - 1]!;
  const total = Math.floor(roomOf(version) / 8);
  const capacity = total - degree * count;
  const bits = [0, 1, 0, 0];
  const put = (value: number, length: number) => {
    for (let bit = length - 1; bit >= 0; bit--) bits.push((value >>> bit) & 1);
  };
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  put(0, Math.min(4, capacity * 8 - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  const data: number[] = [];
  for (let at = 0; at < bits.length; at += 8) data.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let pad = 0xec; data.length < capacity; pad ^= 0xec ^ 0x11) data.push(pad);
  const shorter = count - (total % count);
  const length = Math.floor(total / count) - degree;
  const divisor = divisorOf(degree);
  const blocks: { data: number[]; correction: number[] }[] = [];
  for (let index = 0, at = 0; index < count; index++) {
    const part = data.slice(at, (at += length + (index < shorter ? 0 : 1)));
    blocks.push({ data: part, correction: correctionOf(part, divisor) });
  }
  const words: number[] = [];
  for (let at = 0; at <= length; at++) for (const block of blocks) if (at < block.data.length) words.push(block.data[at]!);
  for (let at = 0; at < degree; at++) for (const block of blocks) words.push(block.correction[at]!);
  return words;
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function draw(words: readonly number[], version: number, mask: number): boolean[][] {
  const size = version * 4 + 17;
  const dark = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const fixed = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const set = (x: number, y: number, isDark: boolean) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    dark[y]![x] = isDark;
    fixed[y]![x] = true;
  };
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  for (const [left, top] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) {
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        set(left + dx, top + dy, ring !== 2 && ring !== 4);
      }
    }
  }
  const marks = version === 1 ? 0 : Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + marks * 3 + 5) / (marks * 4 - 4)) * 2;
  const places = Array.from({ length: marks }, (_, index) => (index === 0 ? 6 : size - 7 - (marks - 1 - index) * step));
  places.forEach((y, row) =>
    places.forEach((x, column) => {
      const isCorner = (row === 0 && column === 0) || (row === 0 && column === marks - 1) || (row === marks - 1 && column === 0);
      if (isCorner) return;
      for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }),
  );
  // The level L is 1; then the mask.
  const level = (1 << 3) | mask;
  let rest = level;
  for (let turn = 0; turn < 10; turn++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const format = ((level << 10) | rest) ^ 0x5412;
  const bitOf = (value: number, bit: number) => ((value >>> bit) & 1) === 1;
  for (let bit = 0; bit < 15; bit++) {
    const isDark = bitOf(format, bit);
    if (bit < 6) set(8, bit, isDark);
    else if (bit < 8) set(8, bit + 1, isDark);
    else if (bit === 8) set(7, 8, isDark);
    else set(14 - bit, 8, isDark);
    if (bit < 8) set(size - 1 - bit, 8, isDark);
    else set(8, size - 15 + bit, isDark);
  }
  set(8, size - 8, true);
  if (version >= 7) {
    let tail = version;
    for (let turn = 0; turn < 12; turn++) tail = (tail << 1) ^ ((tail >>> 11) * 0x1f25);
    const told = (version << 12) | tail;
    for (let bit = 0; bit < 18; bit++) {
      const far = size - 11 + (bit % 3);
      const near = Math.floor(bit / 3);
      set(far, near, bitOf(told, bit));
      set(near, far, bitOf(told, bit));
    }
  }
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let turn = 0; turn < size; turn++) {
      for (let side = 0; side < 2; side++) {
        const x = right - side;
        const y = ((right + 1) & 2) === 0 ? size - 1 - turn : turn;
        if (fixed[y]![x]) continue;
        const bit = at < words.length * 8 && bitOf(words[at >>> 3]!, 7 - (at & 7));
        at++;
        dark[y]![x] = bit !== MASKS[mask]!(x, y);
      }
    }
  }
  return dark;
}

/** Count neighbors that are alike: the fewer, the easier a code is to read. */
const alike = (dark: boolean[][]): number =>
  dark.reduce((sum, row, y) => sum + row.filter((each, x) => each === row[x + 1]).length + row.filter((each, x) => each === dark[y + 1]?.[x]).length, 0);

/** Return a text's QR code, true where it is dark; null where the text is too long. */
export function qrCode(text: string): boolean[][] | null {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= CORRECTION.length; version++) {
    const capacity = Math.floor(roomOf(version) / 8) - CORRECTION[version - 1]! * BLOCKS[version - 1]!;
    if (bytes.length + (version < 10 ? 2 : 3) > capacity) continue;
    const words = wordsOf(bytes, version);
    const drawn = MASKS.map((_, mask) => draw(words, version, mask));
    return drawn.reduce((best, each) => (alike(each) < alike(best) ? each : best));
  }
  return null;
}

/** Return the dark modules as the path of an SVG whose unit is a module. */
export const pathOf = (dark: readonly (readonly boolean[])[]): string =>
  dark.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
