# Changes files so that a run is either complete or undone.
#
# Before a file is made, replaced or removed, a line in the journal says so, on disk. The old file stays beside the new
# one as FILE.sidecall-before until the run is complete. A new file is written beside the old one, synced and renamed,
# so a reader sees the old or the new file and never a part of one. No name of ours ends with .xml or .conf: PBXs include
# such files by pattern.
#
# If the script fails, it undoes what the journal says. If it is killed, its next run does. An undo discards nothing that
# somebody else wrote meanwhile: the journal has the SHA-256 of what the script wrote, and a file that differs is kept as
# FILE.sidecall-backup-DATE-kept.
#
#   file    <tab> PATH <tab> SHA-256 <tab> TMP    replaced (written as TMP first), or removed (`-` for both)
#   new     <tab> PATH <tab> SHA-256 <tab> TMP    made
#   dir     <tab> PATH <tab> TMP                  a folder that was made
#   saved   <tab> DIR <tab> PROGRAM <tab> DATABASE  a saved version (versions.sh), and what it was copied from
#   service <tab> ACTIVE <tab> ENABLED            yes or no each, before the run stopped the service
#   pbx     <tab> KIND <tab> DIR                  its configuration changes
#   reload  <tab> -                               PBXs may have read the new configuration
#   empty   <tab> PATH                            a folder to remove once the run is complete, if it is empty
#
# A complete run renames `journal` to `journal.done`, tells the PBXs and the service, and then removes what an undo would
# have needed. After a kill in between, the next run tells them.
# shellcheck shell=bash disable=SC2154,SC2034

# in_run: `beginning` until the journal is there, `yes` until the run is complete, `no` before and after.
in_run=no recovered=no was_active='' was_enabled=''
declare -gA journaled=() renamed_in=()
kept_edits=()

# lock: one run at a time.
lock() {
  local dir=$root/etc
  if [ ! -d "$dir" ]; then dir=${root:-/}; fi
  exec {lock}<"$dir"
  flock -n "$lock" || die "another install.sh is running"
}
unlock() { exec {lock}<&-; }

begin() {
  local dir
  in_run=beginning
  new_dir "$etc" 750 root:sidecall
  for dir in "${made[@]}"; do printf 'dir\t%s\n' "$dir"; done >"$etc/journal.sidecall-tmp"
  sync "$etc/journal.sidecall-tmp"
  mv -fT "$etc/journal.sidecall-tmp" "$etc/journal"
  in_run=yes
  sync "$etc"
}

journal() { # KIND FIELD...
  local line
  # Not "$*" with an IFS of its own: if the disk is full, bash 5.2 splits words wrongly in the exit trap, and nothing is undone.
  printf -v line '%s\t' "$@"
  printf '%s\n' "${line%$'\t'}" >>"$etc/journal"
  sync "$etc/journal"
}

# journal_file KIND PATH SHA-256 TMP: the first line about a path decides what an undo does.
journal_file() {
  journaled[$2]=${journaled[$2]:-$1}
  journal "${journaled[$2]}" "$2" "$3" "$4"
}

# read_journal FILE: its lines, in `kinds`, `paths`, `thirds` and `fourths`.
read_journal() {
  local kind path third fourth
  kinds=() paths=() thirds=() fourths=()
  while IFS=$'\t' read -r kind path third fourth; do
    kinds+=("$kind") paths+=("$path") thirds+=("$third") fourths+=("$fourth")
  done <"$1"
}

# target_of PATH: the file itself, where PATH is a link to it.
target_of() { if [ -L "$1" ]; then readlink -m "$1"; else printf '%s' "$1"; fi; }

# tmp_name PATH: a name beside it that nobody can guess: the folder may belong to the user of a PBX.
tmp_name() {
  local random
  random=$(random_secret)
  printf '%s.sidecall-tmp-%s' "$1" "${random:0:16}"
}

# new_dir PATH MODE OWNER: Creates a folder and its parents under temporary names, so none is visible with a wrong mode.
# Appends them to `made`.
made=()
new_dir() {
  local dir=$1 tmp=$1.sidecall-tmp
  if [ -d "$dir" ]; then return 0; fi
  new_dir "${dir%/*}" 755 root:root
  if [ $in_run = yes ]; then
    tmp=$(tmp_name "$dir")
    journal dir "$dir" "$tmp"
    mkdir "$tmp"
  else
    mkdir -p "$tmp"
  fi
  chmod "$2" "$tmp"
  own "$3" "$tmp"
  mv -T "$tmp" "$dir"
  made+=("$dir")
  record dir - "$dir"
}

# replace PATH MODE OWNER FROM: the text of the file FROM becomes the file at PATH. Links are followed. A file that is
# there keeps its mode, owner, security context and extended attributes; MODE and OWNER are those of a new one.
replace() {
  local path tmp sum out mask
  path=$(target_of "$1")
  tmp=$(tmp_name "$path")
  sum=$(sum "$4")
  new_dir "${path%/*}" 755 "$3"
  if [ -e "$path" ]; then
    journal_file file "$path" "$sum" "$tmp"
    if [ "${journaled[$path]}" = file ] && [ ! -e "$path.sidecall-before" ]; then
      ln "$path" "$path.sidecall-before"
      sync "${path%/*}"
    fi
  else
    journal_file new "$path" "$sum" "$tmp"
  fi
  # `set -C` opens no file that is there, and no link. What is done by descriptor is done to this file alone.
  mask=$(umask)
  umask 077
  set -C
  exec {out}>"$tmp"
  set +C
  umask "$mask"
  if [ -e "$path" ]; then
    cp -a --attributes-only "$path" "/proc/self/fd/$out"
    cat "$4" >&"$out"
  else
    cat "$4" >&"$out"
    own "$3" "/proc/self/fd/$out"
    chmod "$2" "/proc/self/fd/$out"
  fi
  exec {out}>&-
  sync "$tmp"
  mv -fT "$tmp" "$path"
  renamed_in[${path%/*}]=yes
}

# keep PATH AS: gives the file at PATH a second name. A later replacement of PATH doesn't change AS.
keep() {
  local path
  path=$(target_of "$1")
  if [ -e "$2" ]; then discard "$2"; fi
  journal_file new "$2" "$(sum "$path")" -
  ln "$path" "$2"
}

discard() { # PATH, a file or a folder
  journal_file file "$1" - -
  if [ "${journaled[$1]}" = file ] && [ ! -e "$1.sidecall-before" ]; then
    mv -fT "$1" "$1.sidecall-before"
    renamed_in[${1%/*}]=yes
  else
    rm -rf "$1"
  fi
}

write_manifest() {
  manifest_lines >"$stage/manifest"
  if ! cmp -s "$stage/manifest" "$manifest"; then replace "$manifest" 644 root:root "$stage/manifest"; fi
}

# complete: from here on the run isn't undone.
complete() {
  local dir dirs=()
  for dir in "${!renamed_in[@]}"; do if [ -d "$dir" ]; then dirs+=("$dir"); fi; done
  sync "${dirs[@]}"
  mv -fT "$etc/journal" "$etc/journal.done"
  in_run=no
  sync "$etc"
}

# reopen: a run that is complete, but not finished, is undone after all.
reopen() {
  printf 'reload\t-\n' >>"$etc/journal.done"
  mv -fT "$etc/journal.done" "$etc/journal"
  sync "$etc/journal" "$etc"
}

# finish: removes what an undo would have needed.
finish() {
  local kinds paths thirds fourths i before=() empty=()
  if [ ! -f "$etc/journal.done" ]; then return 0; fi
  read_journal "$etc/journal.done"
  for i in "${!kinds[@]}"; do
    case ${kinds[i]} in
      file) before+=("${paths[i]}.sidecall-before") ;;
      empty) empty+=("${paths[i]}") ;;
    esac
  done
  if [ ${#before[@]} -gt 0 ]; then rm -rf "${before[@]}"; fi
  remove_empty "${empty[@]}"
  rm -f "$etc/journal.done"
  remove_empty "${empty[@]}" # with the journal gone, its own folder may be empty
}

remove_empty() {
  local dir
  for dir in "$@"; do
    if [ -d "$dir" ]; then rmdir "$dir" 2>/dev/null || true; fi
  done
}

# keep_edit PATH: what somebody else wrote there since is kept under another name.
keep_edit() {
  local as=$1$backup_suffix-kept # a backup of this run has another name
  while [ -e "$as" ]; do as+=+; done
  ln "$1" "$as"
  kept_edits+=("$1 was changed after the run: that text is kept as $as")
}

# undo: everything is again as it was when the run began. May be repeated, should it be interrupted.
undo() {
  local kinds paths thirds fourths i path before reload=no dirs=()
  declare -A written=()
  in_run=no
  read_journal "$etc/journal"
  for i in "${!kinds[@]}"; do
    case ${kinds[i]} in
      file | new) written[${paths[i]}]+=" ${thirds[i]}" ;;
      reload) reload=yes ;;
      service) if [ "$was_active" != yes ]; then was_active=${paths[i]} was_enabled=${thirds[i]}; fi ;;
    esac
  done
  # Databases first: whether they are put back depends on which program is in place.
  for i in "${!kinds[@]}"; do
    if [ "${kinds[i]}" = saved ]; then undo_database "${paths[i]}" "${thirds[i]}" "${fourths[i]}"; fi
  done
  for ((i = ${#kinds[@]} - 1; i >= 0; i--)); do
    path=${paths[i]} before=${paths[i]}.sidecall-before
    case ${kinds[i]} in
      file)
        if [ "$before" -ef "$path" ]; then
          rm -f "$before" # nothing took its place yet
        elif [ -e "$before" ] || [ -L "$before" ]; then
          if [ -f "$path" ] && [[ "${written[$path]} " != *" $(sum "$path") "* ]]; then keep_edit "$path"; fi
          mv -fT "$before" "$path"
        fi
        ;;
      new)
        if [ -f "$path" ] && [[ "${written[$path]} " != *" $(sum "$path") "* ]]; then keep_edit "$path"; fi
        rm -f "$path"
        ;;
      saved) rm -rf "$path" "$path.sidecall-tmp" ;;
      dir) dirs+=("${thirds[i]:-$path.sidecall-tmp}" "$path") ;;
    esac
    case ${kinds[i]} in file | new) if [ "${fourths[i]:--}" != - ]; then rm -f "${fourths[i]}"; fi ;; esac
  done
  remove_empty "${dirs[@]}"
  if [ $reload = yes ]; then reload_pbxs; fi
  rm -f "$etc/journal"
  remove_empty "${dirs[@]}"
}

say_kept_edits() {
  local kept_edit
  for kept_edit in "${kept_edits[@]}"; do say "$kept_edit"; done
}

# undo_failed: Undo a run that failed. Messages come last: an undo doesn't depend on them.
undo_failed() {
  local i
  if [ $in_run = beginning ]; then
    rm -f "$etc/journal.sidecall-tmp"
    for ((i = ${#made[@]} - 1; i >= 0; i--)); do remove_empty "${made[i]}.sidecall-tmp" "${made[i]}"; done
    say "Nothing was changed."
  elif [ $in_run = yes ] && [ -f "$etc/journal" ]; then
    undo
    own_start_again
    say "It failed. Everything is as it was."
    say_kept_edits
  fi
}

reload_pbx() { # KIND DIR
  local pbx=$1 conf=$2 trunk uninstall=$uninstall
  trunk=$(recorded "option:$pbx.trunk" 2)
  if [ ! -f "$manifest" ]; then uninstall=yes; fi
  use "$pbx"
  pbx_before_reload
  pbx_reload
}

# reload_pbxs: the PBXs of the journal that was read last.
reload_pbxs() {
  local i
  read_manifest
  for i in "${!kinds[@]}"; do
    if [ "${kinds[i]}" != pbx ]; then continue; fi
    (reload_pbx "${paths[i]}" "${thirds[i]}") || warn "${paths[i]} could not be told to read its configuration again"
  done
}

# recover: deals with what an interrupted run has left.
recover() {
  local kinds paths thirds fourths
  if [ -f "$etc/journal" ]; then
    if [ "$dry" = yes ]; then
      say "An earlier run was interrupted. The next one undoes what it changed first; what follows is shown as things are now."
      return 0
    fi
    ask "An earlier run was interrupted. Undo what it changed?" || die "nothing was changed"
    # A service that somebody started meanwhile has the database open.
    if grep -q '^saved' "$etc/journal"; then stop_service; fi
    undo
    own_start_again
    was_active=''
    recovered=yes
    say "An earlier run was interrupted: what it had changed is undone."
    say_kept_edits
  elif [ "$dry" = no ]; then
    if [ -f "$etc/journal.done" ]; then
      recovered=yes
      say "An earlier run was interrupted when its files were in place: the PBX and the service are told now."
      read_journal "$etc/journal.done"
      reload_pbxs
      if has_systemd && [ "$uninstall" = no ] && [ -f "$manifest" ]; then changed=yes own_start; fi
    elif [ -d "$etc" ] && [ ! -f "$manifest" ]; then
      recovered=yes
    fi
    finish
    rm -f "$etc/journal.sidecall-tmp"
    remove_empty "$etc.sidecall-tmp" "$etc"
  fi
}
