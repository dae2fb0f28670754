# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Looks at connections, flows and names (tests/lab/helpers/probe.pl) while something happens, and what became of them. Sourced after networks.sh; HOSTS names the hosts.

PROBE="$TESTS/lab/helpers/probe.pl"
PROBES=$(mktemp -d)
trap 'stop_probes > /dev/null 2>&1; [ -z "${KEEP:-}" ] || cp -r "$PROBES" "$KEEP"; rm -rf "$PROBES"' EXIT
probing=()

start_probes() { local n; rm -f "$PROBES/over"; for n in $HOSTS; do on "$n" rm -f /tmp/over; done; }
outside() { # FILE HOW ARG…: from outside of the hosts
  local file=$1 how=$2
  shift 2
  timeout 300 "$TESTS/lab/lab" net perl "$PROBE" "$how" "$PROBES/over" "$@" > "$PROBES/$file" 2>&1 < /dev/null &
  probing+=($!)
}
inside() { # FILE HOW HOST PID ARG…: from the network of a process there
  local file=$1 how=$2 host=$3 pid=$4
  shift 4
  LIMIT=300 on "$host" nsenter --target "$pid" --net perl /tmp/probe.pl "$how" /tmp/over "$@" > "$PROBES/$file" 2>&1 &
  probing+=($!)
}
begun() { local p; for p; do [ -s "$PROBES/$p" ]; done; }
stop_probes() {
  local n pid
  touch "$PROBES/over"
  for n in $HOSTS; do on "$n" touch /tmp/over 2> /dev/null || true; done # (one may be off)
  for pid in "${probing[@]}"; do wait "$pid" || true; done
  probing=()
}

now() { date +%s.%3N; }
later() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a + b }'; }

# ---- of `new` ----
# Seconds from a moment to the last attempt that was lost (in a way that matches) and began after it; 0: none was.
lost_after() { awk -v t="$2" -v how="${3:-.}" '$2 == "lost" && $1 > t && $0 ~ how { d = $1 - t } END { printf "%.3f", d }' "$PROBES/$1"; } # FILE MOMENT [PATTERN]
lost_between() { awk -v a="$2" -v b="$3" '$2 == "lost" && $1 >= a && $1 < b { n++ } END { print n + 0 }' "$PROBES/$1"; }
done_between() { awk -v a="$2" -v b="$3" '$2 == "ok" && $1 >= a && $1 < b { n++ } END { print n + 0 }' "$PROBES/$1"; }

# ---- of `flow` ----
# The flows that went to a task at a moment; how long after a moment a flow had its first answer of another one.
flows_to() { awk -v t="$2" -v task="$3" '$1 < t { last[$2] = $3 } END { for (i in last) if (last[i] == task) print i }' "$PROBES/$1"; } # FILE MOMENT TASK
other_after() { # FILE FLOW MOMENT TASK-THAT-WENT
  awk -v flow="$2" -v t="$3" -v gone="$4" '$2 == flow && $1 > t && $3 != gone { printf "%.3f", $1 - t; found = 1; exit } END { if (!found) print "never" }' "$PROBES/$1"
}

# ---- of `names` ----
# Seconds from a moment to the last answer to a name that was not as it ought to be.
wrong_after() { # FILE MOMENT NAME ANSWER
  awk -v t="$2" -v name="$3" -v right="$4" '$2 == name { n++; if ($1 > t && $3 !~ "^(" right ")$") d = $1 - t } END { if (n) printf "%.3f", d; else print "never asked" }' "$PROBES/$1"
}

# A time that is promised. It is a figure; what fails is what takes so much longer that it is another kind of thing (LAB_PATIENCE as with `eventually`).
within() { # WHAT LIMIT SEEN
  figure "$1: $3 s (to be: $2 s)"
  awk -v seen="$3" -v limit="$2" -v patience="$PATIENCE" 'BEGIN { exit !(seen ~ /^[0-9.]+$/ && seen <= limit * patience) }' || { echo "$1: $3 s is too long"; return 1; } >&2
}
