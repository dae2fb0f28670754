# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many real agents on this machine, each below a directory of its own, with a bus of its own and runtime-sim: sourced by the scenarios.
# Nothing binds anything but 127.0.0.1; what was started is ended by process id.
set -uo pipefail
BUILD=$(readlink -f "${1:?usage: SCENARIO BUILD-DIRECTORY}")
for need in dbus-daemon busctl openssl perl; do
  command -v $need > /dev/null || { echo "skipped: no $need here"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: needs root, whom agents ask no polkit about"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/swarm-agents.XXXXXX")
# Sixteen ports that no other scenario has, and nobody else listens on; the lock ends with the last of what is started here.
ports() {
  local n port
  for n in $(seq $(($$ % 750)) 749) $(seq 0 $(($$ % 750 - 1))); do
    exec {LOCK}> "/run/swarm-agents-ports.$n"
    BASE=$((20000 + n * 16))
    ! flock -n "$LOCK" || {
      for ((port = BASE; port < BASE + 16; port++)); do
        ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
      done
      [ $port -lt $((BASE + 16)) ] || return 0
    }
    exec {LOCK}>&-
  done
  echo "no sixteen ports are free"
  exit 1
}
BASE=${AGENTS_PORT:-}
[ -n "$BASE" ] || ports
# Limits are what is plenty on a machine that has nothing else to do; where much else runs it takes longer, and is right all the same.
PATIENCE=${AGENTS_PATIENCE:-3}
declare -A PID=() BUS_PID=() PORT=()
OUT="" FAILS=0 ENDING=""
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1:exitcode=99
export LSAN_OPTIONS=print_suppressions=0 LC_ALL=C.UTF-8
unset JOURNAL_STREAM NOTIFY_SOCKET

say() { echo "$(date +%T.%1N) $*"; }
fail() {
  FAILS=$((FAILS + 1))
  say "FAIL: $*"
  [ -n "$ENDING" ] || [ $FAILS -lt "${AGENTS_FAILURES:-1}" ] || exit 1 # what follows would only say the same again
}

# ---- agents ----

bus_start() { # NAME
  local dir=$T/$1
  mkdir -p "$dir/plugins" "$dir/etc/swarm-agent"
  find "$BUILD/plugins" -maxdepth 1 -name '*.so' -exec ln -sf {} "$dir/plugins/" \;
  printf '[Agent]\nIdleExitSec=0\nLogLevel=debug\n[Plugins]\nRuntime=sim\n' > "$dir/etc/swarm-agent/agent.conf"
  cat > "$dir/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=$dir/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>
END
  dbus-daemon --nofork --nopidfile --nosyslog --config-file="$dir/bus.conf" < /dev/null > "$dir/bus.log" 2>&1 &
  BUS_PID[$1]=$!
  wait_for 10 "the bus of $1" test -S "$dir/bus"
}

address() { echo "127.0.0.1:${PORT[$1]}"; }

# NAME [ARGUMENT…]: its port is kept over restarts
agent_start() {
  local name=$1
  shift
  [ -n "${PORT[$name]:-}" ] || PORT[$name]=$((BASE + ${#PORT[@]}))
  [ -n "${BUS_PID[$name]:-}" ] || bus_start "$name"
  "$BUILD/src/daemon/swarm-agent" --root "$T/$name" --bus "unix:path=$T/$name/bus" --plugin-dir "$T/$name/plugins" \
    --listen "$(address "$name")" "$@" < /dev/null >> "$T/$name/log" 2>&1 &
  PID[$name]=$!
  wait_for 20 "agent $name on its bus" on_bus "$name"
}

on_bus() { kill -0 "${PID[$1]}" && timeout 10 busctl --address="unix:path=$T/$1/bus" status org.swarmagent1 > /dev/null 2>&1; }
alive() { [ -n "${PID[$1]:-}" ] && kill -0 "${PID[$1]}" 2> /dev/null; }

# NAME [EXIT-CODE]: SIGTERM, and what it ends with
agent_stop() {
  local name=$1 wanted=${2:-0} code
  kill -TERM "${PID[$name]}" 2> /dev/null
  await_exit "$name" 30 || { fail "$name did not end after SIGTERM"; kill -KILL "${PID[$name]}"; }
  wait "${PID[$name]}"
  code=$?
  unset "PID[$name]"
  [ "$code" = "$wanted" ] || fail "$name ended with $code, not $wanted"
  [ "$code" != 0 ] || say "  $name stopped"
}

await_exit() { # NAME SECONDS
  local end=$((SECONDS + $2 * PATIENCE))
  while [ $SECONDS -le $end ]; do
    [ "$(ps -o stat= -p "${PID[$1]}" 2> /dev/null | cut -c1)" != Z ] && kill -0 "${PID[$1]}" 2> /dev/null || return 0
    sleep 0.05
  done
  return 1
}

agent_kill() { # NAME
  kill -KILL "${PID[$1]}"
  wait "${PID[$1]}" 2> /dev/null
  unset "PID[$1]"
  say "  $1 killed"
}

# ---- calls ----

ctl() { # NAME ARGUMENT…
  local name=$1
  shift
  DBUS_SYSTEM_BUS_ADDRESS=unix:path=$T/$name/bus timeout $((60 * PATIENCE)) "$BUILD/src/ctl/swarmctl" "$@" < /dev/null
}

bus() { # NAME busctl's ARGUMENTS…
  local name=$1
  shift
  timeout $((30 * PATIENCE)) busctl --address="unix:path=$T/$name/bus" "$@" < /dev/null
}

# EXIT-CODE PATTERN (extended regular expression; empty: any) COMMAND…: the answer is in OUT
expect() {
  local wanted=$1 pattern=$2 code
  shift 2
  say "$*"
  OUT=$("$@" 2>&1)
  code=$?
  [ "$code" = "$wanted" ] || fail "'$*' ended with $code, not $wanted: $OUT"
  [ -z "$pattern" ] || grep -qE -- "$pattern" <<< "$OUT" || fail "'$*' did not say '$pattern' but: $OUT"
}

# SECONDS WHAT COMMAND…: until it succeeds
wait_for() {
  local limit=$(($1 * PATIENCE)) what=$2 end=$((SECONDS + $1 * PATIENCE))
  shift 2
  until "$@" > /dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      fail "waited $limit s for $what: $("$@" 2>&1 | tail -5)"
      return 1
    fi
    sleep 0.1
  done
}

# (Not "COMMAND | grep -q": that one leaves early, what still writes to it dies of SIGPIPE, and pipefail reports it.)
says() { # PATTERN COMMAND…
  local pattern=$1 out
  shift
  out=$("$@" 2>&1) || { echo "$out"; return 1; }
  echo "$out"
  grep -qE -- "$pattern" <<< "$out"
}

token() { ctl "$1" join-token -q "$2"; }                         # MANAGER worker|manager
node_id() { ctl "$1" info | sed -n 's/^ *NodeID: //p'; }
running() { ctl "$1" service ls | awk -v n="$2" '$2 == n { print $4 }'; }
has_running() { [ "$(running "$1" "$2")" = "$3" ]; }              # MANAGER SERVICE 3/3
init() { expect 0 'Swarm initialized' ctl "$1" init --advertise-addr "$(address "$1")" --listen-addr "$(address "$1")"; }
join_as() { # NAME MANAGER ROLE
  expect 0 "joined a swarm as a $3" ctl "$1" join --token "$(token "$2" "$3")" --advertise-addr "$(address "$1")" \
    --listen-addr "$(address "$1")" "$(address "$2")"
}

# ---- questions ----

ready() { [ "$(ctl "$1" node ls | grep -c ' Ready ')" = "$2" ]; }
managers() { [ "$(ctl "$1" node ls | grep -cE 'Leader|Reachable')" = "$2" ]; }
is_worker() { says 'Is Manager: false' ctl "$1" info; }
few_descriptors() { [ "$(find "/proc/${PID[$1]}/fd" | wc -l)" -lt 60 ]; }
nothing_on() { [ "$(ctl "$1" node ps --filter desired-state=running -q "$2" | wc -l)" = 0 ]; } # MANAGER NODE
no_tasks() { # NAME…: each agent's own word
  local name
  for name in "$@"; do
    says '"LocalTasks": *0\b' ctl "$name" info --format json || return 1
  done
}

# ---- the end of each step ----

REPORTS='ERROR: (Address|Leak|Undefined)Sanitizer|runtime error:|GLib.*CRITICAL|GLib.*WARNING|Assertion|g_variant_|dbus\[[0-9]+\]'

# Every agent that should live does, and none has complained.
sound() {
  local name
  for name in "${!PID[@]}"; do
    alive "$name" || fail "$name is gone"
  done
  for name in "${!PORT[@]}"; do
    [ -e "$T/$name/reported" ] || ! grep -qE "$REPORTS" "$T/$name/log" || {
      fail "$name: $(grep -m1 -E "$REPORTS" "$T/$name/log")"
      grep -m1 -A25 -E "$REPORTS" "$T/$name/log"
      touch "$T/$name/reported"
    }
  done
}

step() {
  sound
  say "== $*"
}

finish() {
  local name
  ENDING=yes
  for name in "${!PID[@]}"; do
    alive "$name" && agent_stop "$name"
  done
  sound
  for name in "${!BUS_PID[@]}"; do
    kill "${BUS_PID[$name]}" 2> /dev/null
  done
  if [ $FAILS != 0 ]; then
    for name in "${!PORT[@]}"; do
      echo "---- log of $name (the end)"
      tail -n 40 "$T/$name/log"
    done
  fi
  [ -n "${AGENTS_KEEP:-}" ] && say "kept: $T" || rm -rf "$T"
  say "$FAILS failures"
  [ $FAILS = 0 ]
  exit
}
trap finish EXIT
trap 'exit 1' INT TERM
