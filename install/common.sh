# Messages, questions and packages, for install.sh and tests/run. Everything said goes to standard
# error: standard output belongs to what a program prints.
# shellcheck shell=bash

# A message that can't be written (a closed terminal, a full disk) fails nothing.
say() { printf '%s\n' "$*" >&2 || true; }
step() { say $'\n'"== $*"; }
warn() { say "WARNING: $*"; }
die() {
  say "${0##*/}: $*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# ask QUESTION: yes or no, on the terminal. --yes says yes; without a terminal it is an error.
ask() {
  local answer
  if [ "${yes:-no}" = yes ]; then return 0; fi
  (: </dev/tty) 2>/dev/null || die "there is no terminal to ask on: look with --dry-run, then use --yes"
  printf '\n%s [y/N] ' "$1" >/dev/tty
  read -r answer </dev/tty
  case $answer in [yY] | [yY][eE][sS]) return 0 ;; *) return 1 ;; esac
}

# 48 hexadecimal digits.
random_secret() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# need_packages PACKAGE:COMMAND...: installs the Debian packages whose command is missing.
need_packages() {
  local pair missing=() sudo=()
  for pair in "$@"; do
    have "${pair#*:}" || missing+=("${pair%%:*}")
  done
  if [ ${#missing[@]} = 0 ]; then return 0; fi
  have apt-get || die "please install: ${missing[*]} (this machine has no apt-get)"
  if [ "$(id -u)" != 0 ]; then
    have sudo || die "please install as root: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
  "${apt[@]}" update >/dev/null || warn "apt-get update failed; trying with the lists that are here"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" 2>&1 |
    grep -E '^(Get:|Unpacking|Setting up|E:)' | sed 's/^/  /' >&2 || true
  for pair in "$@"; do
    have "${pair#*:}" || die "apt-get did not bring ${pair#*:} (package ${pair%%:*})"
  done
}

# Cargo, also where rustup puts it for a user whose PATH doesn't know (yet).
need_cargo() {
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  have cargo || die "cargo is missing: sidecall is built with Rust 1.88 or later (https://rustup.rs)"
  local version
  version=$(rustc --version | cut -d ' ' -f 2)
  if [ "$(printf '%s\n' 1.88.0 "${version%%-*}" | sort -V | head -n 1)" != 1.88.0 ]; then
    die "Rust $version is too old: 1.88 or later is needed (rustup update)"
  fi
}
