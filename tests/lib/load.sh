# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Writes on several managers at once while something happens to them (tests/lab/helpers/load), and what became of them. Sourced after scenario.sh.

LOAD=$(mktemp -d)
LOAD_HOSTS=()
trap 'load_stop; rm -rf "$LOAD"' EXIT

# The lines of each host are in $LOAD/HOST. A host that loses its power ends its part.
load_start() { # SERVICE HOST…: "" or a service whose update the second host forces
  local service=$1 h n=0
  shift
  for h; do
    n=$((n + 1))
    on "$h" rm -f /run/load-stop
    put "$TESTS/lab/helpers/load" "$h" /run/load
    LIMIT=${LOAD_LIMIT:-3000} on "$h" bash /run/load "s$h" $([ $n != 2 ] || echo "$service") >> "$LOAD/$h" &
    LOAD_HOSTS+=("$h")
  done
}

load_stop() {
  local h
  for h in "${LOAD_HOSTS[@]}"; do on "$h" touch /run/load-stop || true; done
  LOAD_HOSTS=()
  wait
}

load_count() { cat "$LOAD"/n* | grep -c "^$1 " || true; } # done|unknown|…
load_names() { awk -v what="$1" '$1 == what && $2 ~ /^sn[0-9]+-/ { print $2 }' "$LOAD"/n* | sort; }
load_summary() { awk '{ n[$1]++ } END { for (k in n) printf "%s %d  ", k, n[k] }' "$LOAD"/n*; }
# The milliseconds from a moment to the end of the first write that began after it and was acknowledged.
load_gap() { awk -v at="$1" '$1 == "done" && $3 >= at && (!end || $4 < end) { end = $4 } END { if (end) printf "%.0f\n", (end - at) * 1000 }' "$LOAD"/n*; }

# No acknowledged write is lost, none is doubled, what was refused was not done; nothing else was said.
load_check() { # HOST…: seen by each of them
  local h
  if grep -h '^wrong ' "$LOAD"/n*; then return 1; fi
  for h; do
    VIEW=$h service_names | grep '^sn' | sort > "$LOAD/there" || true
    equal "acknowledged but not there, seen by $h" "" "$(load_names 'done' | comm -23 - "$LOAD/there")"
    equal "there twice, seen by $h" "" "$(uniq -d "$LOAD/there")"
    equal "refused but there, seen by $h" "" "$(load_names refused | comm -12 - "$LOAD/there")"
  done
}
