# What install.sh does to a FreeSWITCH. The commands that it asks FreeSWITCH with go through fs_api.
# shellcheck shell=bash disable=SC2154,SC2034

fs_prefixes=(/usr/local/freeswitch/conf /usr/local/freeswitch/etc/freeswitch /etc/freeswitch /opt/freeswitch/conf /opt/freeswitch/etc/freeswitch
  /usr/local/etc/freeswitch /usr/share/freeswitch/conf/vanilla)

# fs_param FILE NAME: the value of a <param>, as it is written.
fs_param() { awk -v name="$2" -f install/param.awk "$1"; }

# xml_decode TEXT, xml_encode TEXT: an attribute's value.
xml_decode() {
  local text=$1
  text=${text//'&lt;'/'<'} text=${text//'&gt;'/'>'} text=${text//'&quot;'/'"'} text=${text//'&apos;'/"'"}
  printf '%s' "${text//'&amp;'/'&'}"
}

xml_encode() {
  local text=${1//'&'/'&amp;'}
  text=${text//'<'/'&lt;'} text=${text//'>'/'&gt;'}
  printf '%s' "${text//'"'/'&quot;'}"
}

# fs_var NAME: a variable that vars.xml sets.
fs_var() {
  sed 's/<!--.*-->//g' "$conf/vars.xml" 2>/dev/null |
    sed -n "s/.*<X-PRE-PROCESS cmd=\"set\" data=\"$1=\([^\"]*\)\".*/\1/p" | tail -n 1
}

# fs_api COMMAND: asks the running FreeSWITCH, over its event socket as the agent does. fs_cli would take the password on
# its command line, which everybody on this machine can read. Fails if there is none.
fs_api() {
  local answer
  if [ -n "$root" ]; then return 1; fi # a root that isn't running
  answer=$(fs_ask "$1" 2>/dev/null) || return 1
  printf '%s\n' "$answer"
}

fs_ask() {
  local LC_ALL=C socket type length reply answer='' # a content's length is in bytes
  exec {socket}<>"/dev/tcp/127.0.0.1/${fs_port:-8021}" || return 1
  fs_headers && [ "$type" = auth/request ] || return 1
  printf 'auth %s\n\n' "${fs_password:-ClueCon}" >&"$socket"
  fs_headers && [[ $reply == +OK* ]] || return 1
  printf 'api %s\n\n' "$1" >&"$socket"
  fs_headers && [ "$type" = api/response ] || return 1
  if [ "$length" -gt 0 ]; then IFS= read -r -t 30 -N "$length" answer <&"$socket" || return 1; fi
  printf '%s' "$answer"
}

# fs_headers: reads the headers of one message from `socket`, up to the empty line.
fs_headers() {
  local line
  type='' length=0 reply=''
  while IFS= read -r -t 30 line <&"$socket"; do
    case $line in
      '') return 0 ;;
      'Content-Type: '*) type=${line#*: } ;;
      'Content-Length: '*) length=${line#*: } ;;
      'Reply-Text: '*) reply=${line#*: } ;;
    esac
  done
  return 1
}

fs_find_conf() {
  local dir asked
  if [ -n "$conf" ]; then return 0; fi
  for dir in "${fs_prefixes[@]}"; do
    if [ -f "$root$dir/autoload_configs/event_socket.conf.xml" ]; then
      conf=$root$dir
      break
    fi
  done
  # The one that is running knows better than any list of places.
  if [ -n "$conf" ]; then fs_read_socket; fi
  if asked=$(fs_api 'global_getvar conf_dir') && [ -d "$asked" ]; then conf=$asked; fi
  if [ -z "$conf" ]; then return 1; fi
}

fs_read_socket() {
  local file=$conf/autoload_configs/event_socket.conf.xml name
  [ -f "$file" ] || die "$file is missing: is mod_event_socket installed? (--pbx-conf names another folder)"
  fs_port=$(fs_param "$file" listen-port)
  fs_listen=$(fs_param "$file" listen-ip)
  fs_written=$(fs_param "$file" password)
  fs_password=$fs_written
  # shellcheck disable=SC2016 # FreeSWITCH's dollars, not ours
  case $fs_password in
    '$${'*'}') name=${fs_password#'$${'} && fs_password=$(fs_var "${name%\}}") ;;
  esac
  fs_password=$(xml_decode "$fs_password")
}

# The context of extensions: the domain that FreeSWITCH itself uses.
fs_domain() {
  local domain
  if domain=$(fs_api 'global_getvar domain') && [[ $domain =~ ^[A-Za-z0-9.-]+$ ]]; then
    printf '%s' "$domain"
    return 0
  fi
  domain=$(fs_var domain)
  if [[ $domain =~ ^[A-Za-z0-9.-]+$ ]]; then printf '%s' "$domain"; fi
}

# The event socket: the agent's way in. The well-known password is refused; a new one takes its place.
fs_plan_socket() {
  local file=$conf/autoload_configs/event_socket.conf.xml
  fs_old_password=$fs_password
  case $fs_password in
    ClueCon | CHANGE-ME | changeme | password | secret | '')
      warn "the event socket's password is the well-known \"$fs_password\": whoever can connect to it owns this PBX."
      say "A generated one takes its place in $file. What else logs in there (fs_cli, a billing"
      say "system) needs the new one: it will be in $etc/freeswitch.password; fs_cli reads it from"
      say "/etc/fs_cli.conf or ~/.fs_cli_conf."
      [ "$fs_written" = "$fs_password" ] ||
        die "the password comes from a variable in vars.xml: change it there, then run this again"
      fs_password=$(secret_in "$etc/freeswitch.password")
      xml_encode "$fs_password" >"$stage/password"
      awk -v name=password -v new="$stage/password" -f install/param.awk "$file" | edit "$file"
      rm "$stage/password"
      ;;
  esac
  case $fs_listen in
    127.* | ::1 | localhost) ;;
    *)
      warn "the event socket listens on \"$fs_listen\", which is every address of this machine, and speaks no TLS."
      say "If nothing outside this machine needs it, set listen-ip to 127.0.0.1 in $file."
      ;;
  esac
  hide "$fs_password" "$(xml_encode "$fs_password")" "$fs_old_password" "$(xml_encode "$fs_old_password")"
  printf '%s\n' "$fs_password" | want "$etc/freeswitch.password" 600 sidecall:sidecall
}

# fs_include CONTEXT SNIPPET: one line, the first inside the context.
fs_include() {
  local context=$1 snippet=$2 file line
  line="    <X-PRE-PROCESS cmd=\"include\" data=\"sidecall/$snippet.xml\"/>"
  file=$(grep -lE "<context name=\"$context\"" "$conf"/dialplan/*.xml 2>/dev/null | head -n 1 || true)
  if [ -n "$file" ] && awk -v begin="<context name=\"$context\"" \
    'index($0, begin) { inside = 1 } inside { print } /<\/context>/ { inside = 0 }' "$(now "$file")" |
    grep "data=\"sidecall/$snippet.xml\"" >/dev/null; then return 0; fi
  # Behind the tag, if that is a line of its own and no comment.
  if [ -n "$file" ] && awk -v line="$line" -v begin="<context name=\"$context\"" '
    { print }
    /<!--/ { comment = 1 }
    !comment && !done && $0 ~ "^[ \t]*" begin "[^>]*>[ \t\r]*$" { print line; done = 1 }
    /-->/ { comment = 0 }
    END { exit !done }' "$(now "$file")" >"$stage/included"; then
    edit "$file" <"$stage/included"
    return 0
  fi
  warn "no file in $conf/dialplan has <context name=\"$context\"> as a line. Where your calls come in, add as the first line:"
  say "$line"
}

fs_is_fusionpbx() { [ -d "$root/etc/fusionpbx" ] || [ -d "$root/var/www/fusionpbx" ]; }

# fs_gateway_host NAME: the host of a gateway that is there already. FreeSWITCH takes the realm where there is no proxy,
# and the name where there is no realm.
fs_gateway_host() {
  local file host name
  file=$(grep -lE "<gateway[ \t][^>]*name=\"$1\"" "$conf"/sip_profiles/*/*.xml 2>/dev/null | head -n 1)
  [ -n "$file" ] || die "--existing-trunk $1: no gateway of that name in $conf/sip_profiles"
  sed 's/<!--.*-->//g' "$file" | awk -v begin="name=\"$1\"" '/<gateway[ \t]/ { it = index($0, begin) } it { print } /<\/gateway>/ { it = 0 }' >"$stage/gateway"
  for name in proxy realm; do
    host=$(fs_param "$stage/gateway" $name)
    if [ -n "$host" ]; then break; fi
  done
  host=${host:-$1}
  host=${host#sip:}
  host=$(trunk_address "${host%%;*}") || die "--existing-trunk $1: the proxy of that gateway is $host, which is no address and no host name"
  trunk_host "$host"
}

# fs_plan_trunk NAME ADDRESS: adds to `trusted`, by address, who may bring an address along.
fs_plan_trunk() {
  local name=$1 host address found profile=external-ipv6
  if [ -n "$2" ]; then host=$(trunk_host "$2"); else host=$(fs_gateway_host "$name") || exit 1; fi
  found=$(host_addresses "$host") || die "trunk $name: $host has no address: check the name, or give the address"
  if is_host_name "$host"; then
    say "trunk $name: $host is ${found//$'\n'/, } today, and FreeSWITCH believes only these. Run this again when they change."
  fi
  for address in $found; do
    case $address in
      *:*) address+=/128 ;;
      *) address+=/32 profile=external ;;
    esac
    if [[ " ${trusted[*]} " != *" $address "* ]]; then trusted+=("$address"); fi
  done
  if [ -z "$2" ]; then return 0; fi
  [ -f "$conf/sip_profiles/$profile.xml" ] || warn "trunk $name: there is no SIP profile $profile, which it needs"
  sed -e "s|192.0.2.10:5060|$2|" -e "s|<gateway name=\"sidecall\">|<gateway name=\"$name\">|" \
    dialplan/freeswitch/trunk.xml | want "$conf/sip_profiles/$profile/$name.xml" 644 "$conf/freeswitch.xml"
}

# fs_plan_list FILE NETWORK...: the list [sidecall-trusted] in acl.conf.xml. FreeSWITCH compares an IPv6 network that
# isn't in a list with IPv4 callers too.
fs_plan_list() {
  local file=$1 list network
  shift
  list='    <!-- sidecall: begin -->'$'\n''    <list name="sidecall-trusted" default="deny">'
  for network in "$@"; do list+=$'\n'"      <node type=\"allow\" cidr=\"$network\"/>"; done
  list+=$'\n    </list>\n    <!-- sidecall: end -->'
  without_ours "$(now "$file")" | awk -v list="$list" '
    { print }
    /^[ \t]*<network-lists>[ \t\r]*$/ && !done { print list; done = 1 }
    END { exit !done }' >"$stage/lists" || die "$file has no line <network-lists> for the trunk's addresses"
  edit "$file" <"$stage/lists"
}

fs_plan_dialplan() {
  local like=$conf/freeswitch.xml snippet entry name trusted=()
  for entry in $trunk; do fs_plan_trunk "${entry%%=*}" "${entry#*=}"; done
  if [[ ${trusted[*]} = *:* ]]; then
    fs_plan_list "$conf/autoload_configs/acl.conf.xml" "${trusted[@]}"
    trusted=(sidecall-trusted)
  fi
  sed -e "s#sidecall_main=#&$main#" ${behind:+-e 's#sidecall_behind=no#sidecall_behind=yes#'} \
    ${trunk:+-e "s#sidecall_trusted=192.0.2.10/32#sidecall_trusted=$(joined , "${trusted[@]}")#"} \
    ${trunk:+-e "s#sidecall_trunk=sidecall#sidecall_trunk=${trunk%%=*}#"} dialplan/freeswitch/sidecall.xml |
    want "$conf/dialplan/sidecall.xml" 644 "$like"
  for snippet in announce enrol leg originating terminating attendant out; do
    want "$conf/dialplan/sidecall/$snippet.xml" 644 "$like" <"dialplan/freeswitch/sidecall/$snippet.xml"
  done
  if fs_is_fusionpbx; then
    say ""
    say "This is a FusionPBX: it keeps its dialplan in its database, which this script leaves alone."
    say "In Dialplan > Dialplan Manager add these entries, each with an order before those of all others in its"
    say "context, in this order, and paste into their XML each <extension> of the file named:"
    say "  context sidecall          $conf/dialplan/sidecall.xml (enrolled, route, restore, unanswered)"
    say "  context \${domain_name}   $conf/dialplan/sidecall/enrol.xml"
    say "  context \${domain_name}   $conf/dialplan/sidecall/leg.xml"
    say "  context \${domain_name}   $conf/dialplan/sidecall/originating.xml"
    say "  context public            $conf/dialplan/sidecall/leg.xml"
    say "  context public            $conf/dialplan/sidecall/terminating.xml"
    say "FusionPBX reads no line that includes a file: in originating.xml and terminating.xml, paste the <condition> elements of"
    say "  $conf/dialplan/sidecall/announce.xml in place of the line that includes it."
    say "In each outbound route, in front of its bridge (a lower order), add the actions of"
    say "  $conf/dialplan/sidecall/out.xml"
    say "The settings stay at the top of $conf/dialplan/sidecall.xml. If the event socket's password"
    say "is a new one, FusionPBX itself needs it as well (its config.conf: switch.event_socket.password)."
  else
    for name in ${phones:-default}; do fs_include "$name" originating; done
    for name in ${trunks:-public}; do fs_include "$name" terminating; done
    for name in $attendant; do fs_include "$name" attendant; done
  fi
}

pbx_find() { fs_find_conf; }

# Says which edited file executes what `sidecall.xml` no longer has.
fs_say_older() {
  local name file
  file=$conf/dialplan/sidecall/enrol.xml
  if ! grep '<extension name="wait">' "$conf/dialplan/sidecall.xml" >/dev/null && grep 'data="wait XML sidecall"' "$file" >/dev/null; then
    warn "$file, which you edited, is of an earlier version: it enrols hardly any browser until you take over"
    say "what is new in enrol.xml.sidecall-new."
  fi
  if grep '<extension name="announce">' "$conf/dialplan/sidecall.xml" >/dev/null; then return 0; fi
  for name in originating terminating; do
    file=$conf/dialplan/sidecall/$name.xml
    if grep 'data="announce XML sidecall"' "$file" >/dev/null; then
      warn "$file, which you edited, is of an earlier version: it announces no call until you take over"
      say "what is new in $name.xml.sidecall-new."
    fi
  done
}

pbx_say_rest() {
  local name
  if ! fs_is_fusionpbx; then
    fs_say_older
    if ! grep 'data="sidecall_emergency=' "$conf/dialplan/sidecall.xml" >/dev/null; then
      warn "$conf/dialplan/sidecall.xml, which you edited, is of an earlier version: no call is announced until you take over"
      say "what is new in sidecall.xml.sidecall-new."
    fi
    step "One step is yours, if calls may take a packet trunk: say where they go out"
    say "directly in front of the bridge of each route that calls out, inside its <condition>:"
    # shellcheck disable=SC2016 # FreeSWITCH's dollars
    say '  <X-PRE-PROCESS cmd="include" data="$${conf_dir}/dialplan/sidecall/out.xml"/>'
    # shellcheck disable=SC2016
    say '  <action application="bridge" data="sofia/gateway/your-trunk/$1"/>'
    say "Without that line no call takes the packet trunk. Whatever your route checks before its bridge comes first."
  fi
  if [ -z "$behind" ]; then return 0; fi
  step "One step is yours: hand on the addresses"
  for name in $behind; do
    say "where your dialplan bridges to $name:  {\${sidecall_pass}}sofia/gateway/$name/..."
  done
}

pbx_plan() {
  fs_read_socket
  fs_plan_socket
  context=${context:-$(fs_domain)}
  pbx_address=127.0.0.1:${fs_port:-8021}
  fs_plan_dialplan
}

pbx_reload() {
  local new=$fs_password answer profile
  fs_password=$fs_old_password
  if ! fs_api status >/dev/null; then
    say "FreeSWITCH doesn't answer: it reads its new configuration when it starts, or with"
    say "  fs_cli -x reloadxml; fs_cli -x 'reload mod_event_socket'"
    return 0
  fi
  say "fs_cli -x reloadxml"
  answer=$(fs_api reloadxml) || true
  say "$answer"
  # What can't be read shows at the next start at the latest: then none of it works.
  case $answer in *+OK*) ;; *) warn "FreeSWITCH can't read its configuration: see its log, or take everything back with --uninstall" ;; esac
  if [ -n "$trunk" ]; then
    say "fs_cli -x reloadacl"
    fs_api reloadacl >&2 || true
    for profile in external external-ipv6; do
      if [ ! -f "$conf/sip_profiles/$profile.xml" ]; then continue; fi
      say "fs_cli -x 'sofia profile $profile rescan'"
      fs_api "sofia profile $profile rescan" >&2 || true
    done
  fi
  if [ "$new" != "$fs_old_password" ]; then
    # In the background: it ends the connection that asks for it.
    say "fs_cli -x 'bgapi reload mod_event_socket'   (the new password)"
    fs_api 'bgapi reload mod_event_socket' >&2 || true
    fs_password=$new
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
      if fs_api status >/dev/null; then return 0; fi
      sleep 1
    done
    warn "FreeSWITCH doesn't take the new password yet (tried $try times): restart it when no calls are up"
  fi
}

# After a kill: FreeSWITCH may still have the password from before that run.
pbx_before_reload() {
  local before=$conf/autoload_configs/event_socket.conf.xml.sidecall-before
  fs_read_socket
  fs_old_password=$fs_password
  if [ -f "$before" ] && ! fs_api status >/dev/null; then fs_old_password=$(xml_decode "$(fs_param "$before" password)"); fi
}

# Before the files are taken back: the password that FreeSWITCH has now, and whether that will change.
pbx_before_uninstall() {
  conf=${conf:-$(awk -F '\t' '/\/dialplan\/sidecall.xml/ { sub("/dialplan/sidecall.xml$", "", $3); print $3 }' "$manifest")}
  fs_read_socket
  fs_old_password=$fs_password
}

pbx_after_uninstall() {
  fs_read_socket
  if [ "$fs_password" = ClueCon ]; then
    warn "the event socket has its well-known password again, as it was before: please change it"
  fi
  pbx_reload
  local entry profile
  for entry in $trunk; do
    if [ -z "${entry#*=}" ]; then continue; fi # it was there before
    for profile in external external-ipv6; do fs_api "sofia profile $profile killgw ${entry%%=*}" >&2 || true; done
  done
}
