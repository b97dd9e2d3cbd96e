// Readings of a /metrics page (Prometheus's text format).

// gauge returns the value of a metric without labels.
export function gauge(text, name) {
  return value(text, name);
}

// loadsOf returns how many loads the service has made under a name of keys, such as
// "feed.page", in all its versions. One that has not been loaded yet is not on the page.
export function loadsOf(text, name) {
  const begins = `communityfeed_cache_loads_total{key="${name}/`;
  return text.split('\n').filter((line) => line.startsWith(begins))
    .reduce((sum, line) => sum + Number(line.slice(line.indexOf('} ') + 2)), 0);
}

function value(text, series) {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line && Number(line.slice(series.length + 1));
}
