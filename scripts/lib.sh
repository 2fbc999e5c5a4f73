# shellcheck shell=bash
# What the scripts share: messages, long steps with their elapsed time, finding tools, and clean-up.
# Sourced, never run. Progress goes to stderr and results to stdout, so that the last line of a script's
# output is its result. Whatever is started here runs in its own process group and is ended by that
# group's id; nothing is ever ended by its name.

# shellcheck disable=SC2034 # variables for the scripts that source this

set -euo pipefail
shopt -s inherit_errexit

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "$0: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
  exit 1
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
program=$(cd "$(dirname "$0")" && pwd -P)/$(basename "$0")
program=${program#"$root"/}

cache=$root/.cache
module=$root/target/portcullis.wasm
wasm_target=wasm32-wasip1
envoy_version=1.40.0

say() { printf '%s\n' "$*" >&2; }

die() { # MESSAGE [STATUS]
  printf '%s: %s\n' "$program" "$1" >&2
  exit "${2:-1}"
}

unknown_option() { die "unknown option \`$1\`; --help lists them" 2; }

have() { command -v "$1" >/dev/null 2>&1; }

need() { # TOOL WHAT-TO-DO
  have "$1" || die "\`$1\` is missing: $2"
}

# --- clean-up ---------------------------------------------------------------------------------------

scratch=        # a private directory for logs, made on first use
groups_alive=() # the process groups that this script started and that have not ended
at_exit=()      # functions to call on the way out, last one first

make_scratch() { [[ -n $scratch ]] || scratch=$(mktemp -d "${TMPDIR:-/tmp}/portcullis.XXXXXX"); }

end_group() { # GROUP: ask, wait up to ten seconds, then insist
  local group=$1 deadline=$((SECONDS + 10))
  kill -TERM -- "-$group" 2>/dev/null || true
  while kill -0 -- "-$group" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.1; done
  kill -KILL -- "-$group" 2>/dev/null || true
  wait "$group" 2>/dev/null || true
}

forget_group() { # GROUP
  local one rest=()
  for one in "${groups_alive[@]}"; do [[ $one == "$1" ]] || rest+=("$one"); done
  groups_alive=("${rest[@]}")
}

clean_up() {
  local status=$? i
  trap '' INT TERM HUP
  for ((i = ${#groups_alive[@]} - 1; i >= 0; i--)); do end_group "${groups_alive[i]}"; done
  for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do "${at_exit[i]}" || true; done
  [[ -z $scratch ]] || rm -rf "$scratch"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- long steps -------------------------------------------------------------------------------------

# Starts a command in its own process group, with nothing to read; the group's id is then in `group`.
spawn() { # COMMAND...
  set -m
  "$@" </dev/null &
  group=$!
  set +m
  groups_alive+=("$group")
}

# Runs a command as a process group and hands back its exit status. A signal to this script interrupts the
# wait at once, and clean_up then ends the whole group. `limit=SECONDS run ...` ends the group after that time
# (timeout(1) would move the command into yet another group, out of clean_up's reach).
run() { # COMMAND...
  local group command watchdog=none status=0
  spawn "$@"
  command=$group
  if [[ -n ${limit:-} ]]; then spawn end_after "$limit" "$command"; watchdog=$group; fi
  wait "$command" || status=$?
  if [[ $watchdog != none ]]; then quiet_end "$watchdog"; fi
  # Whatever the command left running ends with it.
  end_group "$command"
  forget_group "$command"
  return "$status"
}
end_after() { # SECONDS GROUP
  sleep "$1"
  say "   no end in sight after $1 s: ending it"
  end_group "$2"
}
quiet_end() { # GROUP: for our own helpers, which have nothing to tidy up
  { kill -KILL -- "-$1" && wait "$1"; } 2>/dev/null || true
  forget_group "$1"
}

# Says every fifteen seconds that a step is still going.
beat_seconds=15
beat() { # LABEL
  local began=$SECONDS
  while sleep "$beat_seconds"; do say "   $1: still going after $((SECONDS - began)) s"; done
}

# A step whose output matters to the reader: passed through.
stream() { # LABEL COMMAND...
  local label=$1 group beat began=$SECONDS status=0
  shift
  say "== $label"
  spawn beat "$label" >/dev/null
  beat=$group
  run "$@" || status=$?
  quiet_end "$beat"
  if ((status == 0)); then say "== $label: done in $((SECONDS - began)) s"; else say "== $label: failed after $((SECONDS - began)) s"; fi
  return "$status"
}

# A step whose output matters only when it fails: its last lines are shown then.
step() { # LABEL COMMAND...
  local log status=0
  make_scratch
  log=$(mktemp "$scratch/step.XXXXXX")
  stream "$1" logged "$log" "${@:2}" || status=$?
  ((status == 0)) || tail -n 25 "$log" >&2
  return "$status"
}
logged() { # LOG COMMAND...
  "${@:2}" >"$1" 2>&1
}

# --- versions and the Rust toolchains ----------------------------------------------------------------

at_least() { # VERSION MINIMUM
  [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

rust_minimum() { sed -n '/^rust-version = "/ { s/^[^"]*"\([0-9.]*\)".*/\1/p; q }' "$root/Cargo.toml"; }

# The native compiler. Says what is wrong, in one line, when it can't be used.
native_rust_problem() {
  local minimum version
  minimum=$(rust_minimum)
  if ! have cargo || ! version=$(cargo --version 2>/dev/null); then
    echo "no working \`cargo\`: install Rust $minimum or newer with rustup"
  elif version=$(cut -d' ' -f2 <<<"$version") && ! at_least "${version%%-*}" "$minimum"; then
    echo "cargo $version is too old: install Rust $minimum or newer with rustup"
  elif ! have cc; then
    echo "no C linker (\`cc\`): install one (Debian: apt-get install gcc libc6-dev)"
  fi
}

# Does the compiler on PATH have a standard library for the module's target?
rustup_has_wasm() {
  local dir
  dir=$("${RUSTC:-rustc}" --print target-libdir --target "$wasm_target" 2>/dev/null) && compgen -G "$dir/libstd-*.rlib" >/dev/null
}

# The Rust on Debian has no standard library for the target, but packages its sources, a wasm linker and a C library.
debian_wasi_libc=/usr/lib/wasm32-wasi
debian_linker() { compgen -G '/usr/bin/wasm-ld-*' | sort -V | tail -n 1; }
debian_has_wasm() {
  local version sysroot
  [[ -x /usr/bin/cargo && -x /usr/bin/rustc && -e $debian_wasi_libc/libc.a && -n $(debian_linker) ]] || return 1
  version=$(/usr/bin/rustc --version 2>/dev/null | cut -d' ' -f2) && at_least "${version%%-*}" "$(rust_minimum)" || return 1
  sysroot=$(/usr/bin/rustc --print sysroot) && [[ -e $sysroot/lib/rustlib/src/rust/library/std/Cargo.toml ]]
}

# --- Envoy ------------------------------------------------------------------------------------------

# Envoy names itself as COMMIT/VERSION/STATUS/TYPE/TLS.
envoy_is() { # PROGRAM VERSION
  [[ -x $1 ]] && [[ $("$1" --version 2>/dev/null) == */"$2"/* ]]
}
