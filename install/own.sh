# sidecall's own files: user, configuration, secrets, program, unit.
# shellcheck shell=bash disable=SC2154,SC2034

# secret_in FILE: the secret that is there, else a new one.
secret_in() { if [ -s "$1" ]; then tr -d '\r\n' <"$1"; else random_secret; fi; }

# The domain of the extensions, if the PBX says none.
host_domain() {
  local name
  name=$(hostname -f 2>/dev/null || hostname)
  case $name in localhost*) name=$(hostname) ;; esac
  if [[ $name =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]]; then printf '%s' "$name"; else printf pbx.local; fi
}

# The part of the sample about one kind of PBX, filled in.
own_pbx_block() {
  sed -n "/^# --- begin $pbx\$/,/^# --- end $pbx\$/p" etc/sidecall.toml | sed '1d;$d' |
    sed -e "s|^address = .*|address = \"$pbx_address\"|" -e "s|^context = .*|context = \"$context\"|"
}

own_config() {
  sed '/^# --- begin /,/^# --- end /d' etc/sidecall.toml |
    sed -e '/^$/N;/^\n$/D' -e "s|^database = .*|database = \"$data/sidecall.db\"|" ${trunk:+-e "s|^#trunk = \"sidecall\"|trunk = \"${trunk%%=*}\"|"}
  own_pbx_block
}

# own_pbx_names FILE: the kind and the name of each [[pbx]], one a line.
own_pbx_names() {
  awk '
    function tell() { if (table == "[[pbx]]") print kind, name; kind = name = "" }
    { line = $0; gsub(/[ \t\r]/, "", line) }
    line ~ /^\[/ { tell(); table = line; sub(/#.*/, "", table); next }
    line ~ /^kind=/ { split(line, part, /["\047]/); kind = part[2] }
    line ~ /^name=/ { split(line, part, /["\047]/); name = part[2] }
    END { tell() }' "$1"
}

# own_trunk_place FILE TABLE: Prints the kind, line number and name of the trunk in [TABLE], or the line to add one at.
# TABLE is node.routing or node.routing.pbx.NAME. Ignores white space.
own_trunk_place() {
  awk -v wanted="$2" '
    BEGIN { pbx = substr(wanted, length("node.routing.pbx.") + 1) }
    { line = $0; gsub(/[ \t\r]/, "", line) }
    line ~ /^\[/ {
      table = line
      sub(/].*/, "", table)
      gsub(/["\047]/, "", table)
      table = substr(table, 2)
      if (table == wanted) header = NR
      next
    }
    (table == "" && line ~ /^node[.=]/) || (table == "node" && line ~ /^routing[.=]/) { other = NR }
    pbx && ((table == "node.routing" && line ~ /^pbx[.=]/) || (table == "node.routing.pbx" && line ~ /^[^#]/)) { other = NR }
    table == wanted && line ~ /^trunk=/ {
      gsub(/^trunk=["\047]|["\047].*/, "", line)
      value = NR " " line
    }
    table == wanted && line == "#trunk=\"sidecall\"" { sample = NR }
    END {
      if (value) print "value", value
      else if (other) print "other", other
      else if (sample) print "sample", sample
      else if (header) print "header", header
      else print "nothing"
    }' "$1"
}

# own_trunk_table FILE NAME: Prints the table for the packet trunk of this PBX: [node.routing], or its own table if it has a
# trunk there, or if other PBXs share the file and [node.routing] has another trunk or none.
own_trunk_table() {
  local own its shared value
  own=$(own_pbx_names "$1" | sed -n "s/^$pbx //p")
  its=$(own_trunk_place "$1" "node.routing.pbx.$own" | cut -d ' ' -f 1)
  read -r shared _ value <<<"$(own_trunk_place "$1" node.routing)"
  if [ "$its" = value ] || { [ "$its" = other ] && [ "$shared" != other ]; }; then
    : # its own trunk wins
  elif [ "$(own_pbx_names "$1" | wc -l)" -lt 2 ] || [ "$shared $value" = "value $2" ]; then
    printf node.routing
    return 0
  fi
  case $own in *.*) own="\"$own\"" ;; esac
  printf 'node.routing.pbx.%s' "$own"
}

# own_trunk_is_ours NAME: an earlier run for this PBX has set it.
own_trunk_is_ours() {
  local of
  of=$(recorded "option:$pbx.trunk" 2)
  [ "${of%%=*}" = "$1" ]
}

# own_trunk NAME: sets the packet trunk of this PBX in a configuration that is there, unless the administrator has set another
# one.
own_trunk() {
  local file=$etc/sidecall.toml text table what line value
  text=$(now "$file")
  if [ "$(own_pbx_names "$text" | grep -c "^$pbx ")" -gt 1 ]; then
    warn "$file has several PBXs of kind $pbx. If packet calls of one should take \`$1\`, set it yourself: trunk = \"$1\" in [node.routing.pbx.NAME], with the name of its [[pbx]]"
    return 0
  fi
  table=$(own_trunk_table "$text" "$1")
  read -r what line value <<<"$(own_trunk_place "$text" "${table//\"/}")"
  case $what in
    value)
      if [ "$value" = "$1" ]; then return 0; fi
      if ! own_trunk_is_ours "$value"; then
        warn "$file: trunk in [$table] is \`$value\`, not \`$1\`: packet calls take \`$value\`. If they should take \`$1\`, change line $line to trunk = \"$1\" and restart sidecall"
        return 0
      fi
      ;;
    other)
      warn "$file: line $line is about routing, in a form that this script doesn't change. If packet calls should take \`$1\`, set it yourself: trunk = \"$1\" in [$table]"
      return 0
      ;;
  esac
  case $what in
    value | sample) sed "${line}s|.*|trunk = \"$1\"|" "$text" ;;
    header) sed "${line}a trunk = \"$1\"" "$text" ;;
    nothing) cat "$text" && printf '\n[%s]\ntrunk = "%s"\n' "$table" "$1" ;;
  esac | edit "$file"
}

own_plan() {
  local file=$etc/sidecall.toml name token
  context=${context:-$(host_domain)}
  for name in admin agent; do
    token=$(secret_in "$etc/$name.token")
    hide "$token"
    printf '%s\n' "$token" | want "$etc/$name.token" 600 sidecall:sidecall
  done
  if [ ! -f "$file" ]; then
    own_config | want "$file" 640 root:sidecall
  else
    if ! grep -q "^kind = \"$pbx\"" "$file"; then { cat "$file" && echo && own_pbx_block; } | edit "$file"; fi
    if [ -n "$asked_trunk" ]; then own_trunk "$asked_trunk"; fi
  fi
  if [ -n "$systemd_dir" ]; then
    sed "s|^ExecStart=/usr/local/bin/|ExecStart=${prefix#"$root"}/bin/|" etc/sidecall.service |
      want "$systemd_dir/sidecall.service" 644 root:root
  fi
}

own_user() {
  if [ -n "$root" ] || getent passwd sidecall >/dev/null; then return 0; fi
  say "useradd --system sidecall"
  useradd --system --user-group --home-dir /var/lib/sidecall --shell /usr/sbin/nologin --comment sidecall sidecall
}

# Without the system's CA certificates no other node can be told from somebody else.
own_certificates() {
  if [ -z "$root" ] && have apt-get; then need_packages ca-certificates:update-ca-certificates; fi
}

# build COMMAND...: a server that the build starts must not hold the lock.
build() { (unlock && "$@" >&2); }

own_build() {
  if [ -n "$binary" ]; then return 0; fi
  binary=target/release/sidecall
  if ! have cargo && [ -n "${SUDO_USER:-}" ]; then # sudo has its own PATH
    step "Building (as $SUDO_USER)"
    build sudo -u "$SUDO_USER" -i bash -c "cd '$repo' && cargo build --release --locked --bin sidecall"
  else
    need_cargo
    need_packages gcc:cc
    step "Building: some minutes the first time"
    build cargo build --release --locked --bin sidecall
  fi
}

# own_check_binary: Refuse if something else stands where the program goes.
own_check_binary() {
  local target=$prefix/bin/sidecall
  [ ! -d "$target" ] || die "$target is a folder"
  if [ -e "$target" ] && ! cmp -s "$binary" "$target" && [ -z "$(recorded "$target" 1)" ]; then
    die "$target is there and isn't ours: move it away"
  fi
}

own_binary() {
  local target=$prefix/bin/sidecall
  if [ -e "$target" ] && cmp -s "$binary" "$target"; then return 0; fi
  if [ -e "$target" ]; then
    if has_systemd && ready; then was_ready=yes; fi
    save_before_upgrade
  fi
  record created "$(sum "$binary")" "$target"
  replace "$target" 755 root:root "$binary"
  changed=yes
  say "done: $target"
}

has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

own_start() {
  if [ -n "$root" ]; then return 0; fi
  if [ ! -d "$data" ]; then
    mkdir -p "$data"
    chmod 750 "$data"
    own sidecall:sidecall "$data"
  fi
  if ! has_systemd; then
    say "There is no systemd here. Start it under your own supervisor, as user sidecall, restarted whenever it ends:"
    say "  $prefix/bin/sidecall run"
    say "If it runs already, restart it: some of the PBX's configuration counts only for a new connection."
    return 0
  fi
  systemctl daemon-reload
  systemctl enable --quiet sidecall
  was_active='' # it isn't for an undo to start it any more
  if [ "$changed" = yes ]; then systemctl restart sidecall || true; else systemctl start sidecall || true; fi
  say "systemctl restart sidecall: $(systemctl is-active sidecall || true)"
}

# note_service: remembers what the service was, before the run stops it.
note_service() {
  if ! has_systemd || [ -n "$was_active" ]; then return 0; fi
  was_active=no was_enabled=no
  case $(systemctl is-active sidecall 2>/dev/null || true) in active | activating | reloading) was_active=yes ;; esac
  if systemctl is-enabled --quiet sidecall 2>/dev/null; then was_enabled=yes; fi
  if [ "$in_run" = yes ]; then journal service "$was_active" "$was_enabled"; fi
}

# After an undo: the service is what it was.
own_start_again() {
  if ! has_systemd || [ -z "$was_active" ]; then return 0; fi
  systemctl daemon-reload
  if [ "$was_enabled" = yes ]; then systemctl enable --quiet sidecall; fi
  if [ "$was_active" = yes ]; then systemctl start sidecall || warn "sidecall does not start: journalctl -u sidecall"; fi
  was_active=''
}

own_doctor() {
  if [ -n "$root" ]; then return 0; fi
  if ! has_systemd; then
    say "When it runs, check the whole chain: sidecall doctor"
    return 0
  fi
  step "sidecall doctor"
  sleep 1 # it has only just been started
  "$prefix/bin/sidecall" --config "$etc/sidecall.toml" doctor >&2 || say "Follow what it says above; then: sidecall doctor"
}

own_stop() {
  if ! has_systemd; then return 0; fi
  note_service
  systemctl disable --quiet --now sidecall 2>/dev/null || true
}
