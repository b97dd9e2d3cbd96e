// Readings of a /metrics page (Prometheus's text format).

// gauge returns the value of a metric without labels.
export function gauge(text, name) {
  return value(text, name);
}

// loadsOf returns how many loads the service has made under a key, such as
// "feed.page/1". One that has not been loaded yet is not on the page.
export function loadsOf(text, key) {
  return value(text, `communityfeed_cache_loads_total{key="${key}"}`) || 0;
}

function value(text, series) {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line && Number(line.slice(series.length + 1));
}
