#!/bin/sh
# What `make loadtest` runs: one scenario, with k6's own report and a summary as JSON in
# a folder of its own. SCENARIO, BASE_URL, OTHER_URL and K6 come from the Makefile, or
# from docker-compose.yml; RATE, DURATION, SEED, STRICT and the like reach the scenario as
# they are.
set -eu
cd "$(dirname "$0")"

# list names each scenario with the first sentence of its comment.
list() {
	for script in *.js; do
		awk -v name="${script%.js}" '
			!/^\/\/ / { exit }
			{ text = text " " substr($0, 4) }
			match(text, /[.:]( |$)/) { text = substr(text, 1, RSTART - 1); exit }
			END { printf "  %-12s%s\n", name, text }' "$script"
	done
}

if [ -z "$SCENARIO" ]; then
	echo 'make loadtest SCENARIO=NAME runs one of these; docs/loadtest.md says more:'
	list
	exit
fi
case $SCENARIO in */* | .*) script= ;; *) script=$SCENARIO.js ;; esac
if [ ! -f "$script" ]; then
	echo "There is no scenario \"$SCENARIO\". There are:" >&2
	list >&2
	exit 2
fi

reports=reports/$(date +%Y%m%d-%H%M%S)-$SCENARIO
mkdir -p "$reports"
export BASE_URL OTHER_URL SUMMARY="$reports/summary.json"
export K6_WEB_DASHBOARD=true K6_WEB_DASHBOARD_PORT=-1 K6_WEB_DASHBOARD_PERIOD="${K6_WEB_DASHBOARD_PERIOD:-1s}"
export K6_WEB_DASHBOARD_EXPORT="$reports/report.html" # k6 draws it if the run lasts more than three periods
status=0
$K6 run --quiet "$script" || status=$?
echo "  reports: loadtest/$reports"
exit $status
