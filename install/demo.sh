# ./install.sh --demo: brings what the demonstration needs, builds it and hands over to it.
# shellcheck shell=bash disable=SC2154

demo_has_freeswitch() {
  [ -n "${SIDECALL_FREESWITCH:-}" ] || have freeswitch || [ -x /usr/local/freeswitch/bin/freeswitch ]
}

demo() {
  local word want='' target=${CARGO_TARGET_DIR:-$repo/target} as=()
  for word in "$@"; do
    case $word in
      freeswitch | --pbx=freeswitch) want=freeswitch ;;
      asterisk | --pbx=asterisk) want=asterisk ;;
    esac
  done
  case $want in
    freeswitch) demo_has_freeswitch || die "no FreeSWITCH here: install one, name one with SIDECALL_FREESWITCH, or use --pbx asterisk" ;;
    '') if demo_has_freeswitch || have asterisk; then want=any; else want=asterisk; fi ;;
  esac
  step "1/3 What the demonstration needs: SIPp plays the phones$([ $want != asterisk ] || printf ', Debian brings an Asterisk')"
  need_packages gcc:cc sip-tester:sipp
  if [ $want = asterisk ] && ! have asterisk; then
    need_packages debootstrap:debootstrap
    if [ "$(id -u)" = 0 ]; then tests/lab/asterisk-root.sh >&2; else sudo -E tests/lab/asterisk-root.sh >&2; fi
  fi
  step "2/3 Building sidecall and the demonstration: some minutes the first time"
  need_cargo
  # What is measured is a release build; the program that plays the phones needn't be one.
  cargo build --release --locked --bin sidecall >&2
  cargo build --locked --example demo >&2
  step "3/3 The demonstration"
  # An Asterisk in a root of its own is started there with chroot.
  if [ "$(id -u)" != 0 ] && ! demo_has_freeswitch && ! have asterisk; then as=(sudo -E); fi
  exec "${as[@]}" env SIDECALL_BINARY="$target/release/sidecall" "$target/debug/examples/demo" "$@"
}
