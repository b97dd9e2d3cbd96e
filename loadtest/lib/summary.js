// What a run of checks says at its end: one line, instead of k6's list of every
// check. Those that failed have said so themselves, when they did.

export function handleSummary({ metrics, state }) {
  const value = (metric, key) => (metrics[metric] ? metrics[metric].values[key] : 0);
  const passes = value('checks', 'passes');
  const fails = value('checks', 'fails');
  const crossed = Object.entries(metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds).filter(([, { ok }]) => !ok).map(([wanted]) => `${name} ${wanted}`));
  const verdict = crossed.length === 0 ? 'PASSED' : `FAILED (${crossed.join(', ')})`;
  const seconds = (state.testRunDurationMs / 1000).toFixed(1);
  return {
    stdout: `${verdict}: ${passes} of ${passes + fails} checks held, in ${value('http_reqs', 'count')} requests and ${seconds} s\n`,
  };
}
