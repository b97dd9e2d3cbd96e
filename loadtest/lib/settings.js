// What the environment sets, and what follows from it: how a scenario arrives, and
// what must hold of it.

// number is a setting above 0.
export const number = (name, standard) => {
  const value = Number(__ENV[name] || standard);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0, not ${__ENV[name]}`);
  return value;
};

export const rate = (standard) => number('RATE', standard); // iterations a second
export const duration = (standard) => seconds(__ENV.DURATION || standard); // "20s", "30m" or "1h"
export const users = number('USERS', 1000); // those of the demo data read, from 1 on
export const within = number('WITHIN_MS', 2000); // ms for a write to show in another process

// STRICT=0 leaves out what a busy machine makes fail: how long requests take, and
// whether k6 has sent them in time. What is right and wrong is checked all the same.
export const strict = __ENV.STRICT !== '0';

function seconds(text) {
  const [, value, unit] = /^(\d+)(s|m|h)$/.exec(text) || [];
  if (!value) throw new Error(`DURATION must be like 20s, 30m or 1h, not ${text}`);
  return Number(value) * { s: 1, m: 60, h: 3600 }[unit];
}

// arrivals is a scenario in which iterations begin at a constant rate, whether those
// before have ended or not: a slow service is not asked less.
export function arrivals({ perSecond, lasts, ...others }) {
  return { executor: 'constant-arrival-rate', rate: perSecond, duration: `${lasts}s`, ...room, ...others };
}

// room is the virtual users that share a scenario's iterations.
export const room = { preAllocatedVUs: number('VUS', 100), maxVUs: number('MAX_VUS', 400) };

// bound is a threshold for durations: of the 99th percentile in ms, if there is one and
// it is strict; else one that always holds, so that the summary shows the metric.
export const bound = (p99) => [strict && p99 ? `p(99)<${p99}` : 'p(99)>=0'];

// unbounded is routes without their bounds.
export const unbounded = (routes) => Object.fromEntries(Object.keys(routes).map((name) => [name, 0]));

// plan makes the options of scenarios that must hold this: every check, of all and of
// each route; and, if strict, that each route answers in time and that at most 1 % of
// the iterations are dropped. Routes is the bounds of their 99th percentiles in ms, by
// name; 0 is none. What is right is not what is refused: one request in a hundred may be shed.
export function plan(scenarios, routes, iterations) {
  const thresholds = { checks: ['rate==1'], feed_shed: ['rate<0.01'] };
  for (const [name, p99] of Object.entries(routes)) {
    thresholds[`checks{name:${name}}`] = ['rate==1'];
    thresholds[`http_reqs{name:${name}}`] = ['count>0'];
    thresholds[`http_req_duration{name:${name}}`] = bound(p99);
  }
  if (strict) thresholds.dropped_iterations = [`count<=${Math.ceil(iterations / 100)}`];
  return { scenarios, thresholds, summaryTrendStats: ['med', 'p(99)', 'max'] };
}
