# Addresses of trunks, as they are written after --trunk: 192.0.2.10:5060, [2001:db8::10]:5060, sip.example:5060.
# shellcheck shell=bash

is_ipv4() {
  local octet octets
  [[ $1 =~ ^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$ ]] || return 1
  IFS=. read -ra octets <<<"$1"
  for octet in "${octets[@]}"; do ((octet <= 255)) || return 1; done
}

# Without a zone and without an IPv4 address at its end.
is_ipv6() {
  local groups=${1//[!:]/}
  [[ $1 =~ ^([0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}$ ]] || return 1
  case $1 in
    *:::* | *::*::*) return 1 ;;
    :[!:]* | *[!:]:) return 1 ;;
    *::*) [ ${#groups} -le 7 ] ;;
    *) [ ${#groups} = 7 ] ;;
  esac
}

# A name whose last label isn't a number: that would be an address written wrong.
is_host_name() {
  local label='[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
  [[ ${#1} -le 253 && $1 =~ ^($label\.)*$label$ && ! $1 =~ (^|\.)[0-9]+$ ]]
}

# trunk_address TEXT: the address as it is remembered. Only a name stays without a port: the DNS may have one for it.
trunk_address() {
  local host port
  if [[ $1 =~ ^(\[[^]]*\]|[^]:[]+)(:([0-9]{1,5}))?$ ]]; then
    host=${BASH_REMATCH[1]} port=${BASH_REMATCH[3]}
  else
    return 1
  fi
  if [ -n "$port" ] && ((10#$port < 1 || 10#$port > 65535)); then return 1; fi
  case $host in
    '['*) is_ipv6 "${host:1:-1}" && port=${port:-5060} ;;
    *) { is_ipv4 "$host" && port=${port:-5060}; } || is_host_name "$host" ;;
  esac || return 1
  printf '%s' "$host${port:+:$port}"
}

# trunk_host ADDRESS: without port and brackets.
trunk_host() {
  local host=$1
  case $host in
    '['*) host=${host#'['} && host=${host%%']'*} ;;
    *) host=${host%:*} ;;
  esac
  printf '%s' "$host"
}

# host_addresses HOST: its addresses, one a line.
host_addresses() {
  if is_ipv4 "$1" || is_ipv6 "$1"; then printf '%s\n' "$1"; else
    getent ahosts "$1" | awk '{ print $1 }' | sort -u
  fi
}
