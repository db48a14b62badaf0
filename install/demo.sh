# ./install.sh --demo: brings what the demonstration needs, builds it and hands over to it.
# shellcheck shell=bash disable=SC2154

# shellcheck source=install/progress.sh
. install/progress.sh

demo_has_freeswitch() {
  [ -n "${SIDECALL_FREESWITCH:-}" ] || have freeswitch || [ -x /usr/local/freeswitch/bin/freeswitch ]
}

# What it was told, as far as that says what it needs. The program itself checks every option.
demo_parse() {
  near='' far='' pairs=mixed two=no
  local option played=no
  while [ $# -gt 0 ]; do
    option=$1
    case $option in
      --help | -h) demo_usage && exit 0 ;;
      --*=*) set -- "$option" "${option#*=}" "${@:2}" && option=${option%%=*} ;;
    esac
    case $option in
      --pbx) near=${2:-} ;;
      --far) far=${2:-} ;;
      --pairs) pairs=${2:-} ;;
      --behaviour)
        played=yes
        case ${2:-} in
          [Bb][1-4]) ;;
          [Bb][5-9] | [Bb]1[0-3]) two=yes ;;
          *) say "--behaviour ${2:-}: the behaviours are B1 to B13" && exit 2 ;;
        esac
        ;;
      *) shift && continue ;;
    esac
    shift $(($# > 1 ? 2 : 1))
  done
  # Before minutes go into building what would say no more.
  case $near in '' | freeswitch | asterisk) ;; *) say "--pbx $near: freeswitch or asterisk" && exit 2 ;; esac
  case $far in '' | freeswitch | asterisk) ;; *) say "--far $far: freeswitch or asterisk" && exit 2 ;; esac
  case $pairs in mixed | all) ;; *) say "--pairs $pairs: mixed or all" && exit 2 ;; esac
  if [ "$played" = no ]; then two=yes; fi
}

demo_usage() {
  cat <<'END'
Plays every behaviour (docs/BEHAVIOURS.md) with real calls through private copies of real PBXs, first on
one PBX, then between two organisations, and tells what happened. Touches no PBX that you have. It says first
what it plays, and in about how many minutes.

Without options it plays on each PBX that is here, and between two organisations: from Asterisk to FreeSWITCH
and back if both are here (about eleven minutes), else between two Asterisks (about six).

  ./install.sh --demo [options]

  --pbx KIND         only freeswitch, or asterisk, as the PBX that is alone and the calling organisation's
  --far KIND         only this one as the called organisation's PBX
  --pairs all        where both are here: also Asterisk to Asterisk and FreeSWITCH to FreeSWITCH
  --behaviour B8     play only this one, B1 to B13; may be repeated
  --keep             stay up afterwards, with the status pages to look at and a call for two browsers (see below),
                     until Ctrl-C
  --json             one JSON line per play instead of the story, and nothing else on standard output: behaviour,
                     title, near and far (PBXs; far is null where there is one), ok; if it isn't, problems or
                     skipped; and more that belongs to the kind of play

If Chromium is installed (Debian's package chromium), the last plays have browsers: two beside a call, and one that
sends a file to a terminal.

With --keep it also prints two links to the browser client. Open each in a browser on this machine, the second in a
private window; Enter makes a call between their phones, and hangs up.

Exit status 0 only if everything that was asked for was played and went as it must; 2 if an option is wrong.
END
}

demo() {
  local near far pairs two target=${CARGO_TARGET_DIR:-$repo/target} as=() asterisk=yes
  demo_parse "$@"
  if [ "$near" = freeswitch ] || [ "$far" = freeswitch ]; then
    demo_has_freeswitch || die "no FreeSWITCH here: install one, name one with SIDECALL_FREESWITCH, or use asterisk"
  fi
  # Between two organisations the telephone network is an Asterisk.
  if [ "$two" = no ] && [ "$near" = freeswitch ]; then asterisk=no; fi
  step "1/3 What the demonstration needs$([ "$asterisk" = no ] || have asterisk || printf ': Debian brings an Asterisk')"
  need_packages gcc:cc
  if [ "$two" = yes ]; then
    # Debian keeps knotd where only root looks.
    PATH=$PATH:/usr/sbin need_packages knot:knotd tshark:tshark
  fi
  if [ "$asterisk" = yes ] && ! have asterisk; then
    need_packages debootstrap:debootstrap
    if [ "$(id -u)" = 0 ]; then lab/asterisk-root.sh >&2; else sudo -E lab/asterisk-root.sh >&2; fi
  fi
  step "2/3 Building sidecall and the demonstration: some minutes the first time"
  need_cargo
  # What is measured is a release build; the program that plays the phones needn't be one.
  build_shown 2 cargo build --release --locked --bin sidecall || die "sidecall could not be built; cargo says why above"
  build_shown 1 cargo build --locked --example demo || die "the demonstration could not be built; cargo says why above"
  step "3/3 The demonstration"
  # An Asterisk in a root of its own is started there with chroot.
  if [ "$(id -u)" != 0 ] && [ "$asterisk" = yes ] && ! have asterisk; then as=(sudo -E); fi
  exec "${as[@]}" env SIDECALL_BINARY="$target/release/sidecall" "$target/debug/examples/demo" "$@"
}
