# Saved versions: the program and the database from before each upgrade, for --rollback.
#
#   0007/sidecall           the program
#        sidecall.service   its unit
#        database[-wal]     the database, copied while nothing had it open
#        about              what it is, for people
#   undone/                 the same: what the last rollback replaced
#
# An upgrade and a rollback save what is there inside the run, so the journal has it (change.sh). An undo puts it back.
#
# The folder belongs to root alone, not to the service: root runs these programs.
# shellcheck shell=bash disable=SC2154,SC2034

versions=$root/var/backups/sidecall
versions_kept=3

# saved_versions: their folders, the oldest first.
saved_versions() {
  local dir
  for dir in "$versions"/[0-9][0-9][0-9][0-9]; do
    if [ -d "$dir" ]; then printf '%s\n' "$dir"; fi
  done
}

# node_setting KEY: what sidecall.toml says in [node].
node_setting() {
  if [ ! -f "$etc/sidecall.toml" ]; then return 0; fi
  awk -v key="$1" '/^[ \t]*\[/ { in_it = $0 ~ /^[ \t]*\[node\]/ }
    in_it && $0 ~ "^[ \t]*" key "[ \t]*=" { sub(/^[^=]*=[ \t]*/, ""); quote = substr($0, 1, 1)
      print substr($0, 2, index(substr($0, 2), quote) - 1); exit }' "$etc/sidecall.toml"
}

# unit_environment NAME: the variable that the service gets from its unit, the unit's drop-ins, or their EnvironmentFile.
# It ends the run rather than overlook one.
unit_environment() {
  local unit=$systemd_dir/sidecall.service file value='' named=''
  local -a files=()
  if [ -z "$systemd_dir" ]; then return 0; fi
  for file in "$unit" "$unit.d"/*.conf; do
    if [ ! -f "$file" ]; then continue; fi
    value=$(assigned unit "$1" "$value" "$file")
    if mentions "$1" "$file"; then named=$file; fi
    while read -r file || [ -n "$file" ]; do
      case $file in
        '') files=() ;;
        *%*) die "EnvironmentFile=$file: install.sh doesn't read %. Write the path in full, or name the database in sidecall.toml" ;;
        # A pattern stands for files, as with systemd.
        *) while read -r file; do files+=("$file"); done < <(compgen -G "$root${file#-}" | LC_ALL=C sort) ;;
      esac
    done < <(sed -n 's/^[ \t]*EnvironmentFile[ \t]*=[ \t]*//p' "$file")
  done
  # These have the last word, as with systemd.
  for file in "${files[@]}"; do
    if [ ! -f "$file" ]; then continue; fi
    value=$(assigned file "$1" "$value" "$file")
    if mentions "$1" "$file"; then named=$file; fi
  done
  # Of a server's URL nothing is needed but that it is one.
  if [ -n "$named" ] && [[ $value != *://* ]] && [[ -z $value || $value == *%* ]]; then
    die "$named names $1, and install.sh can't read its value there: '$value'. Write the path in full, on a line of its own"
  fi
  printf '%s' "$value"
}

# mentions NAME FILE: whether a line of FILE that is no comment has the name in it.
mentions() {
  name=$1 awk '!/^[ \t]*[#;]/ && $0 ~ "(^|[^A-Za-z0-9_])" ENVIRON["name"] "([^A-Za-z0-9_]|$)" { found = 1 }
    END { exit !found }' "$2"
}

# assigned KIND NAME VALUE FILE: what FILE, a unit or an environment file, assigns to NAME last; VALUE if it doesn't.
assigned() {
  name=$2 value=$3 awk -v kind="$1" 'BEGIN { name = ENVIRON["name"] "="; value = ENVIRON["value"]
      lines = kind == "unit" ? "^[ \t]*Environment[ \t]*=" : "^[ \t]*[A-Z]"
      # Without quotes a value ends at a space in a unit, and at the end of the line in an environment file.
      end = kind == "unit" ? "[ \t]" : "[ \t]*$" }
    { $0 = begun $0; begun = "" }
    /\\$/ && !/^[ \t]*[#;]/ { begun = substr($0, 1, length($0) - 1) " "; next }
    kind == "unit" && /^[ \t]*Environment[ \t]*=[ \t]*$/ { value = "" }
    $0 ~ lines {
      for (rest = $0; at = index(rest, name); rest = text) {
        before = at > 1 ? substr(rest, at - 1, 1) : " "; text = substr(rest, at + length(name))
        if (before !~ /["\047= \t]/) continue
        quote = before ~ /["\047]/ ? before : substr(text, 1, 1)
        if (quote == before) value = substr(text, 1, index(text, quote) - 1)
        else if (quote ~ /["\047]/) value = substr(text, 2, index(substr(text, 2), quote) - 1)
        else value = substr(text, 1, match(text " ", end) - 1)
      }
    }
    END { print value }' "$4"
}

# database_file: as the service finds it; nothing if it is on a PostgreSQL server. A variable goes before what sidecall.toml
# says.
database_file() {
  local name=SIDECALL_NODE__DATABASE given file
  given=$(unit_environment $name) || exit 1
  file=${given:-$(node_setting database)}
  case $file in
    *://*) return 0 ;; # It may have a password in it, so no message names it.
    '') file=$root$data/sidecall.db ;;
    /*) file=$root$file ;;
    *) file=$etc/$file ;;
  esac
  if [ -n "$given" ] && [ ! -f "$file" ]; then
    die "the service's environment sets $name to '$given', and there is no file $file. If the service hasn't made it yet, start it first"
  fi
  readlink -m "$file"
}

# as_service COMMAND...: in the service's folder nothing is done with more rights than the service has.
as_service() {
  if [ $EUID = 0 ] && [ -z "$root" ] && getent passwd sidecall >/dev/null; then
    setpriv --reuid=sidecall --regid=sidecall --clear-groups -- "$@"
  else
    "$@"
  fi
}

# stop_service: when it returns, nothing has the database open.
stop_service() {
  local file open
  file=$(database_file)
  if has_systemd; then
    note_service
    systemctl stop sidecall
  fi
  if [ -z "$file" ]; then return 0; fi
  open=$(find /proc/[0-9]*/fd \( -lname "$file" -o -lname "$file-wal" \) 2>/dev/null | cut -d / -f 3 | sort -u) || true
  if [ -n "$open" ]; then
    die "process ${open//$'\n'/, } has $file open: stop it (under your own supervisor, if it is sidecall), then run this again"
  fi
}

# save_version DIR: the program, its unit and its database, as they are now. An undo of this run puts the database back.
save_version() {
  local tmp=$1.sidecall-tmp unit=$systemd_dir/sidecall.service file suffix
  file=$(database_file)
  journal saved "$1" "$prefix/bin/sidecall" "$file"
  rm -rf "$tmp"
  new_dir "$versions" 700 root:root
  mkdir -m 700 "$tmp"
  cp -p "$prefix/bin/sidecall" "$tmp/sidecall"
  # This run may have replaced the unit already.
  if [ -f "$unit.sidecall-before" ]; then unit+=.sidecall-before; fi
  if [ -f "$unit" ]; then cp -p "$unit" "$tmp/sidecall.service"; fi
  if [ -f "$file" ]; then
    for suffix in '' -wal; do
      if [ -f "$file$suffix" ]; then as_service cat "$file$suffix" >"$tmp/database$suffix"; fi
    done
  elif [ -z "$file" ]; then
    say "The database is on a PostgreSQL server: the program alone is saved. pg_dump saves the database."
  else
    say "There is no database $file: the program alone is saved."
  fi
  printf '%s, as it was on %s\n' "$("$tmp/sidecall" --version 2>/dev/null | head -n 1 || true)" "$(date '+%Y-%m-%d %H:%M:%S %Z')" >"$tmp/about"
  sync "$tmp"/* "$tmp"
  mv -T "$tmp" "$1"
  sync "$versions"
}

# save_before_upgrade: sets `saved`.
save_before_upgrade() {
  local last=0 dir
  while read -r dir; do last=${dir##*/}; done < <(saved_versions)
  saved=$versions/$(printf '%04d' $((10#$last + 1)))
  stop_service
  save_version "$saved"
  say "saved for --rollback: $(if [ -f "$saved/database" ]; then echo program and database; else echo the program; fi), in $saved"
}

# forget_old_versions: under another name first, so that half of one is never taken for a version.
forget_old_versions() {
  local dir
  saved_versions | head -n -$versions_kept | while read -r dir; do mv -T "$dir" "$dir.sidecall-gone"; done
  rm -rf "$versions"/*.sidecall-gone
}

# same_database DIR FILE: whether the database at FILE is the one that was saved in DIR.
same_database() {
  local suffix
  for suffix in '' -wal; do
    if [ -e "$1/database$suffix" ] || [ -e "$2$suffix" ]; then cmp -s "$1/database$suffix" "$2$suffix" || return 1; fi
  done
}

# restore_database DIR FILE: the database that was saved in DIR, whole or not at all.
restore_database() {
  local suffix
  if [ ! -f "$1/database" ] || [ -z "$2" ]; then return 0; fi
  for suffix in '' -wal; do
    if [ ! -f "$1/database$suffix" ]; then continue; fi
    # shellcheck disable=SC2016 # the inner shell's
    as_service sh -c 'umask 077 && cat >"$1" && sync "$1"' - "$2$suffix.sidecall-tmp" <"$1/database$suffix"
  done
  # The log of the other database must never meet this one.
  rm -f "$2-wal" "$2-shm"
  mv -fT "$2.sidecall-tmp" "$2"
  if [ -f "$1/database-wal" ]; then mv -fT "$2-wal.sidecall-tmp" "$2-wal"; fi
  sync "$(dirname "$2")"
}

# undo_database DIR PROGRAM FILE: puts the database back that was saved in DIR, unless only the saved program can have
# written to it since. What is there now is kept, unless a saved version has it.
undo_database() {
  local dir suffix kept=no
  if [ ! -f "$1/database" ] || [ -z "$3" ] || cmp -s "$1/sidecall" "$2" || same_database "$1" "$3"; then return 0; fi
  for dir in "$versions"/*; do
    # A restore that was interrupted has removed the log.
    if cmp -s "$dir/database" "$3" && { [ ! -e "$3-wal" ] || cmp -s "$dir/database-wal" "$3-wal"; }; then kept=yes; fi
  done
  if [ $kept = no ] && [ -f "$3" ]; then
    for suffix in '' -wal; do
      if [ -f "$3$suffix" ]; then as_service cp -p "$3$suffix" "$3$backup_suffix$suffix"; fi
    done
    kept_edits+=("$3 was written to after the run: that database is kept as $3$backup_suffix")
  fi
  restore_database "$1" "$3"
}

# ready: whether the node says that it can do its work, or stands by for one that does. stands_by says which.
ready() {
  local listen host port answer=''
  stands_by=no
  listen=$(node_setting listen)
  host=${listen%:*} port=${listen##*:}
  host=${host#'['} host=${host%']'}
  case $host in 0.0.0.0 | '') host=127.0.0.1 ;; ::) host=::1 ;; esac
  if grep -q '^[ \t]*\[node\.tls\]' "$etc/sidecall.toml"; then
    case $host in *:*) host=[$host] ;; esac
    if ! have curl; then
      systemctl is-active --quiet sidecall
      return
    fi
    answer=$(curl -ksi --http1.1 --max-time 3 "https://$host:$port/readyz") || return 1
    is_ready "$answer"
    return
  fi
  answer=$(
    exec 2>/dev/null
    exec {socket}<>"/dev/tcp/$host/$port"
    printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n' "$listen" >&"$socket"
    IFS= read -r -t 3 -d '' answer <&"$socket"
    printf '%s' "$answer"
  ) || return 1
  is_ready "$answer"
}

# is_ready ANSWER: what the answer to /readyz says.
is_ready() {
  stands_by=no
  case $1 in
    HTTP/1.?' 200'*) ;;
    # Earlier versions say in words alone that they wait.
    HTTP/1.?' 503'*'"stand_by":"waits"'* | HTTP/1.?' 503'*'"detail":"the node stands by: process '*) stands_by=yes ;;
    *) return 1 ;;
  esac
}

# wait_ready: a node that stands by may be about to take over, and to fail. It must stand by at 8 checks in a row.
wait_ready() {
  local try stood=0
  for ((try = 0; try < 60; try++)); do
    if ! ready; then
      stood=0
    elif stood=$((stood + 1)); [ $stands_by = no ] || [ $stood = 8 ]; then
      return 0
    fi
    sleep 0.5
  done
  return 1
}

# abandon_upgrade: the new version doesn't work where the one before did.
abandon_upgrade() {
  say "The new version does not become ready; the one before was. Going back to it."
  was_active=yes was_enabled=yes
  reopen
  stop_service
  undo
  own_start_again
  say_kept_edits
  die "the upgrade is undone, program, database and files: see why in journalctl -u sidecall"
}

rollback_all() {
  local dir target unit=$systemd_dir/sidecall.service about file
  recover
  read_manifest
  prefix=$(recorded option:prefix 2)
  prefix=${prefix:-$root/usr/local}
  target=$prefix/bin/sidecall
  dir=$(saved_versions | tail -n 1)
  [ -n "$dir" ] || die "there is no earlier version to go back to: an upgrade saves one in $versions"
  [ -f "$target" ] || die "$target is missing: install first"
  file=$(database_file)
  about=$(cat "$dir/about" 2>/dev/null) || about=$dir
  step "Rolling back"
  say "to: $about"
  say "$target and its unit are put back."
  if [ -z "$file" ]; then
    say "The database is on a PostgreSQL server, and stays as it is."
  elif [ -f "$dir/database" ]; then
    say "$file is put back as it was then. What was written since is lost to it: changes to numbers and clients,"
    say "and calls. It stays in $versions/undone, until the next rollback."
  else
    say "No database was saved with it: $file stays as it is."
  fi
  say "Your PBX's dialplan and $etc/sidecall.toml stay as they are."
  if [ "$dry" = yes ]; then
    say "Dry run: nothing was changed."
    return 0
  fi
  ask "Go back?" || die "nothing was changed"
  begin
  stop_service
  if [ -d "$versions/undone" ]; then discard "$versions/undone"; fi
  save_version "$versions/undone"
  record created "$(sum "$dir/sidecall")" "$target"
  replace "$target" 755 root:root "$dir/sidecall"
  if [ -f "$dir/sidecall.service" ] && [ -f "$unit" ] && [ "$(recorded "$unit" 2)" = "$(sum "$unit")" ]; then
    record created "$(sum "$dir/sidecall.service")" "$unit"
    replace "$unit" 644 root:root "$dir/sidecall.service"
  fi
  write_manifest
  restore_database "$dir" "$file"
  discard "$dir"
  complete
  changed=yes
  own_start
  if has_systemd; then
    if wait_ready; then say "It is ready."; else warn "it is not ready: see journalctl -u sidecall, and sidecall doctor"; fi
  fi
  finish
  say "Restored: $about"
}
