#!/bin/sh
# Makes a private Debian root with Asterisk 22 in it, for the lab: nothing is installed into the
# machine but debootstrap. About 500 MB and a minute or two. Needs root.
#
#   lab/asterisk-root.sh [DIR]      default: SIDECALL_ASTERISK_ROOT or ~/.cache/sidecall/asterisk-22
#
# Does nothing if DIR is there. It is made next to DIR and renamed at the end, so that a root that
# exists is a root that is complete.
set -eu

dir=${1:-${SIDECALL_ASTERISK_ROOT:-$HOME/.cache/sidecall/asterisk-22}}
# Debian stable has no asterisk; testing has 22 LTS.
suite=forky

say() { printf 'asterisk-root: %s\n' "$*" >&2; }

# Asterisk looks up its own name and a root server for every call and blocks for seconds if it can't.
hosts() {
  printf '%s\n' "127.0.0.1 localhost $(hostname)" "::1 localhost" \
    "127.0.0.1 A.ROOT-SERVERS.NET a.root-servers.net" >"$1/etc/hosts"
}

if [ -x "$dir/usr/sbin/asterisk" ]; then
  hosts "$dir" # the machine may have a new name
  say "$dir is there"
  exit 0
fi
[ "$(id -u)" = 0 ] || { say "needs root (debootstrap makes device nodes and uses chroot)"; exit 1; }

if ! command -v debootstrap >/dev/null; then
  say "installing debootstrap"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null
fi

mkdir -p "$(dirname "$dir")"
tmp=$(mktemp -d "$dir.XXXXXX")
log=$dir.log
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
chmod 755 "$tmp"

# The mirror that this machine uses already, else debootstrap's default.
mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\/debian\/\{0,1\}\) .*/\2/p' /etc/apt/sources.list \
  /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
[ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: *\([^ ]*\/debian\/\{0,1\}\).*/\1/p' \
  /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)

say "building in $tmp (log: $log)"
# An older debootstrap doesn't know the suite by name: every Debian suite is built as sid is.
debootstrap --variant=minbase --include=asterisk "$suite" "$tmp" "$mirror" \
  /usr/share/debootstrap/scripts/sid >"$log" 2>&1 || { tail -n 5 "$log" >&2; say "debootstrap failed"; exit 1; }

hosts "$tmp"
rm -rf "$tmp"/var/cache/apt/archives/*.deb "$tmp"/var/lib/apt/lists/*
[ -x "$tmp/usr/sbin/asterisk" ] || { say "no asterisk in the new root"; exit 1; }
# Somebody else may have been faster.
[ -x "$dir/usr/sbin/asterisk" ] || { rm -rf "$dir"; mv "$tmp" "$dir"; }
rm -f "$log"
say "$(chroot "$dir" /usr/sbin/asterisk -V) in $dir"
