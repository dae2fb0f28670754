# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the demo and the lab scenarios share: commands on hosts, bounded waits, checks that say what they saw.
# Sourced with set -eu; LAB names the lab.

TESTS=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..
TESTS=$(readlink -f "$TESTS")
export LAB_QUIET=${LAB_QUIET-1}

lab() { "$TESTS/lab/lab" "$@"; }

# Limits are what is plenty on a machine that has nothing else to do; where much else runs it takes longer, and is right all the same.
PATIENCE=${LAB_PATIENCE:-3}

# A command on a host, never longer than a minute (LIMIT=seconds: another limit, taken as it is). Its input is empty unless STDIN=1.
on() { # HOST CMD…
  local limit=${LIMIT:-$((60 * PATIENCE))}
  if [ -n "${STDIN:-}" ]; then timeout "$limit" "$TESTS/lab/lab" exec "$@"; else timeout "$limit" "$TESTS/lab/lab" exec "$@" < /dev/null; fi
}
ctl() { local h=$1; shift; on "$h" swarmctl "$@"; }

elapsed() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'; }

# eventually SECONDS WHAT CMD…: until CMD succeeds. What takes more than a second is said.
eventually() {
  local limit=$(($1 * PATIENCE)) what=$2 start=$EPOCHREALTIME begin=$SECONDS told="" WAITING=1
  shift 2
  until "$@" > /dev/null 2>&1; do
    if [ $((SECONDS - begin)) -gt "$limit" ]; then
      echo "gave up after $limit s waiting for: $what" >&2
      "$@" >&2 || true
      return 1
    fi
    if [ -z "$told" ] && [ $((SECONDS - begin)) -ge 1 ]; then
      told=1
      echo "   … waiting for: $what"
    fi
    sleep 0.1
  done
  [ -z "$told" ] || echo "   … $what: after $(elapsed "$start") s"
}

# patiently CMD…: for looks at what follows by itself a moment after what made it so (a line in the journal, what another manager shows): outside of
# `eventually`, which waits anyway, until CMD succeeds.
patiently() {
  if [ -n "${WAITING:-}" ]; then "$@"; else eventually 10 "$*" "$@"; fi
}

# Does the output of CMD match an extended regular expression? Says what it saw when it does not.
expect() { # PATTERN CMD…
  local pattern=$1 out
  shift
  out=$("$@" 2>&1) || { echo "expected success of: $*; it said:"; echo "$out"; return 1; } >&2
  grep -qE -- "$pattern" <<< "$out" || { echo "expected /$pattern/ from: $*; it said:"; echo "$out"; return 1; } >&2
}

# CMD must be refused: exit code 1 (or CODE=…) and a text that matches.
refused() { # PATTERN CMD…
  local pattern=$1 out code=0
  shift
  out=$("$@" 2>&1) || code=$?
  [ $code = "${CODE:-1}" ] || { echo "expected exit code ${CODE:-1} of: $*; it was $code and said:"; echo "$out"; return 1; } >&2
  grep -qE -- "$pattern" <<< "$out" || { echo "expected to be refused with /$pattern/: $*; it said:"; echo "$out"; return 1; } >&2
}

# For the end of a pipe: reads all of it. (grep -q leaves early; what writes to it then dies of SIGPIPE, which pipefail reports.)
matches() { # PATTERN
  local found
  found=$(grep -E -- "$1") && [ -n "$found" ]
}

equal() { # WHAT EXPECTED SEEN
  [ "$2" = "$3" ] || { echo "$1: expected \"$2\", saw \"$3\""; return 1; } >&2
}

# ---- looking at a cluster ----

# swarmctl on a host. An answer that it marks as old (no leader was known) is none yet: exit code 75, for use with `eventually`.
current() { # HOST ARGS…
  local out err code=0
  err=$(mktemp)
  out=$(ctl "$@" 2> "$err") || code=$?
  ! grep -q '^WARNING: The swarm does not have a leader' "$err" || code=75
  cat "$err" >&2
  rm -f "$err"
  [ $code != 0 ] || [ -z "$out" ] || printf '%s\n' "$out"
  return $code
}
# The same for a look that is not repeated: it waits until the answer is no old one.
fresh() { # HOST ARGS…
  local begin=$SECONDS code=75
  while [ $code = 75 ] && [ $((SECONDS - begin)) -le 30 ]; do
    code=0
    current "$@" || code=$?
    [ $code != 75 ] || sleep 0.2
  done
  return $code
}

# A manager knows the leader, and by it is one of the managers.
serves() { patiently serves_now "$@"; }
serves_now() { # HOST
  current "$1" node ls | matches " $1 .* (Leader|Reachable) "
}

node_is() { patiently node_is_now "$@"; }
node_is_now() { # HOST-NAME STATUS [AVAILABILITY]: as `node ls` on n1 (or VIEW=host) shows it
  current "${VIEW:-n1}" node ls | sed 's/ \* / /' | awk -v n="$1" -v s="$2" -v a="${3:-}" '$2 == n && $3 == s && (a == "" || $4 == a) { ok = 1 } END { exit !ok }'
}

replicas_are() { patiently replicas_are_now "$@"; }
replicas_are_now() { # SERVICE R/D
  current "${VIEW:-n1}" service ls | awk -v n="$1" -v r="$2" '$2 == n { for (i = 3; i <= NF; i++) if ($i == r) ok = 1 } END { exit !ok }'
}

# The state lines of a service's tasks: NAME|NODE|DESIRED STATE|CURRENT STATE|ERROR
tasks_of() {
  on "${VIEW:-n1}" sh -c 'swarmctl service ps --no-trunc --format json "$1" | jq -r "[.Name, .Node, .DesiredState, .CurrentState, .Error] | join(\"|\")"' sh "$1"
}

# One member of an object: of_node ID n2, of_node Spec.Role n2, of_info Cluster.ID
of_node() { fresh "${VIEW:-n1}" node inspect "$2" | jq -r ".[0].$1"; }
of_info() { on "${VIEW:-n1}" sh -c 'swarmctl info --format json | jq -r ".$1"' sh "$1"; }
service_names() { fresh "${VIEW:-n1}" service ls --format json | jq -r .Name; }

task_units() { on "$1" systemctl list-units --all --plain --no-legend 'swarm-task-*' | awk '{ print $1 }'; }

# The ids of the running containers of a host
containers() { on "$1" podman ps --quiet --no-trunc; }

container_of() { # HOST SERVICE: the id of its (one) running container
  on "$1" podman ps --no-trunc --format '{{.ID}}' --filter "label=com.docker.swarm.service.name=$2" | head -1
}

nothing_left() { # HOST: no unit of a task, a pull or a clean-up, no container, no task's file
  [ -z "$(on "$1" systemctl list-units --all --plain --no-legend 'swarm-task-*' 'swarm-prepare-*' 'swarm-pull-*' 'swarm-remove*' 'swarm-stop-*')" ] && [ -z "$(on "$1" podman ps -aq)" ] &&
    [ -z "$(on "$1" sh -c 'ls /run/swarm-agent/task 2> /dev/null | grep -xE "[0-9a-z]{25}"; ls /run/systemd/transient 2> /dev/null | grep -E "^swarm-(task|pull|remove|stop)-"')" ]
}

# n1 becomes a manager, the others join as workers; all are Ready.
make_cluster() { # HOST-COUNT
  local token i
  ctl n1 init --advertise-addr 10.99.0.1 > /dev/null
  token=$(ctl n1 join-token -q worker)
  for i in $(seq 2 "$1"); do
    STDIN=1 ctl "n$i" join --token-file - 10.99.0.1:2377 <<< "$token" > /dev/null
  done
  for i in $(seq 1 "$1"); do eventually 15 "n$i Ready" node_is "n$i" Ready; done
}

# ---- other people on a host ----

add_user() { # HOST USER [GROUPS]
  on "$1" useradd --create-home --shell /bin/bash ${3:+--groups "$3"} "$2"
}

# A command as another user, outside of any session (as cron or ssh without pam_systemd would)
as() { # USER HOST CMD…
  local user=$1 host=$2
  shift 2
  on "$host" setpriv --reuid="$user" --regid="$user" --init-groups env HOME="/home/$user" "$@"
}

# Put a file of this machine on a host.
put() { # FILE HOST PATH
  STDIN=1 on "$2" sh -c 'cat > "$1"' sh "$3" < "$1"
}

agent_pid() { on "$1" systemctl show -P MainPID swarm-agent.service; }
agent_is() { patiently agent_is_now "$@"; }
agent_is_now() { [ "$(on "$1" systemctl show -P ActiveState swarm-agent.service)" = "$2" ]; }
agent_alive() { [ "$(agent_pid "$1")" = "$2" ]; }

# Lines of the agent's journal since a mark (of `mark HOST`) match a pattern.
# (A time, for --after-cursor together with -u skips the first line.)
mark() { date +@%s.%6N; }
logged() { patiently logged_now "$@"; }
logged_now() { # HOST MARK PATTERN
  on "$1" journalctl -q --no-pager -o cat --since "$2" -u swarm-agent.service | matches "$3"
}
