#!/bin/bash
# Makes the pictures of the documentation, and changes nothing else:
#
#   docs/images/make.sh report    report.png, from the run that is stored in report/testdata; needs Chromium
#   docs/images/make.sh live      live.txt and summary.txt, from a terminal in which the first lab is run; needs tmux, root and a minute
#
# Without an argument it makes both. Look at them before you commit them.
set -euo pipefail

images=$(cd "$(dirname "$0")" && pwd)
cd "$images/../.."
work=$(mktemp -d)
tmux() { command tmux -S "$work/tmux" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

report() {
  go test -count=1 ./report -run '^TestBrowserShowsTheIncident$' -shots "$work"
  go run docs/images/crop.go "$work/light.png" "$images/report.png" 1140 # down to the chart's legend
}

# screen prints what the terminal shows, without the empty lines at its end.
screen() { tmux capture-pane -p | sed -e 's/ *$//' -e :a -e '/^\n*$/{$d;N;ba' -e '}'; }

# await waits until the terminal shows a line that matches.
await() {
  local end=$((SECONDS + 600))
  until tmux capture-pane -p | grep -q -- "$1"; do
    [ $SECONDS -lt $end ] || { echo "the terminal never showed $1:" >&2; screen >&2; exit 1; }
    read -r -t 0.2 <> <(:) || true
  done
}

live() {
  [ -x bin/saigen ] || make build
  tmux new-session -d -x 120 -y 48 -e "XDG_STATE_HOME=$work/state" -e LC_ALL=C.UTF-8 "PS1='\$ ' exec bash --norc --noprofile"
  await '^\$'
  tmux send-keys 'bin/saigen run labs/stale-dns debian:bookworm trigger:port_taken' Enter
  await '^fault    fault .*waiting for slow_pages\|^evidence '
  screen >"$work/live.txt"
  await '^evidence '
  await '^\$ *$'
  screen | sed "s|$work/state|~/.local/state|" >"$work/summary.txt" # the folder that a run has without XDG_STATE_HOME
  if ! grep -q ' reproduced, as expected' "$work/summary.txt" || grep -q '^evidence ' "$work/live.txt"; then
    trap 'tmux kill-server 2>/dev/null || true' EXIT
    echo "this run is not what the pictures show; they stay as they were, and its evidence is in $work/state:" >&2
    cat "$work/summary.txt" >&2
    exit 1
  fi
  cp "$work/live.txt" "$work/summary.txt" "$images/"
}

case "${1:-all}" in
report) report ;;
live) live ;;
all) report && live ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
