# The plan: every file that is to be made or edited is first written into a staging folder, shown as
# a difference, and put in place only when the administrator agrees. The manifest (/etc/sidecall/installed) remembers
# what was done, so that a second run changes nothing and --uninstall takes back exactly that.
#
#   created <tab> SHA-256 <tab> PATH              a file of ours
#   edited  <tab> SHA-256 <tab> PATH <tab> BACKUP a file that was there: what it was is in BACKUP
#   dir     <tab> -       <tab> PATH              a folder of ours
#   option  <tab> VALUE   <tab> NAME              what was asked for, for the next run
# shellcheck shell=bash disable=SC2154,SC2034

backup_suffix=.sidecall-backup-$(date +%Y%m%d-%H%M%S)
plan=()       # targets that differ from what is there
declare -gA staged=() modes=() owners=()
changed=no

sum() { sha256sum <"$1" | cut -d ' ' -f 1; }

# The manifest in memory: each path's line, and the paths in their order. `places` has a path's index in `order`; others are
# of earlier lines. What is recorded stands on disk when the run is complete.
declare -gA lines=() places=()
order=()

read_manifest() {
  local line path
  lines=() places=() order=()
  if [ ! -f "$manifest" ]; then return 0; fi
  while IFS= read -r line; do
    IFS=$'\t' read -r _ _ path _ <<<"$line"
    add_line "$path" "$line"
  done <"$manifest"
}

add_line() { # PATH LINE
  lines[$1]=$2
  places[$1]=${#order[@]}
  order+=("$1")
}

# manifest_lines [DIR]: its lines, or those about files in a folder.
manifest_lines() {
  local i path
  for i in "${!order[@]}"; do
    path=${order[i]}
    if [ "${places[$path]}" = "$i" ] && { [ -z "${1:-}" ] || [[ $path == "$1"/* ]]; }; then printf '%s\n' "${lines[$path]}"; fi
  done
}

# recorded PATH FIELD: that field of the manifest's line about a file (1: kind, 2: sum, 4: backup).
recorded() {
  local fields
  if [ -z "${lines[$1]:-}" ]; then return 0; fi
  IFS=$'\t' read -ra fields <<<"${lines[$1]}"
  printf '%s' "${fields[$2 - 1]:-}"
}

# option NAME VALUE: the value, or what an earlier run was given.
option() { if [ -n "$2" ]; then printf '%s' "$2"; else recorded "option:$1" 2; fi; }

record() { # KIND SUM PATH [BACKUP]
  local line=$1$'\t'$2$'\t'$3${4:+$'\t'$4}
  if [ "${lines[$3]:-}" != "$line" ]; then add_line "$3" "$line"; fi
}

# want TARGET MODE OWNER: standard input is what TARGET should be. OWNER is user:group, or a file whose
# owner is taken. A file of ours that the administrator has changed since is left as it is; if we have
# another one now than we had then, that is put beside it.
want() {
  local target=$1 new old
  new=$stage/files/${#staged[@]}
  cat >"$new"
  staged[$target]=$new modes[$target]=$2 owners[$target]=$3
  if [ -e "$target" ]; then
    if cmp -s "$new" "$target"; then return 0; fi
    old=$(recorded "$target" 2)
    if [ "$(recorded "$target" 1)" = created ] && [ "$old" != "$(sum "$target")" ]; then
      say "kept as you edited it: $target"
      if [ "$old" != "$(sum "$new")" ]; then
        say "What it would be now is put beside it, as ${target##*/}.sidecall-new: take from it what you need."
        want "$target.sidecall-new" "$2" "$3" <"$new"
      fi
      return 0
    fi
  fi
  plan+=("$target")
}

# edit TARGET: standard input is what an existing file should become, whoever has edited it.
edit() {
  local target=$1 new
  cat >"$stage/edited"
  new=${staged[$target]:-$stage/files/${#staged[@]}}
  cat "$stage/edited" >"$new"
  staged[$target]=$new
  if ! is_planned "$target" && ! cmp -s "$new" "$target"; then plan+=("$target"); fi
}

# now TARGET: its name, or that of what it is going to be.
now() { printf '%s' "${staged[$1]:-$1}"; }

is_planned() {
  local target
  for target in "${plan[@]}"; do
    if [ "$target" = "$1" ]; then return 0; fi
  done
  return 1
}

# hide SECRET...: they are not shown.
hide() {
  local secret
  for secret in "$@"; do
    if [ -n "$secret" ]; then printf 's|%s|(secret)|g\n' "$(printf '%s' "$secret" | sed 's/[][\\.*^$|]/\\&/g')" >>"$stage/secrets"; fi
  done
}

show_plan() {
  local target
  for target in "${plan[@]}"; do
    if [ -e "$target" ]; then
      say ""
      if [ "$(recorded "$target" 1)" = created ]; then
        say "renew $target"
      else
        say "edit $target (its backup: ${target##*/}$backup_suffix)"
      fi
      diff -u --label "$target (now)" --label "$target (then)" "$target" "${staged[$target]}" | sed -f "$stage/secrets" >&2 || true
    else
      say ""
      say "create $target (mode ${modes[$target]})"
      # A long file that is shipped as it is can be read where it comes from.
      sed -n -f "$stage/secrets" -e '1,60s/^/+/p;61s/.*/+.../p' "${staged[$target]}" >&2
    fi
  done
}

own() { # OWNER PATH: as far as we may
  local user=${1%:*} group=${1#*:}
  if [ $EUID != 0 ]; then return 0; fi
  case $1 in
    /*) chown --reference="$1" "$2" ;;
    root:root) chown 0:0 "$2" ;;
    *)
      if ! getent passwd "$user" >/dev/null; then user=''; fi
      if ! getent group "$group" >/dev/null; then group=''; fi
      if [ -n "$user$group" ]; then chown "$user${group:+:$group}" "$2"; fi
      ;;
  esac
}

put() { # TARGET
  local target=$1 new=${staged[$1]} was backup
  if [ -e "$target" ]; then was=$(recorded "$target" 1); else was=created; fi
  # An older one of ours, which nobody has edited, needs no backup.
  if [ "$was" = created ]; then
    record created "$(sum "$new")" "$target"
  else
    back_up "$target"
    record edited "$(sum "$new")" "$target" "$backup"
  fi
  replace "$target" "${modes[$target]:-}" "${owners[$target]:-}" <"$new"
  changed=yes
  say "done: $target"
}

# back_up TARGET: sets `backup` to the file that --uninstall goes back to.
back_up() {
  local target=$1 old
  old=$(recorded "$target" 4)
  backup=$old
  # The oldest one, unless the administrator has edited the file since: then it is that file without our lines.
  if [ -n "$old" ] && [ "$(recorded "$target" 2)" = "$(sum "$target")" ]; then return 0; fi
  backup=$(target_of "$target")$backup_suffix
  if [ -z "$old" ]; then
    keep "$target" "$backup"
  else
    without_ours "$target" | replace "$backup" 600 "$target"
    if [ "$old" != "$backup" ] && [ -e "$old" ]; then discard "$old"; fi
  fi
}

# Takes our lines out of a text: blocks between marks, and the includes that name us.
without_ours() {
  awk '/sidecall: begin/ { ours = 1; blank = 0 } { if (!ours && !/X-PRE-PROCESS cmd="include" data="sidecall\//) print }
    /sidecall: end/ { ours = 0 }' "$1"
}

# take_back KIND SUM PATH [BACKUP]: undoes one line of the manifest.
take_back() {
  local kind=$1 sum=$2 path=$3 backup=${4:-}
  if [ "$kind" = dir ]; then
    if [ "$dry" = no ]; then journal empty "$path"; fi
    return 0
  fi
  if [ "$kind" = option ] || [ ! -e "$path" ]; then return 0; fi
  if [ "$kind" = edited ]; then
    if [ "$(sum "$path")" = "$sum" ] && [ -f "$backup" ]; then
      say "restore $path as it was"
      if [ "$dry" = no ]; then
        replace "$path" '' '' <"$backup"
        discard "$backup"
      fi
    else
      say "take our lines out of $path (it was edited since; what it was before is in ${backup##*/})"
      if [ "$dry" = no ]; then
        without_ours "$path" >"$stage/without"
        replace "$path" '' '' <"$stage/without"
      fi
    fi
  elif [ "$(sum "$path")" = "$sum" ] || { [ "$purge" = yes ] && [ "${path#"$etc"/}" != "$path" ]; }; then
    say "remove $path"
    if [ "$dry" = no ]; then discard "$path"; fi
  elif [ "${path#"$etc"/}" != "$path" ]; then
    say "keep $path: you edited it (--purge removes it)"
    kept=yes
  else
    say "move $path away: you edited it; it is kept as ${path##*/}$backup_suffix"
    if [ "$dry" = no ]; then
      keep "$path" "$path$backup_suffix"
      discard "$path"
    fi
  fi
}
