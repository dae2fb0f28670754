# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Clusters with networks that span hosts. Sourced after scenario.sh.

# The plugin and swarm-netd's socket on each host, before it is in a cluster.
networks_on() { # HOST…
  local n
  for n; do
    on "$n" sh -c 'mkdir -p /etc/swarm-agent/agent.conf.d && printf "[Plugins]\nNetwork=overlay\n" > /etc/swarm-agent/agent.conf.d/network.conf && systemctl enable --quiet --now swarm-netd.socket && sync && systemctl restart swarm-agent.service'
  done
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
