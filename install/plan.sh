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
declare -gA planned_from=() # the SHA-256 of what a target was, when it was planned
changed=no

sum() { sha256sum <"$1" | cut -d ' ' -f 1; }

# The manifest in memory: each path's line, and the paths in their order. `places` has a path's index in `order`.
# Entries of `order` that `places` doesn't point to are superseded. What is recorded stands on disk when the run is complete.
declare -gA lines=() places=()
order=()

read_manifest() {
  local line kind path
  lines=() places=() order=()
  if [ ! -f "$manifest" ]; then return 0; fi
  while IFS= read -r line || [ -n "$line" ]; do
    IFS=$'\t' read -r kind _ path _ <<<"$line"
    case $kind:$path in
      created:?* | edited:?* | dir:?* | option:?*) add_line "$path" "$line" ;;
      *) warn "$manifest has a line that is no line of ours, which is skipped: $line" ;;
    esac
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
  add_to_plan "$target"
}

add_to_plan() { # TARGET
  plan+=("$1")
  planned_from[$1]=$(sum_or_none "$1")
}

# sum_or_none PATH
sum_or_none() { if [ -e "$1" ]; then sum "$1"; fi; }

# check_plan: a file that is a mount point of its own, as containers have them, can't be replaced.
check_plan() {
  local target file
  for target in "${plan[@]}"; do
    file=$(target_of "$target")
    if [ -e "$file" ] && [ "$(stat -c %m "$file")" = "$file" ]; then
      die "$file is mounted by itself and can't be replaced: mount its folder instead, or run this where the file comes from"
    fi
  done
}

# edit TARGET: standard input is what an existing file should become, whoever has edited it.
edit() {
  local target=$1 new
  cat >"$stage/edited"
  new=${staged[$target]:-$stage/files/${#staged[@]}}
  cat "$stage/edited" >"$new"
  staged[$target]=$new
  if ! is_planned "$target" && ! cmp -s "$new" "$target"; then add_to_plan "$target"; fi
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
  local target mask
  # Other people's secrets are in the lines around ours: password=…, secret => …, name="password" value="…".
  mask='s/((secret|passw|pin|auth|token|cred)[^=">]*(" +value)?[ \t]*=>?[ \t]*["'\'']?)[^"'\''>]+/\1(secret)/Ig'
  for target in "${plan[@]}"; do
    if [ -e "$target" ]; then
      say ""
      if [ "$(recorded "$target" 1)" = created ]; then
        say "renew $target"
      else
        say "edit $target (its backup: ${target##*/}$backup_suffix)"
      fi
      diff -u --label "$target (now)" --label "$target (then)" "$target" "${staged[$target]}" |
        sed -E -f "$stage/secrets" -e "$mask" >&2 || true
    else
      say ""
      say "create $target (mode ${modes[$target]})"
      # A long file that is shipped as it is can be read where it comes from.
      sed -n -f "$stage/secrets" -e '1,60s/^/+/p;61s/.*/+.../p' "${staged[$target]}" >&2 || true
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
  local target=$1 new=${staged[$1]} was now backup
  was=$(recorded "$target" 1)
  now=$(sum_or_none "$target")
  [ "$now" = "${planned_from[$target]}" ] || die "$target changed meanwhile: run this again"
  # A new one, or an older one of ours that nobody has edited, needs no backup.
  if [ -z "$now" ] || { [ "$was" = created ] && [ "$(recorded "$target" 2)" = "$now" ]; }; then
    record created "$(sum "$new")" "$target"
  else
    back_up "$target"
    record edited "$(sum "$new")" "$target" "$backup"
  fi
  replace "$target" "${modes[$target]:-}" "${owners[$target]:-}" "$new"
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
  if [ -z "$(recorded "$target" 1)" ]; then
    keep "$target" "$backup"
  else
    without_ours "$target" >"$stage/without"
    replace "$backup" 600 "$target" "$stage/without"
    if [ -z "$old" ]; then return 0; fi
    if [ "$old" != "$backup" ] && [ -e "$old" ]; then discard "$old"; fi
  fi
}

# without_ours FILE: its text without our lines, which are blocks between marks, and includes that name us. Of a block
# whose end somebody has removed, only lines go that are known to be ours.
without_ours() {
  awk '
    function known(line) {
      if (line ~ /sidecall: (begin|end)/ || line ~ /^#include "sidecall[a-z-]*\.conf"/) return 1
      if (line ~ /<list name="sidecall-trusted"/) { list = 1; return 1 }
      if (list && line ~ /<\/list>/) { list = 0; return 1 }
      return list && line ~ /<node type="allow" cidr=/
    }
    function no_end(i) {
      list = 0
      for (i = 1; i <= n; i++) if (!known(block[i])) print block[i]
      n = 0
    }
    /sidecall: begin/ { no_end(); ours = 1 }
    /sidecall: end/ { ours = n = 0; next }
    ours { block[++n] = $0; next }
    !/X-PRE-PROCESS cmd="include" data="sidecall\// { print }
    END { no_end() }' "$1"
}

# take_out_ours PATH: what it was stays beside it.
take_out_ours() {
  say "as it is now, it is kept as ${1##*/}$backup_suffix"
  if [ "$dry" = yes ]; then return 0; fi
  keep "$1" "$(target_of "$1")$backup_suffix"
  without_ours "$1" >"$stage/without"
  replace "$1" '' '' "$stage/without"
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
        replace "$path" '' '' "$backup"
        discard "$backup"
      fi
    else
      say "take our lines out of $path (it was edited since; what it was before is in ${backup##*/})"
      take_out_ours "$path"
    fi
    case $path in "$etc"/*) kept=yes ;; esac
  elif [ "$(sum "$path")" = "$sum" ] || { [ "$purge" = yes ] && [ "${path#"$etc"/}" != "$path" ]; }; then
    say "remove $path"
    if [ "$dry" = no ]; then discard "$path"; fi
  elif [ "${path#"$etc"/}" != "$path" ]; then
    say "keep $path: you edited it (--purge removes it)"
    kept=yes
  elif grep -q 'sidecall: begin' "$path" && [ -n "$(without_ours "$path")" ]; then
    say "take our lines out of $path: you edited it"
    take_out_ours "$path"
  else
    say "move $path away: you edited it; it is kept as ${path##*/}$backup_suffix"
    if [ "$dry" = no ]; then
      keep "$path" "$path$backup_suffix"
      discard "$path"
    fi
  fi
}
