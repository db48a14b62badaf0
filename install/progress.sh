# How far builds are, and how long they still take: cargo's own progress bar, read and said again with an estimate.
# shellcheck shell=bash

# As measured on two cores, in percent: sidecall itself comes last and takes so much of the time of all crates before;
# the second build takes so much of the first one.
own_share=60 second_share=50

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
  local crates=0 all=0 fresh='' tail_begin=''
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
    fresh=${fresh:-$crates}
    if [ -z "$tail_begin" ] && [ $((all - crates)) -le 3 ]; then tail_begin=$SECONDS; fi
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

# Counts the time until now against the crates that were built in it; the others were there before.
build_left() {
  local past=$((SECONDS - begin)) built=$((crates - fresh)) before whole left
  if [ $((all - fresh)) -le 3 ]; then printf ', sidecall itself comes last: a few minutes' && return 0; fi
  if [ "$past" -lt 10 ] || [ "$built" -lt 10 ]; then return 0; fi
  before=$((past * (all - fresh) / built))
  if [ -n "$tail_begin" ]; then before=$((tail_begin - begin)); fi
  whole=$((before * (100 + own_share) / 100))
  if [ "$past" -gt "$whole" ]; then whole=$past; fi
  left=$((whole - past))
  if [ "$builds" -gt 1 ]; then left=$((left + whole * second_share / 100)); fi
  if [ "$left" -lt 45 ]; then
    printf ', less than a minute left'
  else
    left=$(((left + 30) / 60))
    printf ', about %s left' "$left minute$([ $left = 1 ] || printf s)"
  fi
}
