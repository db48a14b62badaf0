# How far builds are, and how long they still take: cargo's own progress bar, read and said again with an estimate.
# shellcheck shell=bash

# Parts of a build's time, in percent of that of the crates before: sidecall itself comes last and is the largest
# crate; the second build takes about as long as so much of the first one.
own_share=50 second_share=70

# build_shown BUILDS COMMAND...: runs `cargo build`, the first of so many builds that are still to come.
build_shown() {
  local builds=$1 width=80
  shift
  CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=$width "$@" 2>&1 | build_progress "$builds"
}

# Reads what cargo writes: lines, and bars that end with a carriage return. Everything that is neither a bar nor a
# crate's name is passed on: warnings, errors, a lock that somebody else holds.
build_progress() { # BUILDS
  local builds=$1 begin=$SECONDS said=$SECONDS part rest='' line read
  local crates=0 all=0 tail_begin=0
  while :; do
    read=0
    IFS= read -r -t 2 -d $'\r' part || read=$?
    rest+=$part
    if [ "$read" -gt 128 ]; then
      build_say
      continue
    fi
    while IFS= read -r line; do build_line; done <<<"$rest"
    rest=''
    if [ "$read" != 0 ]; then break; fi
    build_say
  done
  if [ -t 2 ] && [ "$all" != 0 ]; then printf '\r\033[K' >&2; fi
}

build_line() {
  if [[ $line =~ Building\ \[.*\]\ ([0-9]+)/([0-9]+) ]]; then
    crates=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
    if [ "$tail_begin" = 0 ] && [ $((all - crates)) -le 3 ]; then tail_begin=$((SECONDS + 1)); fi
  elif [[ $line =~ ^\ *(Compiling|Downloaded|Finished|Fetch|Downloading|Locking)\  || -z ${line// /} ]]; then
    :
  else
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
    say "$line"
  fi
}

# One line every ten seconds; on a terminal always the same line.
build_say() {
  local text
  text="building: $crates of $all crates$(build_left)"
  if [ "$all" = 0 ]; then text='looking for the crates it needs, downloading those that are missing'; fi
  if [ -t 2 ]; then
    printf '\r\033[K  %s' "$text" >&2
  elif [ $((SECONDS - said)) -ge 10 ]; then
    said=$SECONDS
    say "  $text"
  fi
}

# Counts the time until now against the crates until now. What was built before takes no time and isn't counted by
# cargo either.
build_left() {
  local past=$((SECONDS - begin)) before whole left
  if [ "$past" -lt 10 ] || [ "$crates" -lt 10 ]; then return 0; fi
  before=$((past * all / crates))
  if [ "$tail_begin" != 0 ]; then before=$((tail_begin - begin)); fi
  whole=$((before * (100 + own_share) / 100))
  left=$((whole > past ? whole - past : 0))
  if [ "$builds" -gt 1 ]; then left=$((left + whole * second_share / 100)); fi
  if [ "$left" -lt 45 ]; then
    printf ', less than a minute left'
  else
    printf ', about %s left' "$(((left + 30) / 60)) minute$([ $(((left + 30) / 60)) = 1 ] || printf s)"
  fi
}
