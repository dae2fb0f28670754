# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The lab's network: a namespace with a bridge, one cable to each host, and the rules that cut them.

make_switch() {
  [ ! -e "/run/netns/$SW" ] || return 0
  ip netns add "$SW"
  ip -n "$SW" link set lo up
  # an address of its own: else it takes a port's, and hosts lose the switch for half a minute when that port goes
  ip -n "$SW" link add name br address 02:00:0a:63:00:fa type bridge
  ip -n "$SW" addr add "$REGISTRY/24" dev br
  ip -n "$SW" link set dev br up
  # Cuts: pairs of cables between which nothing passes, and cables without the switch itself (registry, `lab net`).
  nsenter --net="/run/netns/$SW" nft -f - << 'END'
table bridge lab {
  set pairs { type ifname . ifname; }
  chain forward { type filter hook forward priority 0; iifname . oifname @pairs drop; }
  set alone { type ifname; }
  chain input { type filter hook input priority 0; iifname @alone drop; }
  chain output { type filter hook output priority 0; oifname @alone drop; }
}
END
}

plug() { # HOST: a fresh namespace, the same hardware address at each boot, with eth0 already configured when systemd starts
  local ns=$PFX-$1
  unplug "$1"
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip -n "$SW" link add name "$1" type veth peer name eth0 address "$(printf 02:00:0a:63:00:%02x "${1#n}")" netns "$ns"
  ip -n "$SW" link set dev "$1" master br up
  ip -n "$ns" addr add "$(host_address "$1")/24" dev eth0
  ip -n "$ns" link set eth0 up
}

pull_cable() { ip -n "$SW" link set dev "$1" down 2> /dev/null || true; }

unplug() {
  ip -n "$SW" link del dev "$1" 2> /dev/null || true
  ip netns del "$PFX-$1" 2> /dev/null || true
}

cut_element() { nsenter --net="/run/netns/$SW" nft add element bridge lab "$1" "{ $2 }"; }

# `lab cut HOST… [--to HOST…]`
cut_hosts() {
  local from=() to=() side=from a b
  for a; do
    if [ "$a" = --to ]; then
      side=to
    else
      check_host_name "$a"
      if [ $side = from ]; then from+=("$a"); else to+=("$a"); fi
    fi
  done
  [ ${#from[@]} -gt 0 ] || die "cut which hosts?"
  if [ $side = to ]; then
    [ ${#to[@]} -gt 0 ] || die "--to which hosts?"
    for a in "${from[@]}"; do for b in "${to[@]}"; do cut_element pairs "$a . $b"; done; done
    say "nothing passes from ${from[*]} to ${to[*]}"
    return
  fi
  for a in "${from[@]}"; do
    cut_element alone "$a"
    for b in $(known_hosts_of_lab); do
      [[ " ${from[*]} " != *" $b "* ]] || continue
      cut_element pairs "$a . $b, $b . $a"
    done
  done
  say "${from[*]} cut off from the rest"
}

heal() {
  nsenter --net="/run/netns/$SW" nft 'flush set bridge lab pairs; flush set bridge lab alone'
  say "all cables whole"
}
