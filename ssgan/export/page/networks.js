"use strict";
// G, the trunk and the Qs of an exported generator, and the noise that Python draws for a seed.
// It runs in a worker, or in the page itself where there are none, and knows nothing of either.

// How ssgan.export.compact lays the layers out: scale, bias and weights of each, in order.
class Weights {
  constructor(buffer) {
    this.buffer = buffer;
    this.at = 0;
  }

  take(kind, length) {
    const array = new kind(this.buffer, this.at, length);
    this.at += Math.ceil(array.byteLength / 4) * 4;
    return array;
  }

  layer(described) {
    const {kind, bits, inputs, outputs, kernel, side, stride, padding, leak, sigmoid} = described;
    const scale = this.take(Float32Array, outputs), bias = this.take(Float32Array, outputs);
    const weight = this.take(bits === 8 ? Int8Array : Int16Array, inputs * outputs * kernel ** 2);
    const made = kind === "linear" ? 1 : kind === "conv"
      ? Math.floor((side + 2 * padding - kernel) / stride) + 1
      : (side - 1) * stride - 2 * padding + kernel;
    const run = {linear: runLinear, conv: runConvolution, deconv: runTransposed}[kind];
    const layer = {inputs, outputs, kernel, side, stride, padding, made, weight};
    const y = new Float64Array(outputs * made ** 2);
    return x => {
      run(layer, x, y);
      for (let at = 0; at < y.length; at += outputs) {
        for (let o = 0; o < outputs; o++) {
          const value = y[at + o] * scale[o] + bias[o];
          const after = value < 0 ? value * leak : value;
          y[at + o] = sigmoid ? 1 / (1 + Math.exp(-after)) : after;
        }
      }
      return y;
    };
  }
}

function runLinear({inputs, outputs, weight}, x, y) {
  for (let o = 0, at = 0; o < outputs; o++) {
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i < inputs - 3; i += 4, at += 4) {
      a += weight[at] * x[i];
      b += weight[at + 1] * x[i + 1];
      c += weight[at + 2] * x[i + 2];
      d += weight[at + 3] * x[i + 3];
    }
    for (; i < inputs; i++, at++) a += weight[at] * x[i];
    y[o] = a + b + c + d;
  }
}

function runConvolution({inputs, outputs, kernel, side, stride, padding, made, weight}, x, y) {
  y.fill(0);
  for (let row = 0; row < made; row++) for (let column = 0; column < made; column++) {
    const to = (row * made + column) * outputs;
    for (let down = 0; down < kernel; down++) for (let right = 0; right < kernel; right++) {
      const above = row * stride - padding + down, left = column * stride - padding + right;
      if (above < 0 || above >= side || left < 0 || left >= side) continue;
      spread(x, (above * side + left) * inputs, inputs, weight, (down * kernel + right) * inputs, y, to, outputs);
    }
  }
}

function runTransposed({inputs, outputs, kernel, side, stride, padding, made, weight}, x, y) {
  y.fill(0);
  for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
    const from = (row * side + column) * inputs;
    for (let down = 0; down < kernel; down++) for (let right = 0; right < kernel; right++) {
      const below = row * stride - padding + down, left = column * stride - padding + right;
      if (below < 0 || below >= made || left < 0 || left >= made) continue;
      spread(x, from, inputs, weight, (down * kernel + right) * inputs, y, (below * made + left) * outputs, outputs);
    }
  }
}

// Add what one pixel's channels of x say of another's of y; after ReLU half of them are 0.
function spread(x, from, inputs, weight, rows, y, to, outputs) {
  for (let i = 0; i < inputs; i++) {
    const value = x[from + i];
    if (value === 0) continue;
    const at = (rows + i) * outputs;
    for (let o = 0; o < outputs; o++) y[to + o] += value * weight[at + o];
  }
}

// What Python draws for image `index` of a seed: ssgan.base.rng keys torch's generator by a hash,
// and torch fills a row with Box and Muller's numbers. `skipped` numbers are the codes'.
function drawNoise(seed, index, skipped, length) {
  const next = mersenneTwister(hash(`${seed}/export/${index}`));
  for (let i = 0; i < skipped; i++) next();
  const z = new Float64Array(length);
  if (length < 16) {
    // One by one in double precision, two from each pair.
    const uniform = () => {
      const high = next(), low = next();
      return ((high % 2 ** 21) * 2 ** 32 + low) / 2 ** 53;
    };
    for (let i = 0; i < length; i += 2) {
      const angle = 2 * Math.PI * uniform(), radius = Math.sqrt(-2 * Math.log1p(-uniform()));
      z[i] = radius * Math.cos(angle);
      if (i + 1 < length) z[i + 1] = radius * Math.sin(angle);
    }
    return z;
  }
  const fill = (from, to) => { for (let i = from; i < to; i++) z[i] = (next() % 2 ** 24) / 2 ** 24; };
  const sixteen = from => {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - z[i])), angle = 2 * Math.PI * z[i + 8];
      z[i] = radius * Math.cos(angle);
      z[i + 8] = radius * Math.sin(angle);
    }
  };
  fill(0, length);
  for (let from = 0; from + 16 <= length; from += 16) sixteen(from);
  if (length % 16) {
    fill(length - 16, length);
    sixteen(length - 16);
  }
  return z;
}

function mersenneTwister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, last) + i;
  }
  let at = 624;
  return () => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const bits = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let bits = state[at++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  };
}

// BLAKE2b of 8 bytes (RFC 7693) of a text of up to 128, as a whole number without its last bit;
// the generator takes the lower half of it.
function hash(text) {
  const START = [
    0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
    0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
  ];
  const ORDERS = [
    "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8",
    "905724afe1bc683d", "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a",
    "6fe9b308c2d714a5", "a2847615fb9e3cd0",
  ].map(row => [...row].map(digit => parseInt(digit, 16)));
  const bytes = new Uint8Array(128), length = new TextEncoder().encodeInto(text, bytes).written;
  const view = new DataView(bytes.buffer);
  const words = Array.from({length: 16}, (_, i) => view.getBigUint64(8 * i, true));
  const first = START[0] ^ 0x01010008n, v = [first, ...START.slice(1), ...START];
  v[12] ^= BigInt(length);
  v[14] = BigInt.asUintN(64, ~v[14]);
  const turned = (x, by) => BigInt.asUintN(64, (x >> by) | (x << (64n - by)));
  const mix = (a, b, c, d, x, y) => {
    v[a] = BigInt.asUintN(64, v[a] + v[b] + x);
    v[d] = turned(v[d] ^ v[a], 32n);
    v[c] = BigInt.asUintN(64, v[c] + v[d]);
    v[b] = turned(v[b] ^ v[c], 24n);
    v[a] = BigInt.asUintN(64, v[a] + v[b] + y);
    v[d] = turned(v[d] ^ v[a], 16n);
    v[c] = BigInt.asUintN(64, v[c] + v[d]);
    v[b] = turned(v[b] ^ v[c], 63n);
  };
  for (let round = 0; round < 12; round++) {
    const order = ORDERS[round % 10].map(i => words[i]);
    for (let i = 0; i < 4; i++) mix(i, 4 + i, 8 + i, 12 + i, order[2 * i], order[2 * i + 1]);
    for (let i = 0; i < 4; i++) {
      mix(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4), order[8 + 2 * i], order[9 + 2 * i]);
    }
  }
  const digest = first ^ v[0] ^ v[8];  // little-endian; the key reads its bytes big-endian
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, digest, true);
  return Number((out.getBigUint64(0) >> 1n) & 0xffffffffn);
}

// The networks of a page: `page` is what ssgan.export.sliders describes, `buffer` the weights.
function makeNetworks(page, buffer) {
  const weights = new Weights(buffer), {codes, noise, skipped, shape: [channels, height, width]} = page;
  const [generator, trunk, ss, us] = ["generator", "trunk", "q_ss", "q_us"].map(name => {
    const layers = page.networks[name].map(described => weights.layer(described));
    return x => layers.reduce((values, layer) => layer(values), x);
  });

  // Codes in G's order, classes one-hot, continuous ones from -1 to 1; then the noise.
  function encode(c, z) {
    const x = [];
    codes.forEach((code, k) => {
      if (code.classes.length) x.push(...code.classes.map((_, i) => Number(i === c[k])));
      else x.push(c[k]);
    });
    return Float64Array.from([...x, ...z]);
  }

  function read(pixels) {
    const h = trunk(Float64Array.from(pixels, value => value / 255 * (page.centered ? 2 : 1) - (page.centered ? 1 : 0)));
    return [...readCodes(ss(h), true), ...readCodes(us(h), false)];
  }

  function readCodes(q, supervised) {
    let at = 0;
    return codes.filter(code => code.supervised === supervised).map(code => {
      if (!code.classes.length) {
        const value = q[at];
        at += page.gaussian ? 2 : 1;
        return {value};
      }
      const logits = q.slice(at, at += code.classes.length + (supervised && page.none ? 1 : 0));
      const most = Math.max(...logits), index = logits.indexOf(most);
      return {value: index, confidence: 1 / logits.reduce((sum, one) => sum + Math.exp(one - most), 0)};
    });
  }

  // Draw one image of codes c, a number each, and noise: of a seed and an index, or given.
  return ({c, seed, index, z}) => {
    const made = generator(encode(c, z || drawNoise(seed, index, skipped, noise)));
    const pixels = Uint8ClampedArray.from(made, value => Math.round(255 * value));
    const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
    for (let i = 0; i < width * height; i++) {
      for (let k = 0; k < 3; k++) rgba[4 * i + k] = pixels[i * channels + (channels === 3 ? k : 0)];
    }
    return {pixels: rgba, readings: read(pixels)};
  };
}
