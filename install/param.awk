# The <param name="NAME" value="…"> of a FreeSWITCH configuration, which may have its attributes in any order and between
# either quotes. Prints the value as it is written, or, with `new` (a file), everything with that file's first line as the
# value. Comments are not read.
#
#   awk -v name=password [-v new=FILE] -f install/param.awk FILE
{ text = text (NR > 1 ? "\n" : "") $0 }

# Sets `begin` and `size` to where an attribute's value is in a tag.
function attribute(tag, key,    at, close_at) {
  if (!match(tag, "[ \t\r\n]" key "[ \t\r\n]*=[ \t\r\n]*(\"[^\"]*\"|'[^']*')")) return 0
  at = RSTART
  close_at = RSTART + RLENGTH - 1
  begin = at + match(substr(tag, at), /["']/)
  size = close_at - begin
  return 1
}

END {
  if (new != "") getline value < new
  while (match(text, /<!--|<param[ \t\r\n]/)) {
    out = out substr(text, 1, RSTART - 1)
    text = substr(text, RSTART)
    if (substr(text, 1, 4) == "<!--") {
      end = index(text, "-->")
      end = end ? end + 2 : length(text)
    } else {
      match(text, /^<param([^"'>]|"[^"]*"|'[^']*')*/)
      end = RLENGTH
      tag = substr(text, 1, end)
      if (!done && attribute(tag, "name") && substr(tag, begin, size) == name && attribute(tag, "value")) {
        done = 1
        if (new == "") {
          print substr(tag, begin, size)
          exit
        }
        out = out substr(tag, 1, begin - 2) "\"" value "\""
        text = substr(tag, begin + size + 1) substr(text, end + 1)
        continue
      }
    }
    out = out substr(text, 1, end)
    text = substr(text, end + 1)
  }
  if (new != "") print out text
}
