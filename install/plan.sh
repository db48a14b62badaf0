# The plan: every file that is to be made or edited is first written into a staging folder, shown as
# a difference, and put in place only when the administrator agrees. The manifest remembers what was
# done, so that a second run changes nothing and --uninstall takes back exactly that.
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

# recorded PATH FIELD: that field of the manifest's line about a file (1: kind, 2: sum, 4: backup).
recorded() {
  if [ ! -f "$manifest" ]; then return 0; fi
  awk -F '\t' -v path="$1" -v field="$2" '$3 == path { found = $field } END { print found }' "$manifest"
}

# option NAME VALUE: the value, or what an earlier run was given.
option() { if [ -n "$2" ]; then printf '%s' "$2"; else recorded "option:$1" 2; fi; }

record() { # KIND SUM PATH [BACKUP]
  local line
  line=$(printf '%s\t%s\t%s%s' "$1" "$2" "$3" "${4:+$'\t'$4}")
  mkdir -p "$(dirname "$manifest")"
  if [ -f "$manifest" ]; then
    if grep -qxF "$line" "$manifest"; then return 0; fi
    awk -F '\t' -v path="$3" '$3 != path' "$manifest" >"$stage/manifest"
    cat "$stage/manifest" >"$manifest"
  fi
  printf '%s\n' "$line" >>"$manifest"
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

# Secrets are not shown.
masked() { if [ -s "$stage/secrets" ]; then sed -f "$stage/secrets"; else cat; fi; }
hide() { if [ -n "$1" ]; then printf 's|%s|(secret)|g\n' "$(printf '%s' "$1" | sed 's/[][\\.*^$|]/\\&/g')" >>"$stage/secrets"; fi; }

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
      diff -u --label "$target (now)" --label "$target (then)" "$target" "${staged[$target]}" | masked >&2 || true
    else
      say ""
      say "create $target (mode ${modes[$target]})"
      # A long file that is shipped as it is can be read where it comes from.
      masked <"${staged[$target]}" | sed -n '1,60s/^/+/p' >&2
      if [ "$(wc -l <"${staged[$target]}")" -gt 60 ]; then say "+... ($(wc -l <"${staged[$target]}") lines)"; fi
    fi
  done
}

own() { # OWNER PATH: as far as we may
  if [ "$(id -u)" != 0 ]; then return 0; fi
  case $1 in
    /*) chown --reference="$1" "$2" ;;
    *)
      if getent passwd "${1%:*}" >/dev/null; then chown "${1%:*}" "$2"; fi
      if getent group "${1#*:}" >/dev/null; then chgrp "${1#*:}" "$2"; fi
      ;;
  esac
}

make_dir() { # PATH MODE OWNER
  if [ -d "$1" ]; then return 0; fi
  make_dir "$(dirname "$1")" 755 root:root
  mkdir -p "$1"
  chmod "$2" "$1"
  own "$3" "$1"
  record dir - "$1"
}

put() { # TARGET
  local target=$1 backup was untouched=no
  if [ -e "$target" ]; then
    backup=$target$backup_suffix
    was=$(recorded "$target" 1)
    if [ "$(recorded "$target" 2)" = "$(sum "$target")" ]; then untouched=yes; fi
    # An older one of ours, which nobody has edited, needs none.
    if [ "$was" != created ]; then cp -p "$target" "$backup"; fi
    # Through the file that is there: owner, mode and links stay.
    cat "${staged[$target]}" >"$target"
    if [ "$was" = created ]; then
      record created "$(sum "$target")" "$target"
    else
      # The oldest backup is the one to go back to, unless the administrator has edited the file since: then it is that
      # file without our lines.
      if [ -n "$(recorded "$target" 4)" ] && [ $untouched = yes ]; then
        rm -f "$backup"
        backup=$(recorded "$target" 4)
      elif [ -n "$(recorded "$target" 4)" ]; then
        if [ "$(recorded "$target" 4)" != "$backup" ]; then rm -f "$(recorded "$target" 4)"; fi
        without_ours "$backup" >"$stage/without"
        cat "$stage/without" >"$backup"
      fi
      record edited "$(sum "$target")" "$target" "$backup"
    fi
  else
    make_dir "$(dirname "$target")" 755 "${owners[$target]}"
    (umask 077 && cat "${staged[$target]}" >"$target")
    chmod "${modes[$target]}" "$target"
    own "${owners[$target]}" "$target"
    record created "$(sum "$target")" "$target"
  fi
  changed=yes
  say "done: $target"
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
    if [ "$dry" = no ]; then rmdir "$path" 2>/dev/null || true; fi
    return 0
  fi
  if [ "$kind" = option ] || [ ! -e "$path" ]; then return 0; fi
  if [ "$kind" = edited ]; then
    if [ "$(sum "$path")" = "$sum" ] && [ -f "$backup" ]; then
      say "restore $path as it was"
      if [ "$dry" = no ]; then cat "$backup" >"$path" && rm "$backup"; fi
    else
      say "take our lines out of $path (it was edited since; what it was before is in ${backup##*/})"
      if [ "$dry" = no ]; then
        without_ours "$path" >"$stage/without"
        cat "$stage/without" >"$path"
      fi
    fi
  elif [ "$(sum "$path")" = "$sum" ] || { [ "$purge" = yes ] && [ "${path#"$etc"/}" != "$path" ]; }; then
    say "remove $path"
    if [ "$dry" = no ]; then rm "$path"; fi
  elif [ "${path#"$etc"/}" != "$path" ]; then
    say "keep $path: you edited it (--purge removes it)"
    kept=yes
  else
    say "move $path away: you edited it; it is kept as ${path##*/}$backup_suffix"
    if [ "$dry" = no ]; then mv "$path" "$path$backup_suffix"; fi
  fi
}
