# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Clusters with networks that span hosts. Sourced after scenario.sh.

# They are on by default: the data plane's socket comes with the agent.
networks_on() { # HOST…
  local n
  for n; do expect '^active$' on "$n" systemctl is-active swarm-netd.socket; done
}
# The cluster knows that they have it.
networks_known() { # HOST…
  local n
  for n; do eventually 20 "$n says that it has overlay networks" knows_overlay "$n"; done
}
knows_overlay() { ctl n1 node inspect "$1" | jq -e '.[0].Description.Engine.Plugins | any (.Type == "Network" and .Name == "overlay")' > /dev/null; }
# What swarm-netd of a host says that it has.
netd_has() { on "$1" systemctl show -P StatusText swarm-netd.service | matches "$2"; }

create() { ctl n1 service create --quiet --detach --no-resolve-image "$@" > /dev/null; }
vip_of() { ctl n1 service inspect "$1" | jq -r '.[0].Endpoint.VirtualIPs[].Addr // empty | split ("/")[0]' | head -1; }
# The first process of a service's container on a host, whose network others can enter: `in_task HOST SERVICE CMD…`.
pid_of() { on "$1" podman inspect --format '{{.State.Pid}}' "$(container_of "$1" "$2")"; }
in_task() { # HOST SERVICE CMD…
  local host=$1 service=$2
  shift 2
  on "$host" nsenter --target "$(pid_of "$host" "$service")" --net "$@"
}
