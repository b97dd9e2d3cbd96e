// Random numbers that can be had again. Each iteration draws from dice of its own,
// thrown by SEED and its number in the scenario: so iteration n does the same thing
// in every run, whichever virtual user k6 gives it to.

import exec from 'k6/execution';

const seed = Number(__ENV.SEED || 1);

// iteration is the number of the iteration under way.
export const iteration = () => exec.scenario.iterationInTest;

// roll returns the dice of the iteration under way.
export function roll() {
  return dice(seed, iteration());
}

// dice draws from mulberry32, a generator of 32 bits: plenty for choosing pages.
export function dice(...numbers) {
  let state = numbers.reduce((h, n) => mix(h ^ n), 0x9e3779b9);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next, // in [0, 1)
    chance: (p) => next() < p,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
    weighted: (list) => { // items with a weight
      let left = next() * list.reduce((sum, { weight }) => sum + weight, 0);
      return list.find(({ weight }) => (left -= weight) < 0) || list[list.length - 1];
    },
  };
}

// mix spreads a number over all bits (the finalizer of MurmurHash3).
function mix(h) {
  let x = h | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

// zipf returns a function that draws a rank below n, the first ones most often: rank
// k with a probability in proportion to 1 / (k + 1)^s.
export function zipf(n, s) {
  const upTo = [];
  let sum = 0;
  for (let k = 1; k <= n; k++) upTo.push(sum += 1 / k ** s);
  return (d) => {
    const drawn = d.next() * sum;
    let low = 0;
    for (let high = n - 1; low < high;) {
      const middle = (low + high) >> 1;
      if (upTo[middle] > drawn) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
