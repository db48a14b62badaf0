# Changes files so that a run is either complete or undone.
#
# Before a file is made, replaced or removed, a line in the journal says so, on disk. The old file stays beside the new
# one as FILE.sidecall-before until the run is complete. A new file is written beside the old one, synced and renamed,
# so a reader sees the old or the new file and never a part of one. No name of ours ends with .xml or .conf: PBXs include
# such files by pattern.
#
# If the script fails, it undoes what the journal says. If it is killed, its next run does.
#
#   file  <tab> PATH   replaced or removed
#   new   <tab> PATH   made
#   dir   <tab> PATH   a folder that was made
#   saved <tab> PATH   a saved version (versions.sh)
#   empty <tab> PATH   a folder to remove once the run is complete, if it is empty
#
# A complete run renames `journal` to `journal.done` and then removes what an undo would have needed.
# shellcheck shell=bash disable=SC2154,SC2034

in_run=no recovered=no
declare -gA journaled=() renamed_in=()

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

journal() { # KIND PATH
  if [ -n "${journaled[$2]:-}" ]; then return 0; fi
  printf '%s\t%s\n' "$1" "$2" >>"$etc/journal"
  sync "$etc/journal"
  journaled[$2]=$1
}

# journal_lines FILE: the lines that are whole, in `kinds` and `paths`.
journal_lines() {
  local kind path
  kinds=() paths=()
  while IFS=$'\t' read -r kind path; do kinds+=("$kind") paths+=("$path"); done <"$1"
}

# target_of PATH: the file itself, where PATH is a link to it.
target_of() { if [ -L "$1" ]; then readlink -m "$1"; else printf '%s' "$1"; fi; }

# new_dir PATH MODE OWNER: a folder and those above it, none of which is ever there with another mode. `made` gets them.
made=()
new_dir() {
  local dir=$1
  if [ -d "$dir" ]; then return 0; fi
  new_dir "${dir%/*}" 755 root:root
  if [ $in_run = yes ]; then journal dir "$dir"; fi
  mkdir -p "$dir.sidecall-tmp"
  chmod "$2" "$dir.sidecall-tmp"
  own "$3" "$dir.sidecall-tmp"
  mv -T "$dir.sidecall-tmp" "$dir"
  made+=("$dir")
  record dir - "$dir"
}

# replace PATH MODE OWNER: standard input becomes the file at PATH. Links are followed. A file that is there keeps its
# mode, owner, security context and extended attributes; MODE and OWNER are those of a new one.
replace() {
  local path tmp
  path=$(target_of "$1")
  tmp=$path.sidecall-tmp
  new_dir "${path%/*}" 755 "$3"
  if [ -e "$path" ]; then
    journal file "$path"
    if [ "${journaled[$path]}" = file ] && [ ! -e "$path.sidecall-before" ]; then
      ln "$path" "$path.sidecall-before"
      sync "${path%/*}"
    fi
    cp -a --attributes-only "$path" "$tmp"
    cat >"$tmp"
  else
    journal new "$path"
    (umask 077 && cat >"$tmp")
    chmod "$2" "$tmp"
    own "$3" "$tmp"
  fi
  sync "$tmp"
  mv -fT "$tmp" "$path"
  renamed_in[${path%/*}]=yes
}

# keep PATH AS: the file at PATH gets a second name. Whoever replaces PATH later leaves AS as it is.
keep() {
  local path
  path=$(target_of "$1")
  if [ -e "$2" ]; then discard "$2"; fi
  journal new "$2"
  ln "$path" "$2"
}

discard() { # PATH
  journal file "$1"
  if [ "${journaled[$1]}" = file ] && [ ! -e "$1.sidecall-before" ]; then
    mv -fT "$1" "$1.sidecall-before"
    renamed_in[${1%/*}]=yes
  else
    rm -f "$1"
  fi
}

# commit: the run is complete.
commit() {
  manifest_lines >"$stage/manifest"
  if ! cmp -s "$stage/manifest" "$manifest"; then replace "$manifest" 644 root:root <"$stage/manifest"; fi
  complete
}

complete() {
  local dir dirs=()
  for dir in "${!renamed_in[@]}"; do if [ -d "$dir" ]; then dirs+=("$dir"); fi; done
  sync "${dirs[@]}"
  mv -fT "$etc/journal" "$etc/journal.done"
  sync "$etc"
  in_run=no
}

# reopen: a run that is complete, but not finished, can be undone after all.
reopen() { mv -fT "$etc/journal.done" "$etc/journal"; }

# finish: removes what an undo would have needed.
finish() {
  local kinds paths i before=() empty=()
  if [ ! -f "$etc/journal.done" ]; then return 0; fi
  journal_lines "$etc/journal.done"
  for i in "${!kinds[@]}"; do
    case ${kinds[i]} in
      file) before+=("${paths[i]}.sidecall-before") ;;
      empty) empty+=("${paths[i]}") ;;
    esac
  done
  if [ ${#before[@]} -gt 0 ]; then rm -f "${before[@]}"; fi
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

# undo: everything is again as it was when the run began.
undo() {
  local kinds paths i path dirs=()
  in_run=no
  journal_lines "$etc/journal"
  for ((i = ${#kinds[@]} - 1; i >= 0; i--)); do
    path=${paths[i]}
    case ${kinds[i]} in
      file)
        if [ "$path.sidecall-before" -ef "$path" ]; then
          rm -f "$path.sidecall-before" # nothing took its place yet
        elif [ -e "$path.sidecall-before" ] || [ -L "$path.sidecall-before" ]; then
          mv -fT "$path.sidecall-before" "$path"
        fi
        rm -f "$path.sidecall-tmp"
        ;;
      new) rm -f "$path" "$path.sidecall-tmp" ;;
      saved) rm -rf "$path" "$path.sidecall-tmp" ;;
      dir) dirs+=("$path.sidecall-tmp" "$path") ;;
    esac
  done
  remove_empty "${dirs[@]}"
  rm -f "$etc/journal"
  remove_empty "${dirs[@]}"
}

# undo_failed: at the end of a run that did not get to its end.
undo_failed() {
  local i
  case $in_run in
    no) return 0 ;;
    beginning)
      rm -f "$etc/journal.sidecall-tmp"
      for ((i = ${#made[@]} - 1; i >= 0; i--)); do remove_empty "${made[i]}.sidecall-tmp" "${made[i]}"; done
      say "Nothing was changed."
      return 0
      ;;
  esac
  say "It failed: undoing what was changed."
  undo
  own_start_again
  say "Everything is as it was."
}

# recover: deals with what an interrupted run has left.
recover() {
  if [ -f "$etc/journal" ]; then
    if [ "$dry" = yes ]; then
      say "An earlier run was interrupted. The next one undoes what it changed first; what follows is shown as things are now."
      return 0
    fi
    ask "An earlier run was interrupted. Undo what it changed?" || die "nothing was changed"
    undo
    own_start_again
    recovered=yes
    say "An earlier run was interrupted: what it had changed is undone."
  elif [ "$dry" = no ]; then
    if [ -f "$etc/journal.done" ] || { [ -d "$etc" ] && [ ! -f "$manifest" ]; }; then recovered=yes; fi
    finish
    rm -f "$etc/journal.sidecall-tmp"
    remove_empty "$etc.sidecall-tmp" "$etc"
  fi
}
