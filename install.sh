#!/usr/bin/env bash
# Installs sidecall into a PBX that is already there, or shows what it does (--demo).
set -euo pipefail
shopt -s lastpipe # `… | want FILE` remembers what it was given
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
invoked_from=$PWD
cd "$repo"
# shellcheck source=install/common.sh
. install/common.sh
# shellcheck source=install/trunks.sh
. install/trunks.sh

usage() {
  cat <<'END'
Installs sidecall into an existing FreeSWITCH or Asterisk. Every file that would be made or edited is
shown first; nothing happens before you agree. Run it again whenever you like: it changes only what
isn't as it should be.

  ./install.sh [--pbx freeswitch|asterisk] [options]     install
  ./install.sh --uninstall [--purge]                     take everything back
  ./install.sh --rollback                                go back to the version from before the last upgrade
  ./install.sh --demo [--pbx …] [--far …] [--behaviour B8] [--keep] [--json]
                                                         see it work, in private, on real PBXs;
                                                         --demo --help says more

  --pbx KIND         which PBX, if there are both
  --pbx-conf DIR     its configuration, if it isn't found
  --phones CONTEXT   a context that calls from phones come into; may be repeated   (FreeSWITCH: default)
  --trunks CONTEXT   a context that calls from trunks come into; may be repeated   (FreeSWITCH: public)
  --attendant CONTEXT  a context that only calls to main numbers come into; may be repeated
  --main NUMBERS     main numbers that share a context with others: +12125552000|2000
  --trunk [NAME=]HOST[:PORT]  also define a packet trunk (`sidecall`) to this call server; may be repeated.
                     HOST is an address, 192.0.2.10 or [2001:db8::10], or a name
  --existing-trunk NAME  a trunk that you have, one that registers for instance, is a packet trunk; may be repeated
  --behind TRUNK     a PBX behind this one, which gets the addresses that come; may be repeated
  --context DOMAIN   where extensions are valid: 1001;phone-context=DOMAIN
  --prefix DIR       where the program goes to (DIR/bin); default /usr/local
  --binary FILE      use this program instead of building one
  --dry-run          show everything, change nothing
  --yes              don't ask
  --uninstall        put back what was there; keep the database, and configuration that you edited
  --purge            with --uninstall: remove those as well
  --rollback         put back the program and the database from before the last upgrade, and restart it. Again, and it
                     goes one further back: the last three are kept

If a run fails, it undoes what it changed. If it is killed, the next run does, --uninstall included.

Environment: SIDECALL_ROOT=DIR installs into that folder as if it were /, starts nothing, asks no
running PBX. ASTERISK names the command that an Asterisk is asked with.
END
}

pbx='' conf='' phones='' trunks='' attendant='' main='' trunk='' asked_trunk='' behind='' context='' prefix='' binary='' pbx_address=''
dry=no yes=no uninstall=no purge=no rollback=no kept=no was_ready=no saved=''
root=${SIDECALL_ROOT:-}

# add_trunk OPTION ADDRESS: `trunk` is a list of NAME=ADDRESS, with blanks between them; NAME= is one that is there already.
add_trunk() {
  local name=sidecall address=$2 entry
  if [[ $address =~ ^([A-Za-z0-9_.-]+)=(.*)$ ]]; then name=${BASH_REMATCH[1]} address=${BASH_REMATCH[2]}; fi
  if [ "$1" = --existing-trunk ]; then
    [[ $2 =~ ^[A-Za-z0-9_.-]+$ ]] || die "$1 $2: a name has letters, digits, _ . -"
    name=$2 address=''
  else
    address=$(trunk_address "$address") ||
      die "$1 $2: an IPv4 address, an IPv6 address in brackets, or a host name, with :PORT if it isn't 5060, and NAME= in front if it isn't \`sidecall\`"
  fi
  for entry in $trunk; do
    if [ "${entry%%=*}" = "$name" ]; then die "$1 $2: there are two trunks \`$name\`"; fi
  done
  trunk+=${trunk:+ }$name=$address
}

# add_name LIST OPTION NAME: LIST is a variable with names and blanks between them.
add_name() {
  local -n list=$1
  [[ $3 =~ ^[A-Za-z0-9_.-]+$ ]] || die "$2 $3: a name has letters, digits, _ . -"
  case " $list " in *" $3 "*) die "$2 $3: it is named twice" ;; esac
  list+=${list:+ }$3
}

# joined SEPARATOR WORD...
joined() {
  local IFS=$1
  shift
  printf '%s' "$*"
}

value() { # what an option was given: $1 is the option, $2 its value
  case ${2:---} in --*) die "$1 needs a value (--help)" ;; esac
}

# check_path OPTION PATH: sed gets it, and a line of the manifest.
check_path() {
  [[ $2 = /* && $2 != *[[:cntrl:]\|\&\\]* ]] || die "$1 $2: an absolute path without control characters, | & and \\"
}

parse() {
  local word rest=()
  for word in "$@"; do [ "$word" = --demo ] || rest+=("$word"); done
  if [ ${#rest[@]} -lt $# ]; then
    # shellcheck source=install/demo.sh
    . install/demo.sh
    demo "${rest[@]}"
  fi
  while [ $# -gt 0 ]; do
    case $1 in
      --pbx | --pbx-conf | --phones | --trunks | --attendant | --main | --trunk | --existing-trunk | --behind | --context | --prefix | --binary) value "$@" ;;&
      --pbx) pbx=$2 && shift ;;
      --pbx-conf) check_path "$1" "/$2" && conf=$(cd "$invoked_from" && cd "$2" && pwd) || die "--pbx-conf $2: no such folder" && shift ;;
      --phones) add_name phones "$1" "$2" && shift ;;
      --trunks) add_name trunks "$1" "$2" && shift ;;
      --attendant) add_name attendant "$1" "$2" && shift ;;
      --main) main=$2 && shift ;;
      --trunk | --existing-trunk) add_trunk "$1" "$2" && shift ;;
      --behind) add_name behind "$1" "$2" && shift ;;
      --context) context=$2 && shift ;;
      --prefix) check_path "$@" && prefix=$root$2 && shift ;;
      --binary) binary=$(cd "$invoked_from" && realpath -e "$2") || die "--binary $2: no such file" && shift ;;
      --dry-run) dry=yes ;;
      --yes | -y) yes=yes ;;
      --uninstall) uninstall=yes ;;
      --purge) purge=yes ;;
      --rollback) rollback=yes ;;
      --help | -h) usage && exit 0 ;;
      *) die "$1: unknown option (--help)" ;;
    esac
    shift
  done
  if [ "$rollback" = yes ] && [ "$uninstall" = yes ]; then die "--rollback and --uninstall: one of them"; fi
  case $pbx in '' | freeswitch | asterisk) ;; *) die "--pbx $pbx: freeswitch or asterisk" ;; esac
  [[ $main =~ ^[][0-9+*?().|-]*$ ]] || die "--main $main: numbers, with | between them, or a pattern of them"
  [[ $context =~ ^[A-Za-z0-9.-]*$ ]] || die "--context $context: not a domain name"
}

setup() {
  local left
  # A run that was killed leaves secrets in its folder, whose name has its process.
  for left in "${TMPDIR:-/tmp}"/sidecall-install.*.??????; do
    if [ -O "$left" ] && [ ! -L "$left" ] && ! kill -0 "$(cut -d . -f 2 <<<"${left##*/}")" 2>/dev/null; then rm -rf "$left"; fi
  done
  stage=$(mktemp -d "${TMPDIR:-/tmp}/sidecall-install.$$.XXXXXX")
  trap at_exit EXIT
  trap '' PIPE # who reads our messages may go
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mkdir "$stage/files"
  : >"$stage/secrets"
  etc=$root/etc/sidecall
  data=/var/lib/sidecall
  manifest=$etc/installed
  systemd_dir=''
  if [ -n "$root" ] || [ -d /run/systemd/system ]; then systemd_dir=$root/etc/systemd/system; fi
  # shellcheck source=install/plan.sh
  . install/plan.sh
  # shellcheck source=install/change.sh
  . install/change.sh
  # shellcheck source=install/versions.sh
  . install/versions.sh
  # shellcheck source=install/own.sh
  . install/own.sh
  if [ $EUID != 0 ] && [ -z "$root" ] && [ "$dry" = no ]; then die "needs root (look first with --dry-run)"; fi
  if [ "$dry" = no ]; then lock; fi
}

at_exit() {
  local status=$?
  # Signals don't interrupt an undo.
  trap '' HUP INT TERM
  if [ $status != 0 ]; then
    undo_failed
    own_start_again
  fi
  rm -rf "$stage"
  exit $status
}

# use KIND: the functions about one kind of PBX.
use() {
  # shellcheck source=install/freeswitch.sh disable=SC1090
  . "install/$1.sh"
}

find_pbx() {
  local kind found=() given=$conf
  for kind in ${pbx:-freeswitch asterisk}; do
    use "$kind"
    conf=${given:-$(recorded "option:$kind.conf" 2)}
    if pbx_find; then found+=("$kind:$conf"); fi
  done
  case ${#found[@]} in
    0) die "no ${pbx:-FreeSWITCH or Asterisk} found: --pbx KIND --pbx-conf DIR say where its configuration is" ;;
    1) ;;
    *) die "both are here: choose with --pbx freeswitch or --pbx asterisk (${found[*]})" ;;
  esac
  pbx=${found[0]%%:*} conf=${found[0]#*:}
  use "$pbx"
  # What an earlier run was told still holds.
  prefix=$(option prefix "$prefix")
  prefix=${prefix:-$root/usr/local}
  phones=$(option "$pbx.phones" "$phones")
  trunks=$(option "$pbx.trunks" "$trunks")
  attendant=$(option "$pbx.attendant" "$attendant")
  main=$(option "$pbx.main" "$main")
  # A `+` at the beginning of a pattern is a digit, as it were.
  main=$(printf '%s' "$main" | sed -E 's/(^|[|(])[+]/\1[+]/g')
  behind=$(option "$pbx.behind" "$behind")
  asked_trunk=${trunk%%=*}
  remembered_trunks
  context=$(option "$pbx.context" "$context")
}

remembered_trunks() {
  local entry found
  found=$(option "$pbx.trunk" "$trunk")
  trunk=''
  for entry in $found; do
    case $entry in
      *=) add_trunk --existing-trunk "${entry%=}" ;;
      *) add_trunk --trunk "$entry" ;;
    esac
  done
}

remember() {
  local name
  record option "$prefix" option:prefix
  record option "$conf" "option:$pbx.conf"
  for name in phones trunks attendant main trunk behind context; do
    if [ -n "${!name}" ]; then record option "${!name}" "option:$pbx.$name"; fi
  done
}

install_all() {
  recover
  read_manifest
  step "Looking for the PBX"
  find_pbx
  say "$pbx, configuration in $conf"
  pbx_plan
  own_plan
  check_plan
  if [ ${#plan[@]} -gt 0 ]; then
    step "What will be done to files"
    show_plan
  else
    say "Every file is as it should be."
  fi
  if [ "$dry" = yes ]; then
    say ""
    say "Also: ${binary:-the program, built here with cargo,} to $prefix/bin/sidecall;"
    say "the program that is there now, and the database if it is a file, saved for --rollback;"
    say "a user sidecall; the service started;"
    say "$pbx told to read its dialplan and $([ "$pbx" = asterisk ] && printf 'manager users' || printf 'event socket') again. Dry run: nothing was changed."
    return 0
  fi
  if [ ${#plan[@]} -gt 0 ]; then ask "Do this?" || die "nothing was changed"; fi
  own_build
  own_certificates
  own_check_binary
  step "Installing"
  own_user
  begin
  journal pbx "$pbx" "$conf"
  remember
  local target there=()
  # New files first: a file that includes them never stands there without them.
  for target in "${plan[@]}"; do
    if [ -e "$target" ]; then there+=("$target"); else put "$target"; fi
  done
  for target in "${there[@]}"; do put "$target"; done
  own_binary
  write_manifest
  complete
  if [ "$changed" = no ]; then
    say "Nothing to do: sidecall is installed as it should be."
  else
    pbx_reload
  fi
  own_start
  if [ $was_ready = yes ] && ! wait_ready; then abandon_upgrade; fi
  finish
  forget_old_versions
  pbx_say_rest
  own_doctor
  step "Installed"
  say "configuration: $etc/sidecall.toml    edit, then: systemctl restart sidecall"
  say "status page:   http://127.0.0.1:8600/"
  say "next:          sidecall number put … (README.md, \"Your first call\")"
}

# take_back_all [DIR]: undoes what the manifest says, or what it says about files in a folder, the last first. Files that
# include ours go before those that are included.
take_back_all() {
  local kind sum path backup
  manifest_lines "${1:-}" | tac >"$stage/taken"
  { grep ^edited "$stage/taken" || true; } >"$stage/lines"
  { grep -v ^edited "$stage/taken" || true; } >>"$stage/lines"
  while IFS=$'\t' read -r kind sum path backup; do
    if [ -n "${taken[$path]:-}" ]; then continue; fi
    taken[$path]=yes
    take_back "$kind" "$sum" "$path" "$backup"
  done <"$stage/lines"
}

uninstall_all() {
  declare -A taken=()
  recover
  read_manifest
  if [ ${#lines[@]} = 0 ]; then
    if [ "$dry" = no ]; then remove_empty "$etc"; fi
    if [ "$purge" = yes ] && { [ -d "$root$data" ] || [ -d "$versions" ] || [ -d "$etc" ]; }; then
      if [ "$dry" = no ]; then ask "Remove the database and all that is left of sidecall?" || die "nothing was changed"; fi
      purge_all
      return 0
    fi
    if [ $recovered = yes ]; then return 0; fi
    die "there is nothing to take back: $manifest is missing"
  fi
  step "Uninstalling"
  for pbx in freeswitch asterisk; do
    conf=$(recorded "option:$pbx.conf" 2)
    if [ -n "$conf" ]; then (use "$pbx" && pbx_before_uninstall) || exit 1; fi
  done
  if [ "$dry" = no ]; then ask "Take back what install.sh did?" || die "nothing was changed"; fi
  if [ "$dry" = no ]; then
    begin
    own_stop
    for pbx in freeswitch asterisk; do
      conf=$(recorded "option:$pbx.conf" 2)
      if [ -n "$conf" ]; then journal pbx "$pbx" "$conf"; fi
    done
  fi
  for pbx in freeswitch asterisk; do
    conf=$(recorded "option:$pbx.conf" 2)
    if [ -z "$conf" ]; then continue; fi
    trunk=''
    remembered_trunks
    use "$pbx"
    pbx_before_uninstall
    take_back_all "$conf"
  done
  take_back_all
  if [ "$dry" = yes ]; then
    say "Dry run: nothing was changed."
    return 0
  fi
  discard "$manifest"
  complete
  was_active=''
  for pbx in freeswitch asterisk; do
    conf=$(recorded "option:$pbx.conf" 2)
    if [ -z "$conf" ]; then continue; fi
    trunk=''
    remembered_trunks
    use "$pbx"
    pbx_after_uninstall
  done
  finish
  if [ "$purge" = yes ]; then
    purge_all
  else
    say "kept: $root$data (the database) and the user sidecall; --purge removes them as well"
    if [ -d "$versions" ]; then say "kept: $versions (saved programs and databases); --purge removes them as well"; fi
    if [ $kept = yes ]; then say "kept: $etc/sidecall.toml, which you edited"; fi
  fi
  remove_empty "$etc"
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  say "Done."
}

# purge_all: what an uninstall keeps.
purge_all() {
  if [ "$dry" = yes ]; then
    say "Dry run: nothing was changed."
    return 0
  fi
  rm -rf "$root$data" "$versions" "$etc"
  if [ -z "$root" ] && getent passwd sidecall >/dev/null; then userdel sidecall; fi
}

parse "$@"
setup
if [ $uninstall = yes ]; then
  uninstall_all
elif [ $rollback = yes ]; then
  rollback_all
else
  install_all
fi
