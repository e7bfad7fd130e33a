#!/bin/sh
# ruff (rules and format), mypy and the whole suite with coverage, on a virtual screen of its own. $1: the folder of the virtual
# environment's programs; further arguments go to pytest.
set -eu
bin=$1
shift

"$bin/ruff" check .
"$bin/ruff" format --check --quiet .
"$bin/mypy"

scratch=$(mktemp -d)
xvfb=""
finish() {
    [ -z "$xvfb" ] || kill "$xvfb" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The suite must never read or write what belongs to the person who runs it.
export HVCONSOLE_HOME="$scratch/home" XDG_CONFIG_HOME="$scratch/config" XDG_DATA_HOME="$scratch/data"
export COVERAGE_FILE="$scratch/coverage"
unset WAYLAND_DISPLAY HVCONSOLE_PASSWORD || true

if command -v Xvfb >/dev/null 2>&1; then
    Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp 3>"$scratch/display" >/dev/null 2>&1 &
    xvfb=$!
    tries=0
    while [ ! -s "$scratch/display" ] && [ "$tries" -lt 150 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    if [ ! -s "$scratch/display" ]; then
        echo "The virtual screen (Xvfb) did not start." >&2
        exit 1
    fi
    DISPLAY=":$(cat "$scratch/display")"
    export DISPLAY
fi

# VMware's simulator is built once, before the clock of the first test that needs it runs.
"$bin/python" -m tests.peers.building </dev/null

# Two halves side by side, one per core: whatever needs the screen is in the first, whatever needs network namespaces
# in the second.
part() {
    name=$1
    shift
    COVERAGE_FILE="$scratch/$name.coverage" HVCONSOLE_HOME="$scratch/home-$name" \
        "$bin/python" -m pytest --cov --cov-report= "$@" </dev/null
}

if [ $# -gt 0 ]; then
    part only "$@"
    exit
fi

part first tests/ui tests/contract tests/lab >"$scratch/first.log" 2>&1 &
first=$!
second_failed=0
part second --ignore=tests/ui --ignore=tests/contract --ignore=tests/lab || second_failed=$?
first_failed=0
wait "$first" || first_failed=$?
cat "$scratch/first.log"
if [ "$first_failed" != 0 ] || [ "$second_failed" != 0 ]; then
    echo "Failed: the first half ended with $first_failed, the second with $second_failed." >&2
    exit 1
fi

"$bin/coverage" combine "$scratch"/*.coverage
"$bin/coverage" report --skip-covered
# The judgement and the vocabulary are covered completely; the rest is judged by reading the report above.
"$bin/coverage" report --fail-under=100 --precision=1 --include="$(tr '\n' ',' <scripts/covered-completely.txt)"
