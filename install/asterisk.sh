# What install.sh does to an Asterisk. The commands that it asks Asterisk with go through ast_cli.
# shellcheck shell=bash disable=SC2154,SC2034

ast_cli() {
  local cli
  if [ -z "${ASTERISK:-}" ] && { [ -n "$root" ] || ! have asterisk; }; then return 1; fi
  read -ra cli <<<"${ASTERISK:-asterisk}" # more than one word is allowed
  "${cli[@]}" -rx "$1" 2>/dev/null
}

pbx_find() {
  local dir
  if [ -n "$conf" ]; then return 0; fi
  # The one that is running knows best.
  dir=$(ast_cli 'core show settings' | sed -n 's/^ *Configuration directory: *//p') || true
  if [ -z "$dir" ]; then
    # [directories](!) is a template, which Asterisk doesn't read.
    dir=$(awk '/^\[/ { in_it = $0 ~ /^\[directories\] *$/ } in_it && /^astetcdir/ { print $NF }' \
      "$root/etc/asterisk/asterisk.conf" 2>/dev/null || true)
    dir=$root${dir:-/etc/asterisk}
  fi
  conf=$dir
  [ -n "$conf" ] && [ -f "$conf/extensions.conf" ]
}

# ast_files FILE: its name, and those of what it includes. Our own are left out.
ast_files() {
  local line included
  case ${1##*/} in sidecall*.conf) return 0 ;; esac
  printf '%s\n' "$1"
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line =~ ^[[:space:]]*\#(try)?include[[:space:]]+[\"\<]?([^\"\>\;]+) ]]; then
      included=${BASH_REMATCH[2]}
      if [ "${included:0:1}" != / ]; then included=$conf/$included; fi
      for included in $included; do
        if [ -f "$included" ]; then ast_files "$included"; fi
      done
    fi
  done <"$1"
}

# ast_has_section NAME: whether extensions.conf, or what it includes, has a line [NAME] as it is going to be.
ast_has_section() {
  local file
  ast_files "$conf/extensions.conf" | while IFS= read -r file; do cat "$(now "$file")"; done |
    grep -E "^\[${1//./\\.}\]" >/dev/null
}

ast_is_freepbx() { [ -f "$root/etc/freepbx.conf" ] || [ -f "$conf/extensions_additional.conf" ]; }

# ast_general NAME: what manager.conf says in [general].
ast_general() {
  awk -F '[ \t]*=>?[ \t]*' -v name="$1" '
    /^\[/ { in_it = $0 ~ /^\[general\]/ } { sub(/[ \t]*;.*/, "") }
    in_it && $1 == name { value = $2 } END { print value }' "$conf/manager.conf"
}

# A secret that the user [sidecall] has already, whoever made it. A comment begins at a `;` without a backslash in front.
ast_known_secret() {
  awk '
    { gsub(/\\;/, "\001"); sub(/;.*/, ""); gsub("\001", ";") }
    /^\[/ { in_it = $0 ~ /^\[sidecall\]/ }
    in_it && /^[ \t]*secret[ \t]*=/ {
      sub(/^[^=]*=>?[ \t]*/, "")
      sub(/[ \t\r]+$/, "")
      if ($0 != "CHANGE-ME") { print; exit }
    }' "$conf"/manager*.conf "$conf"/manager.d/*.conf "$conf"/sidecall-manager.conf 2>/dev/null || true
}

# ast_has_filter LINE FILE...: whether the user [sidecall] in these files, whoever made it, has the filter of this line.
ast_has_filter() {
  local line=$1
  shift
  awk -v wanted="${line#*=}" '
    { sub(/;.*/, "") }
    /^\[/ { in_it = $0 ~ /^\[sidecall\]/ }
    in_it && /^[ \t]*eventfilter[ \t]*=/ {
      sub(/^[^=]*=>?[ \t]*/, "")
      sub(/[ \t\r]+$/, "")
      if ($0 == wanted) { found = 1 }
    }
    END { exit !found }' "$@"
}

# ast_say_filter FILE...: the user [sidecall] in these files is an administrator's, who alone can add to it.
ast_say_filter() {
  local line
  line=$(grep '^eventfilter=' dialplan/asterisk/manager.conf)
  if ast_has_filter "$line" "$@"; then return 0; fi
  warn "your manager user [sidecall] lacks a line, without which a caller can forge events:"
  say "  $line"
  if [ $# = 1 ]; then
    say "Add it to the section [sidecall] of $1."
  elif ast_is_freepbx; then
    say "Add it to $conf/manager_custom.conf, behind a line [sidecall](+)."
  else
    say "Add it to the section [sidecall]."
  fi
  say "Then asterisk -rx 'manager reload', and restart sidecall."
}

# ast_value TEXT: as it is written behind `name=`.
ast_value() {
  local text=${1//';'/'\;'}
  # `=>` is one sign.
  if [ "${text:0:1}" = '>' ]; then text=" $text"; fi
  printf '%s' "$text"
}

# ast_append FILE LINE [LINES]: a marked block at the end of a file, which may not be there yet, unless it has the
# line. LINES stand before it.
ast_append() {
  local file=$1 block
  block=$(printf '; sidecall: begin\n%s%s\n; sidecall: end' "${3:+$3$'\n'}" "$2")
  if [ ! -f "$(now "$file")" ]; then
    printf '%s\n' "$block" | want "$file" 640 "$conf/extensions.conf"
  elif ! sed 's/[ \t]*$//' "$(now "$file")" | grep -xF "$2" >/dev/null; then
    # A last line without its end gets one.
    { awk 1 "$(now "$file")" && printf '%s\n' "$block"; } | edit "$file"
  fi
}

# ast_drop_include FILE: takes out the include of our manager user if that file is not there: an earlier version left such
# a line, and Asterisk reads nothing of a file that has one.
ast_drop_include() {
  local line='#include "sidecall-manager\.conf"[[:blank:]]*'
  if [ -e "$(now "$conf/sidecall-manager.conf")" ] || ! grep -qsE "^$line\$" "$(now "$1")"; then return 0; fi
  sed -Ez "s/(^|\n)(; sidecall: begin\n)?$line(\n; sidecall: end)?(\n|\$)/\\1/" "$(now "$1")" | edit "$1"
}

ast_plan_manager() {
  local like=$conf/manager.conf into='' secret file line bind port permit only_loopback=no
  [ -f "$like" ] || die "$like is missing: is this Asterisk's configuration? (--pbx-conf names another folder)"
  secret=$(ast_known_secret)
  secret=${secret:-$(secret_in "$etc/asterisk.password")}
  hide "$secret" "$(ast_value "$secret")"
  bind=$(ast_general bindaddr)
  case $(ast_general enabled) in
    yes | true | y | t | 1 | on)
      case ${bind:-0.0.0.0} in
        127.* | ::1 | localhost) ;;
        *)
          warn "the manager listens on ${bind:-every address}, without TLS unless tlsenable says so."
          say "If nothing outside this machine needs it, set bindaddr=127.0.0.1 in [general] of $like."
          ;;
      esac
      ;;
    *) only_loopback=yes ;; # nobody uses it: it begins on loopback
  esac
  pbx_address=127.0.0.1
  # One address that isn't loopback: there it is reached, and from there.
  if [[ $only_loopback = no && $bind =~ ^[0-9.]+$ && $bind != 0.0.0.0 ]]; then pbx_address=$bind; fi
  permit=$pbx_address
  port=$(ast_general port)
  pbx_address=$pbx_address:${port:-5038}

  if grep -qE '^#include +"?manager\.d/\*\.conf' "$like"; then
    file=$conf/manager.d/sidecall.conf
  else
    file=$conf/sidecall-manager.conf into=$like
    # FreePBX writes manager.conf anew.
    if ast_is_freepbx; then into=$conf/manager_custom.conf; fi
  fi
  if [ ! -f "$file" ] && grep -qs '^\[sidecall\]' "$conf"/manager*.conf; then
    ast_say_filter "$conf"/manager*.conf
  else
    # Asterisk reads nothing of a file that includes one which is missing.
    if [ -n "$into" ]; then ast_append "$into" '#include "sidecall-manager.conf"'; fi
    while IFS= read -r line; do
      case $line in
        secret=CHANGE-ME) line=secret=$(ast_value "$secret") ;;
        permit=127.0.0.1/*) line=permit=$permit/${line#*/} ;;
        enabled=yes) if [ $only_loopback = yes ]; then line+=$'\nbindaddr=127.0.0.1'; fi ;;
      esac
      printf '%s\n' "$line"
    done <dialplan/asterisk/manager.conf | want "$file" 640 "$like"
    # Ours, but kept as it was edited.
    if [ -f "$file" ] && ! is_planned "$file"; then ast_say_filter "$file"; fi
  fi
  for file in "$like" "$conf/manager_custom.conf"; do ast_drop_include "$file"; done
  printf '%s\n' "$secret" | want "$etc/asterisk.password" 600 sidecall:sidecall
}

# ast_entry CONTEXT NAME SUBROUTINE: [NAME] in front of an administrator's [CONTEXT]. It announces a call and goes on there.
#
# Asterisk looks up a number in a context for many reasons: whether a call or a transfer is accepted, whether more
# digits may follow, whether the number parks a call, which hint it has. The answer must be the administrator's, so
# their context is included and no extension stands in front of it. A switch does. It knows only the extension that a
# channel is about to run, if it is a plain number: FILTER leaves out what could end the switch's argument.
# shellcheck disable=SC2016 # Asterisk's dollars
ast_entry() {
  local context=$1 name=$2 subroutine=$3 announces=sidecall-announce-${2#sidecall-} number='${FILTER(+0-9,${EXTEN})}' patterns='_[+0-9]!' pattern
  if [ "$subroutine" = sidecall-attendant ]; then number='${FILTER(+0-9s,${EXTEN})}' patterns+=' s'; fi
  cat <<END

; In front of [$context].
[$name]
eswitch => Loopback/@$announces/\${IF(\$["\${PRIORITY}" != "1"]?:$number)}
END
  if [ "$subroutine" = sidecall-originating ]; then printf 'include => sidecall-enrol\n'; fi
  printf 'include => %s\n[%s]\n' "$context" "$announces"
  for pattern in $patterns; do
    # A SIP MESSAGE that the dialplan handles is no call.
    printf 'exten => %s,1,GosubIf($["${CHANNEL(channeltype)}" != "Message"]?%s,s,1)\n' "$pattern" "$subroutine"
    printf ' same => n,Goto(%s,${EXTEN},1)\n' "$context"
  done
  printf 'include => %s\n' "$context"
}

# ast_entries KIND SUBROUTINE CONTEXT...: the first has a short name; where there are several, each has one of its own.
ast_entries() {
  local kind=$1 subroutine=$2 context
  shift 2
  if [ $# = 1 ]; then
    ast_entry "$1" "sidecall-$kind" "$subroutine"
  elif [ $# -gt 1 ]; then
    printf '\n; [sidecall-%s] is [sidecall-%s-%s].\n[sidecall-%s]\ninclude => sidecall-%s-%s\n' "$kind" "$kind" "$1" "$kind" "$kind" "$1"
    for context in "$@"; do ast_entry "$context" "sidecall-$kind-$context" "$subroutine"; done
  fi
}

# ast_trunk NAME ADDRESS: the example trunk with this name and address. Asterisk itself looks up a host's addresses.
ast_trunk() {
  sed -e "s|192.0.2.10:5060|$2|" -e "s|192.0.2.10|$(trunk_host "$2")|" \
    -e "s|^\[sidecall\]|[$1]|" -e "s|^aors=sidecall\$|aors=$1|" -e "s|^endpoint=sidecall\$|endpoint=$1|" \
    ${trunks:+-e "s|^context=from-trunk |context=sidecall-trunks|"} dialplan/asterisk/pjsip-trunk.conf
}

# ast_check_trunk NAME ADDRESS: what Asterisk would not say before a call fails.
ast_check_trunk() {
  local pjsip file
  if [ ! -f "$conf/pjsip.conf" ]; then return 0; fi
  pjsip=$(ast_files "$conf/pjsip.conf" | while IFS= read -r file; do cat "$file"; done)
  if [ -z "$2" ]; then
    grep -F "[$1]" <<<"$pjsip" >/dev/null || warn "trunk $1: pjsip.conf has no endpoint [$1]"
  elif grep -E "^\[${1//./\\.}\]" <<<"$pjsip" | grep -v '^[^]]*](!' >/dev/null; then
    die "--trunk $1=…: pjsip.conf has [$1] already: use --existing-trunk $1, or another name"
  elif [ "${2:0:1}" = '[' ]; then
    grep -E '^bind *=.*:.*:' <<<"$pjsip" >/dev/null || warn "trunk $1: pjsip.conf has no transport that binds an IPv6 address"
  fi
}

ast_plan_dialplan() {
  local like=$conf/extensions.conf file=$conf/extensions.conf entry names=() defined=() globals=''
  for entry in $trunk; do names+=("${entry%%=*}"); done
  # shellcheck disable=SC2086 # a list of names
  sed -e "s#^SIDECALL_MAIN=#&$main#" -e "s#^SIDECALL_BEHIND=#&$(joined '|' $behind)#" \
    ${trunk:+-e "s#^SIDECALL_TRUNK=sidecall#SIDECALL_TRUNK=${names[0]}#"} \
    ${trunk:+-e "s#^SIDECALL_TRUSTED=sidecall#SIDECALL_TRUSTED=$(joined '|' "${names[@]}")#"} \
    dialplan/asterisk/sidecall.conf | want "$conf/sidecall.conf" 640 "$like"
  if [ -n "$phones$trunks$attendant" ]; then
    { echo "; Made by install.sh: contexts that announce a call and go on in yours."
      # shellcheck disable=SC2086 # lists of names
      { ast_entries phones sidecall-originating $phones && ast_entries trunks sidecall-terminating $trunks; }
      for entry in $attendant; do ast_entry "$entry" "sidecall-attendant-$entry" sidecall-attendant; done
    } | want "$conf/sidecall-entry.conf" 640 "$like"
  fi
  if ast_is_freepbx; then file=$conf/extensions_custom.conf; fi # its GUI writes extensions.conf anew
  # The settings are added to [globals]: where there is none, Asterisk would not read the file.
  ast_has_section globals || globals='[globals]'
  ast_append "$file" '#include "sidecall.conf"' "$globals"
  if [ -n "$phones$trunks$attendant" ]; then ast_append "$file" '#include "sidecall-entry.conf"'; fi
  for entry in $trunk; do
    ast_check_trunk "${entry%%=*}" "${entry#*=}"
    if [ -n "${entry#*=}" ]; then defined+=("$entry"); fi
  done
  if [ ${#defined[@]} -gt 0 ]; then
    for entry in "${defined[@]}"; do ast_trunk "${entry%%=*}" "${entry#*=}"; done | want "$conf/sidecall-trunk.conf" 640 "$like"
    file=$conf/pjsip.conf
    if ast_is_freepbx; then file=$conf/pjsip.endpoint_custom.conf; fi
    ast_append "$file" '#include "sidecall-trunk.conf"'
  fi
}

# Where calls go out: the packet trunk is tried only there.
ast_say_out() {
  step "And one, if calls may take a packet trunk: say where they go out"
  if ! grep '^\[sidecall-out\]' "$conf/sidecall.conf" >/dev/null; then
    warn "$conf/sidecall.conf, which you edited, is of an earlier version: it still dials the packet trunk on the first"
    say "line of a context, and has no [sidecall-out]. First take over what is new in sidecall.conf.sidecall-new. A line"
    say "Gosub(sidecall-out,...) would end calls until then."
    return 0
  fi
  if ast_is_freepbx; then
    # FreePBX calls this hook in front of the Dial of each outbound route, behind its PINs, permissions, recording
    # and caller ID. Two frames up is the route, which has the number as it was dialled.
    say "FreePBX 17: add to $conf/extensions_custom.conf"
    say "  [macro-dialout-trunk-predial-hook]"
    # shellcheck disable=SC2016 # Asterisk's dollars
    say '  exten => s,1,Gosub(sidecall-out,s,1(${TRUNK_RING_TIMER},${DIAL_TRUNK_OPTIONS},${FILTER(+0-9,${STACK_PEEK(2,e,1)})}))'
    say "   same => n,Return()"
    say "   same => n,StackPop()"
    # shellcheck disable=SC2016
    say '   same => n,Goto(macro-dialout-trunk,s-${DIALSTATUS},1)'
    return 0
  fi
  say "directly in front of each Dial that calls out, with that Dial's own timeout and options:"
  say "   same => n,Gosub(sidecall-out,s,1(60,tT))"
  # shellcheck disable=SC2016 # Asterisk's dollars
  say '   same => n,Dial(PJSIP/${FILTER(+0-9,${EXTEN})}@your-trunk,60,tT)'
  say "Without that line no call takes the packet trunk. Whatever your dialplan checks before the Dial comes first."
  say "A . in a pattern matches any text, also & and , and @: filter what you dial, or a caller writes into your Dial."
}

# ast_say_contexts KIND CONTEXT...: what the endpoints' contexts have to be.
ast_say_contexts() {
  local kind=$1 context name used
  shift
  for context in "$@"; do
    name=sidecall-$kind
    if [ $# -gt 1 ]; then name=$name-$context; fi
    say "$kind: set context=$name (instead of $context) on their endpoints in pjsip.conf"
    # Pickup looks for the context of the phone that rings.
    used=$(ast_files "$conf/extensions.conf" | xargs -r -d '\n' grep -nHE "^[^;]*Pickup\([^)]*@${context//./\\.}\)") || continue
    say "and in these lines Pickup(...@$name) instead of Pickup(...@$context):"
    say "$used"
  done
}

pbx_say_rest() {
  ast_say_in
  ast_say_out
}

ast_say_in() {
  local name
  step "What is left to you"
  for name in $attendant; do
    say "main numbers: let them lead to [sidecall-attendant-$name] (instead of [$name]), e.g. Goto(sidecall-attendant-$name,s,1)"
  done
  for name in $behind; do
    say "calls to $name: add b(sidecall-pass^s^1) to the options of your Dial(PJSIP/...@$name,,...)"
  done
  # shellcheck disable=SC2086 # lists of names
  { ast_say_contexts phones $phones && ast_say_contexts trunks $trunks; }
  if [ -n "$phones$trunks" ]; then say "then: asterisk -rx 'pjsip reload' and asterisk -rx 'dialplan reload'"; fi
  if [ -n "$phones" ] && [ -n "$trunks" ]; then return 0; fi
  if ast_is_freepbx; then
    say "FreePBX: add to $conf/extensions_custom.conf"
    say "  [from-internal-custom]"
    say "  exten => _[+0-9]X.,1,Gosub(sidecall-originating,s,1)"
    # shellcheck disable=SC2016 # Asterisk's dollars
    say '   same => n,Goto(from-internal-additional,${FILTER(-+*#._0-9A-Za-z,${EXTEN})},1)'
    say "  include => sidecall-enrol"
    say "and give your trunks the context sidecall-trunks (run this again with --trunks from-pstn)."
    return 0
  fi
  say "Either run this again with --phones CONTEXT and --trunks CONTEXT (the contexts that your endpoints"
  say "have today), or make this the first line of the extensions where calls come in:"
  say "  phones:  exten => _[+0-9]X.,1,Gosub(sidecall-originating,s,1)"
  say "  trunks:  exten => _[+0-9]X.,1,Gosub(sidecall-terminating,s,1)"
  say "A . in a pattern matches any text, also & and , and @: filter what you dial behind it, as Dial(PJSIP/\${FILTER(+0-9,\${EXTEN})})."
  say "and put this into your phones' context, so that phones can enrol browsers by dialling:"
  say "  include => sidecall-enrol"
}

pbx_plan() {
  ast_plan_manager
  ast_plan_dialplan
}

pbx_reload() {
  local command
  if ! ast_cli 'core show version' >/dev/null; then
    say "Asterisk doesn't answer: it reads its new configuration when it starts, or with"
    say "  asterisk -rx 'dialplan reload'; asterisk -rx 'manager reload'; asterisk -rx 'pjsip reload'"
    return 0
  fi
  for command in 'dialplan reload' 'manager reload' ${trunk:+'pjsip reload'}; do
    say "asterisk -rx '$command'"
    ast_cli "$command" >&2 || warn "$command failed"
  done
  if [ "$uninstall" = no ] && ! ast_cli 'dialplan show s@sidecall-out' | grep sidecall-out >/dev/null; then
    warn "Asterisk has not taken sidecall.conf: its log says why (asterisk -rx 'dialplan reload')"
  fi
  if [ "$uninstall" = no ] && [ -n "$phones$trunks$attendant" ] && ! ast_cli 'core show switches' | grep Loopback >/dev/null; then
    warn "Asterisk has not loaded pbx_loopback, so calls are not announced: add load=pbx_loopback.so to $conf/modules.conf"
  fi
}

# Calls would fail where something still leads to what is about to go.
pbx_before_uninstall() {
  local used
  used=$(cd "$conf" && grep -nE '^[^;]*(context *=>? *sidecall-|(Gosub|Goto|[bB])\(sidecall-|Pickup\([^)]*@sidecall-)' ./*.conf |
    grep -vE '^\./sidecall(-entry|-trunk)?\.conf:') || return 0
  say "$used"
  die "these lines of yours lead to sidecall's dialplan: change them back first (in $conf), then uninstall"
}
pbx_before_reload() { :; }
pbx_after_uninstall() { pbx_reload; }
