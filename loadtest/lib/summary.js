// What a run says at its end: a line for each thing that matters, instead of k6's
// list of every check. Those that failed have said so themselves, when they did.
// SUMMARY names a file that gets all of it as JSON.

export function handleSummary(data) {
  const { metrics, state } = data;
  if (!metrics.iterations) return { stdout: 'STOPPED before the first iteration, for the reason given below\n' };
  const value = (metric, key) => (metrics[metric] ? metrics[metric].values[key] : 0);
  const passes = value('checks', 'passes');
  const fails = value('checks', 'fails');
  const crossed = Object.entries(metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds).filter(([, { ok }]) => !ok).map(([wanted]) => `${name} ${wanted}`));
  const verdict = crossed.length === 0 ? 'PASSED' : `FAILED (${crossed.join(', ')})`;
  const seconds = (state.testRunDurationMs / 1000).toFixed(1);
  const lines = [
    `${verdict}: ${passes} of ${passes + fails} checks held, in ${value('http_reqs', 'count')} requests and ${seconds} s`,
    ...routes(metrics).sort(),
    ...own(metrics).sort(),
  ];
  const written = { stdout: `${lines.join('\n')}\n` };
  if (__ENV.SUMMARY) written[__ENV.SUMMARY] = JSON.stringify(data, null, 2);
  return written;
}

// routes has a line for each route, and each phase of the run, that thresholds name.
function routes(metrics) {
  return Object.entries(metrics).flatMap(([name, { values }]) => {
    const [, tag, what] = /^http_req_duration{(name|phase):(.*)}$/.exec(name) || [];
    if (!tag) return [];
    const of = tag === 'phase' ? `phase ${what}:` : `${what}: ${metrics[`http_reqs{name:${what}}`].values.count} requests,`;
    return [`  ${of} median ${ms(values.med)}, p99 ${ms(values['p(99)'])}`];
  });
}

// own has a line for each metric of lib/metrics.js, and one for what was not sent.
function own(metrics) {
  return Object.entries(metrics).flatMap(([name, { type, contains, values }]) => {
    if (name === 'dropped_iterations' && values.count > 0) return [`  ${name}: ${values.count}`];
    if (!/^feed_\w+$/.test(name)) return [];
    if (type === 'rate') return [`  ${name}: ${(100 * values.rate).toFixed(1)} % of ${values.passes + values.fails}`];
    const show = contains === 'time' ? ms : (n) => Number(n.toPrecision(4));
    return [`  ${name}: median ${show(values.med)}, p99 ${show(values['p(99)'])}, most ${show(values.max)}`];
  });
}

const ms = (n) => `${n.toFixed(1)} ms`;
